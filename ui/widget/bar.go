package widget

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/widget"

	"sekisho/ui/theme"
)

// Bar is a thin line that shows how much is left of something, from 0 to 1.
type Bar struct {
	widget.BaseWidget
	Value float32
	Color fyne.ThemeColorName
}

// NewBar returns a full bar.
func NewBar(c fyne.ThemeColorName) *Bar {
	b := &Bar{Value: 1, Color: c}
	b.ExtendBaseWidget(b)
	return b
}

// SetValue shows how much is left.
func (b *Bar) SetValue(v float32) {
	if v = max(0, min(1, v)); v != b.Value {
		b.Value = v
		b.Refresh()
	}
}

// CreateRenderer implements fyne.Widget.
func (b *Bar) CreateRenderer() fyne.WidgetRenderer {
	return &barRenderer{b: b, track: canvas.NewRectangle(theme.Of(theme.Track)), left: canvas.NewRectangle(theme.Of(b.Color))}
}

type barRenderer struct {
	b           *Bar
	track, left *canvas.Rectangle
}

func (r *barRenderer) Destroy()           {}
func (r *barRenderer) MinSize() fyne.Size { return fyne.NewSize(10, 3) }

func (r *barRenderer) Layout(s fyne.Size) {
	r.track.Resize(s)
	r.left.Resize(fyne.NewSize(s.Width*r.b.Value, s.Height))
}

func (r *barRenderer) Objects() []fyne.CanvasObject { return []fyne.CanvasObject{r.track, r.left} }

func (r *barRenderer) Refresh() {
	r.track.FillColor, r.left.FillColor = theme.Of(theme.Track), theme.Of(r.b.Color)
	r.Layout(r.b.Size())
	canvas.Refresh(r.b)
}
