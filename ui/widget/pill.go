package widget

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/widget"

	"sekisho/ui/theme"
)

// Pill is a small tinted chip with a glyph.
type Pill struct {
	widget.BaseWidget
	Glyph, S string
	Fg, Fill fyne.ThemeColorName
}

// NewPill returns a chip; glyph may be "".
func NewPill(glyph, s string, fg, fill fyne.ThemeColorName) *Pill {
	p := &Pill{Glyph: glyph, S: s, Fg: fg, Fill: fill}
	p.ExtendBaseWidget(p)
	return p
}

// Set changes what the pill says and its colours.
func (p *Pill) Set(glyph, s string, fg, fill fyne.ThemeColorName) {
	p.Glyph, p.S, p.Fg, p.Fill = glyph, s, fg, fill
	p.Refresh()
}

// CreateRenderer implements fyne.Widget.
func (p *Pill) CreateRenderer() fyne.WidgetRenderer {
	r := &pillRenderer{p: p, fill: canvas.NewRectangle(nil), glyph: &canvas.Image{}, text: canvas.NewText(p.S, nil)}
	r.Refresh()
	return r
}

type pillRenderer struct {
	p     *Pill
	fill  *canvas.Rectangle
	glyph *canvas.Image
	text  *canvas.Text
}

const (
	pillPoints float32 = 12
	pillGlyph  float32 = 15
)

func (r *pillRenderer) Destroy() {}

func (r *pillRenderer) left() float32 {
	if r.p.Glyph == "" {
		return 10
	}
	return 9 + pillGlyph + 6
}

func (r *pillRenderer) MinSize() fyne.Size {
	m := fyne.MeasureText(r.p.S, pillPoints, fyne.TextStyle{})
	return fyne.NewSize(r.left()+m.Width+11, 26)
}

func (r *pillRenderer) Layout(s fyne.Size) {
	r.fill.CornerRadius = s.Height / 2
	r.fill.Resize(s)
	r.glyph.Resize(fyne.NewSquareSize(pillGlyph))
	r.glyph.Move(fyne.NewPos(9, (s.Height-pillGlyph)/2))
	room := s.Width - r.left() - 9
	r.text.Text = Elided(r.p.S, room, pillPoints, fyne.TextStyle{}, CutEnd)
	h := r.text.MinSize().Height
	r.text.Resize(fyne.NewSize(room, h))
	r.text.Move(fyne.NewPos(r.left(), (s.Height-h)/2))
}

func (r *pillRenderer) Refresh() {
	r.fill.FillColor = theme.Of(r.p.Fill)
	if r.p.Glyph != "" {
		r.glyph.Resource = Glyph(r.p.Glyph, theme.Of(r.p.Fg), strokePx(r.p, 2, pillGlyph))
		r.glyph.Refresh()
	}
	r.text.Text, r.text.TextSize, r.text.Color = r.p.S, pillPoints, theme.Of(r.p.Fg)
	r.Layout(r.p.Size())
	canvas.Refresh(r.p)
}

func (r *pillRenderer) Objects() []fyne.CanvasObject {
	if r.p.Glyph == "" {
		return []fyne.CanvasObject{r.fill, r.text}
	}
	return []fyne.CanvasObject{r.fill, r.glyph, r.text}
}
