package widget

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/widget"

	"sekisho/ui/theme"
)

// Card is a rounded surface under its content.
type Card struct {
	widget.BaseWidget
	Content fyne.CanvasObject
	Pad     float32
	Fill    fyne.ThemeColorName
	Line    fyne.ThemeColorName // "" for no edge
	Radius  float32
}

// NewCard returns a raised surface with pad around its content.
func NewCard(content fyne.CanvasObject, pad float32) *Card {
	k := &Card{Content: content, Pad: pad, Fill: theme.CardFill, Line: theme.CardLine, Radius: 12}
	k.ExtendBaseWidget(k)
	return k
}

// CreateRenderer implements fyne.Widget.
func (k *Card) CreateRenderer() fyne.WidgetRenderer {
	r := &cardRenderer{k: k, fill: canvas.NewRectangle(nil)}
	r.paint()
	return r
}

type cardRenderer struct {
	k    *Card
	fill *canvas.Rectangle
}

func (r *cardRenderer) Destroy() {}

func (r *cardRenderer) MinSize() fyne.Size {
	return r.k.Content.MinSize().AddWidthHeight(2*r.k.Pad, 2*r.k.Pad)
}

func (r *cardRenderer) Layout(s fyne.Size) {
	r.fill.Resize(s)
	r.k.Content.Move(fyne.NewPos(r.k.Pad, r.k.Pad))
	r.k.Content.Resize(s.SubtractWidthHeight(2*r.k.Pad, 2*r.k.Pad))
}

func (r *cardRenderer) paint() {
	r.fill.CornerRadius = r.k.Radius
	r.fill.FillColor = theme.Of(r.k.Fill)
	r.fill.StrokeWidth = 0
	if r.k.Line != "" {
		r.fill.StrokeColor, r.fill.StrokeWidth = theme.Of(r.k.Line), 1
	}
}

func (r *cardRenderer) Refresh() {
	r.paint()
	r.Layout(r.k.Size())
	canvas.Refresh(r.fill)
	r.k.Content.Refresh()
}

func (r *cardRenderer) Objects() []fyne.CanvasObject {
	return []fyne.CanvasObject{r.fill, r.k.Content}
}
