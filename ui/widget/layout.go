package widget

import (
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/layout"
	"fyne.io/fyne/v2/widget"

	"sekisho/ui/theme"
)

// Gap is empty space of a height.
func Gap(h float32) fyne.CanvasObject { return Space(1, h) }

// HGap is empty space of a width.
func HGap(w float32) fyne.CanvasObject { return Space(w, 1) }

// Space is an empty rectangle.
func Space(w, h float32) fyne.CanvasObject {
	r := canvas.NewRectangle(color.Transparent)
	r.SetMinSize(fyne.NewSize(w, h))
	return r
}

// VBox stacks objects without padding.
func VBox(o ...fyne.CanvasObject) *fyne.Container { return container.New(column{}, o...) }

// HBox puts objects side by side with a gap.
func HBox(gap float32, o ...fyne.CanvasObject) *fyne.Container {
	return container.New(layout.NewCustomPaddedHBoxLayout(gap), o...)
}

// Middle centres an object vertically at its natural height and the full width.
func Middle(o fyne.CanvasObject) fyne.CanvasObject {
	return container.New(layout.NewCustomPaddedVBoxLayout(0), layout.NewSpacer(), o, layout.NewSpacer())
}

// Inset pads an object.
func Inset(top, bottom, left, right float32, o fyne.CanvasObject) *fyne.Container {
	return container.New(layout.NewCustomPaddedLayout(top, bottom, left, right), o)
}

// Halves gives two objects the same width.
func Halves(gap float32, a, b fyne.CanvasObject) *fyne.Container {
	return container.New(halves{gap}, a, b)
}

// Wrapped places objects side by side and goes to a new line where the width ends; its
// height is worked out for that width.
func Wrapped(gap, width float32, o ...fyne.CanvasObject) *fyne.Container {
	return container.New(wrapped{gap, width}, o...)
}

// NewKeyValues returns a grid of two columns: objects in pairs, key and value.
func NewKeyValues(gap, line float32, o ...fyne.CanvasObject) *fyne.Container {
	return container.New(keyValues{gap, line}, o...)
}

// NewLine is a thin rule across the width.
func NewLine() fyne.CanvasObject { return newFill(theme.CardLine, fyne.NewSize(1, 1)) }

// NewBackground paints the window's background, so that captures and tests see it.
func NewBackground() fyne.CanvasObject { return newFill(theme.Background, fyne.Size{}) }

// NewWindowContent puts an object of a width on the window's background.
func NewWindowContent(width float32, o fyne.CanvasObject) fyne.CanvasObject {
	return container.NewStack(NewBackground(), Space(width, 0), o)
}

// column stacks objects at full width; hidden ones take no room.
type column struct{}

func (column) MinSize(o []fyne.CanvasObject) (m fyne.Size) {
	for _, c := range o {
		if c.Visible() {
			s := c.MinSize()
			m.Width, m.Height = max(m.Width, s.Width), m.Height+s.Height
		}
	}
	return m
}

func (column) Layout(o []fyne.CanvasObject, s fyne.Size) {
	y := float32(0)
	for _, c := range o {
		if c.Visible() {
			h := c.MinSize().Height
			c.Resize(fyne.NewSize(s.Width, h))
			c.Move(fyne.NewPos(0, y))
			y += h
		}
	}
}

type halves struct{ gap float32 }

func (h halves) MinSize(o []fyne.CanvasObject) fyne.Size {
	m := o[0].MinSize().Max(o[1].MinSize())
	return fyne.NewSize(m.Width*2+h.gap, m.Height)
}

func (h halves) Layout(o []fyne.CanvasObject, s fyne.Size) {
	w := (s.Width - h.gap) / 2
	for i, c := range o {
		c.Resize(fyne.NewSize(w, s.Height))
		c.Move(fyne.NewPos(float32(i)*(w+h.gap), 0))
	}
}

type wrapped struct{ gap, width float32 }

func (f wrapped) place(o []fyne.CanvasObject, w float32, put bool) float32 {
	x, y, line := float32(0), float32(0), float32(0)
	for _, c := range o {
		m := c.MinSize()
		if x > 0 && x+m.Width > w {
			x, y, line = 0, y+line+f.gap, 0
		}
		if put {
			c.Resize(fyne.NewSize(min(m.Width, w), m.Height))
			c.Move(fyne.NewPos(x, y))
		}
		x += m.Width + f.gap
		line = max(line, m.Height)
	}
	return y + line
}

func (f wrapped) MinSize(o []fyne.CanvasObject) fyne.Size {
	return fyne.NewSize(10, f.place(o, f.width, false))
}

func (f wrapped) Layout(o []fyne.CanvasObject, s fyne.Size) { f.place(o, s.Width, true) }

type keyValues struct{ gap, line float32 }

func (k keyValues) MinSize(o []fyne.CanvasObject) fyne.Size {
	var w, h float32
	for i := 0; i+1 < len(o); i += 2 {
		w = max(w, o[i].MinSize().Width)
		h += max(o[i].MinSize().Height, o[i+1].MinSize().Height) + k.line
	}
	return fyne.NewSize(w+k.gap+60, max(0, h-k.line))
}

func (k keyValues) Layout(o []fyne.CanvasObject, s fyne.Size) {
	var w, y float32
	for i := 0; i+1 < len(o); i += 2 {
		w = max(w, o[i].MinSize().Width)
	}
	for i := 0; i+1 < len(o); i += 2 {
		h := max(o[i].MinSize().Height, o[i+1].MinSize().Height)
		o[i].Move(fyne.NewPos(0, y))
		o[i].Resize(fyne.NewSize(w, h))
		o[i+1].Move(fyne.NewPos(w+k.gap, y))
		o[i+1].Resize(fyne.NewSize(s.Width-w-k.gap, h))
		y += h + k.line
	}
}

// fill is a rectangle that follows the theme.
type fill struct {
	widget.BaseWidget
	color fyne.ThemeColorName
	min   fyne.Size
}

func newFill(c fyne.ThemeColorName, min fyne.Size) *fill {
	f := &fill{color: c, min: min}
	f.ExtendBaseWidget(f)
	return f
}

func (f *fill) CreateRenderer() fyne.WidgetRenderer {
	return &fillRenderer{f, canvas.NewRectangle(theme.Of(f.color))}
}

type fillRenderer struct {
	f *fill
	r *canvas.Rectangle
}

func (r *fillRenderer) Destroy()                     {}
func (r *fillRenderer) MinSize() fyne.Size           { return r.f.min }
func (r *fillRenderer) Layout(s fyne.Size)           { r.r.Resize(s) }
func (r *fillRenderer) Objects() []fyne.CanvasObject { return []fyne.CanvasObject{r.r} }
func (r *fillRenderer) Refresh()                     { r.r.FillColor = theme.Of(r.f.color); r.r.Refresh() }
