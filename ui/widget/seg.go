package widget

import (
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/widget"

	"sekisho/ui/theme"
)

// Seg is a segmented control: one choice of several, all in sight.
type Seg struct {
	widget.BaseWidget
	Options  []string
	Selected int
	OnChange func(int)
	// OnKey gets the keys that Seg does not use: a focused widget is the only one that
	// hears Escape, so it has to pass it on.
	OnKey   func(*fyne.KeyEvent)
	hover   int
	focused bool
}

// NewSeg returns a control with one option selected; change may be nil.
func NewSeg(options []string, selected int, change func(int)) *Seg {
	s := &Seg{Options: options, Selected: selected, OnChange: change, hover: -1}
	s.ExtendBaseWidget(s)
	return s
}

// Set replaces options and selection without calling OnChange.
func (s *Seg) Set(options []string, selected int) {
	s.Options, s.Selected = options, selected
	s.Refresh()
}

// Select chooses an option as a person would.
func (s *Seg) Select(i int) {
	if i != s.Selected && i >= 0 && i < len(s.Options) {
		s.Selected = i
		if s.OnChange != nil {
			s.OnChange(i)
		}
	}
	s.Refresh()
}

// at finds the option at a position. Every option is as wide as its text needs, and the
// room that is left is shared.
func (s *Seg) at(x float32) int {
	left := float32(0)
	for i, w := range s.widths(s.Size().Width) {
		if left += w; x < left {
			return i
		}
	}
	return len(s.Options) - 1
}

func (s *Seg) widths(total float32) []float32 {
	if len(s.Options) == 0 {
		return nil
	}
	even := total / float32(len(s.Options))
	w := make([]float32, len(s.Options))
	sum, fits := float32(0), true
	for i, o := range s.Options {
		w[i] = fyne.MeasureText(o, segPoints, fyne.TextStyle{Bold: true}).Width + segPad
		sum += w[i]
		fits = fits && w[i] <= even
	}
	for i := range w {
		if fits {
			w[i] = even
		} else {
			w[i] += (total - sum) / float32(len(w))
		}
	}
	return w
}

// Tapped implements fyne.Tappable.
func (s *Seg) Tapped(e *fyne.PointEvent) { s.Select(s.at(e.Position.X)) }

// MouseIn implements desktop.Hoverable.
func (s *Seg) MouseIn(e *desktop.MouseEvent) { s.hover = s.at(e.Position.X); s.Refresh() }

// MouseMoved implements desktop.Hoverable.
func (s *Seg) MouseMoved(e *desktop.MouseEvent) { s.MouseIn(e) }

// MouseOut implements desktop.Hoverable.
func (s *Seg) MouseOut() { s.hover = -1; s.Refresh() }

// Cursor implements desktop.Cursorable.
func (s *Seg) Cursor() desktop.Cursor { return desktop.PointerCursor }

// FocusGained implements fyne.Focusable.
func (s *Seg) FocusGained() { s.focused = true; s.Refresh() }

// FocusLost implements fyne.Focusable.
func (s *Seg) FocusLost() { s.focused = false; s.Refresh() }

// TypedRune implements fyne.Focusable; nothing is typed into it.
func (s *Seg) TypedRune(rune) {}

// TypedKey moves the selection with the arrow keys.
func (s *Seg) TypedKey(k *fyne.KeyEvent) {
	switch k.Name {
	case fyne.KeyLeft:
		s.Select(s.Selected - 1)
	case fyne.KeyRight:
		s.Select(s.Selected + 1)
	default:
		if s.OnKey != nil {
			s.OnKey(k)
		}
	}
}

// CreateRenderer implements fyne.Widget.
func (s *Seg) CreateRenderer() fyne.WidgetRenderer {
	r := &segRenderer{s: s, track: canvas.NewRectangle(nil), thumb: canvas.NewRectangle(nil)}
	r.track.CornerRadius, r.thumb.CornerRadius = 9, 7
	r.Refresh()
	return r
}

type segRenderer struct {
	s            *Seg
	track, thumb *canvas.Rectangle
	text         []*canvas.Text
}

const (
	segPoints float32 = 13
	segPad    float32 = 16
	segHeight float32 = 34
)

func (r *segRenderer) Destroy() {}

func (r *segRenderer) MinSize() fyne.Size {
	w := float32(0)
	for _, o := range r.s.Options {
		w += fyne.MeasureText(o, segPoints, fyne.TextStyle{Bold: true}).Width + segPad
	}
	return fyne.NewSize(w, segHeight)
}

func (r *segRenderer) Layout(sz fyne.Size) {
	r.track.Resize(sz)
	x := float32(0)
	for i, w := range r.s.widths(sz.Width) {
		if i == r.s.Selected {
			r.thumb.Resize(fyne.NewSize(w-6, sz.Height-6))
			r.thumb.Move(fyne.NewPos(x+3, 3))
		}
		r.text[i].Resize(fyne.NewSize(w, sz.Height))
		r.text[i].Move(fyne.NewPos(x, 0))
		x += w
	}
}

func (r *segRenderer) Refresh() {
	for len(r.text) < len(r.s.Options) {
		t := canvas.NewText("", color.Black)
		t.Alignment = fyne.TextAlignCenter
		r.text = append(r.text, t)
	}
	r.text = r.text[:len(r.s.Options)]
	r.track.FillColor = theme.Of(theme.Track)
	r.thumb.FillColor = theme.Of(theme.Thumb)
	r.thumb.Shadow = canvas.Shadow{Color: color.NRGBA{A: 50}, BlurRadius: 3, Offset: fyne.NewPos(0, 1)}
	r.thumb.StrokeWidth = 0
	if r.s.focused {
		r.thumb.StrokeColor, r.thumb.StrokeWidth = theme.Of(theme.Accent), 1.5
	}
	for i, t := range r.text {
		t.Text, t.TextSize = r.s.Options[i], segPoints
		t.TextStyle.Bold = i == r.s.Selected
		t.Color = theme.Of(theme.Muted)
		if i == r.s.Selected || i == r.s.hover {
			t.Color = theme.Of(theme.Foreground)
		}
	}
	r.Layout(r.s.Size())
	canvas.Refresh(r.s)
}

func (r *segRenderer) Objects() []fyne.CanvasObject {
	o := []fyne.CanvasObject{r.track, r.thumb}
	for _, t := range r.text {
		o = append(o, t)
	}
	return o
}
