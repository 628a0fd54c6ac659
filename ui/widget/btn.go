package widget

import (
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/widget"

	"sekisho/ui/theme"
)

// Btn is a button. Enter and Space press it when it has the focus, unless NoKeys.
type Btn struct {
	widget.BaseWidget
	Label, Hint      string // Hint is the shortcut beside the label
	Glyph            string // before the label; "" for none
	Fg, Fill, Hover  fyne.ThemeColorName
	Points, Height   float32
	OnTap            func()
	OnKey            func(*fyne.KeyEvent) // keys that the button does not use
	NoKeys           bool                 // Enter and Space do nothing: for answers that need a deliberate key
	inert            bool
	hovered, focused bool
}

// NewBtn returns a large button.
func NewBtn(label, hint string, fg, fill, hover fyne.ThemeColorName, tap func()) *Btn {
	b := &Btn{Label: label, Hint: hint, Fg: fg, Fill: fill, Hover: hover, Points: 15, Height: 44, OnTap: tap}
	b.ExtendBaseWidget(b)
	return b
}

// NewSmallBtn returns a quiet button of the height of a line of controls.
func NewSmallBtn(label, glyph string, tap func()) *Btn {
	b := NewBtn(label, "", theme.Foreground, theme.Neutral, theme.NeutralHov, tap)
	b.Glyph, b.Points, b.Height = glyph, 13, 32
	return b
}

// NewLinkBtn returns a button that looks like text.
func NewLinkBtn(label, glyph string, tap func()) *Btn {
	b := NewSmallBtn(label, glyph, tap)
	b.Fg, b.Fill, b.Hover, b.Points, b.Height = theme.Muted, "", theme.Neutral, 12.5, 28
	return b
}

// SetInert makes the button ignore taps and keys, and look so.
func (b *Btn) SetInert(inert bool) {
	if b.inert != inert {
		b.inert = inert
		b.Refresh()
	}
}

// Inert reports whether the button ignores taps.
func (b *Btn) Inert() bool { return b.inert }

// SetLabel changes the words on the button.
func (b *Btn) SetLabel(s string) { b.Label = s; b.Refresh() }

// Tapped presses the button.
func (b *Btn) Tapped(*fyne.PointEvent) {
	if !b.inert && b.OnTap != nil {
		b.OnTap()
	}
}

// MouseIn implements desktop.Hoverable.
func (b *Btn) MouseIn(*desktop.MouseEvent) { b.hovered = true; b.Refresh() }

// MouseMoved implements desktop.Hoverable.
func (b *Btn) MouseMoved(*desktop.MouseEvent) {}

// MouseOut implements desktop.Hoverable.
func (b *Btn) MouseOut() { b.hovered = false; b.Refresh() }

// FocusGained implements fyne.Focusable.
func (b *Btn) FocusGained() { b.focused = true; b.Refresh() }

// FocusLost implements fyne.Focusable.
func (b *Btn) FocusLost() { b.focused = false; b.Refresh() }

// TypedRune implements fyne.Focusable; nothing is typed into it.
func (b *Btn) TypedRune(rune) {}

// Cursor implements desktop.Cursorable.
func (b *Btn) Cursor() desktop.Cursor {
	if b.inert {
		return desktop.DefaultCursor
	}
	return desktop.PointerCursor
}

// TypedKey presses the button with Enter or Space and passes other keys on.
func (b *Btn) TypedKey(k *fyne.KeyEvent) {
	switch k.Name {
	case fyne.KeySpace, fyne.KeyReturn, fyne.KeyEnter:
		if !b.NoKeys {
			b.Tapped(nil)
		}
	default:
		if b.OnKey != nil {
			b.OnKey(k)
		}
	}
}

// CreateRenderer implements fyne.Widget.
func (b *Btn) CreateRenderer() fyne.WidgetRenderer {
	r := &btnRenderer{b: b, fill: canvas.NewRectangle(nil), ring: canvas.NewRectangle(nil),
		label: canvas.NewText("", nil), hint: canvas.NewText("", nil), glyph: &canvas.Image{FillMode: canvas.ImageFillContain}}
	r.Refresh()
	return r
}

type btnRenderer struct {
	b           *Btn
	fill, ring  *canvas.Rectangle
	label, hint *canvas.Text
	glyph       *canvas.Image
}

func (r *btnRenderer) Destroy() {}

// parts are the widths of the glyph, the label and the hint, with the gaps between them.
func (r *btnRenderer) parts() (glyph, label, hint float32) {
	if r.b.Glyph != "" {
		glyph = r.b.Points + 4
		if r.b.Label != "" {
			glyph += 5
		}
	}
	label = fyne.MeasureText(r.b.Label, r.b.Points, fyne.TextStyle{Bold: true}).Width
	if r.b.Hint != "" {
		hint = 8 + fyne.MeasureText(r.b.Hint, theme.Tiny, fyne.TextStyle{}).Width
	}
	return glyph, label, hint
}

func (r *btnRenderer) MinSize() fyne.Size {
	g, l, h := r.parts()
	return fyne.NewSize(g+l+h+2*min(16, r.b.Height/2.8), r.b.Height)
}

func (r *btnRenderer) Layout(s fyne.Size) {
	r.fill.Resize(s)
	r.ring.Resize(s.AddWidthHeight(6, 6))
	r.ring.Move(fyne.NewPos(-3, -3))
	g, l, h := r.parts()
	x := (s.Width - g - l - h) / 2
	if g > 0 {
		px := r.b.Points + 4
		r.glyph.Resize(fyne.NewSquareSize(px))
		r.glyph.Move(fyne.NewPos(x, (s.Height-px)/2))
	}
	lh, hh := r.label.MinSize().Height, r.hint.MinSize().Height
	r.label.Resize(fyne.NewSize(l, lh))
	r.label.Move(fyne.NewPos(x+g, (s.Height-lh)/2))
	r.hint.Resize(fyne.NewSize(h, hh))
	r.hint.Move(fyne.NewPos(x+g+l+8, (s.Height-hh)/2+1))
}

func (r *btnRenderer) Refresh() {
	b := r.b
	fg := faded(theme.Of(b.Fg), 255)
	if b.inert {
		fg = faded(fg, 120)
	}
	r.label.Text, r.label.TextSize, r.label.TextStyle.Bold, r.label.Color = b.Label, b.Points, true, fg
	r.hint.Text, r.hint.TextSize, r.hint.Color = b.Hint, theme.Tiny, faded(fg, fg.A/3*2)
	r.fill.CornerRadius, r.ring.CornerRadius = min(10, b.Height/4), min(10, b.Height/4)+2
	r.fill.FillColor = color.Transparent
	switch {
	case b.hovered && !b.inert:
		r.fill.FillColor = theme.Of(b.Hover)
	case b.Fill != "":
		r.fill.FillColor = theme.Of(b.Fill)
	}
	r.ring.FillColor, r.ring.StrokeWidth = color.Transparent, 0
	if b.focused {
		r.ring.StrokeColor, r.ring.StrokeWidth = theme.Of(theme.Accent), 2
	}
	if b.Glyph != "" {
		r.glyph.Resource = Glyph(b.Glyph, fg, strokePx(b, 2, b.Points+4))
		r.glyph.Refresh()
	}
	r.Layout(b.Size())
	canvas.Refresh(b)
}

func (r *btnRenderer) Objects() []fyne.CanvasObject {
	o := []fyne.CanvasObject{r.ring, r.fill, r.label, r.hint}
	if r.b.Glyph != "" {
		o = append(o, r.glyph)
	}
	return o
}

// faded is a colour with another opacity.
func faded(c color.Color, a uint8) color.NRGBA {
	n := color.NRGBAModel.Convert(c).(color.NRGBA)
	n.A = a
	return n
}
