package widget

import (
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/widget"

	"sekisho/ui/theme"
)

// Switch is on or off. A tap or Space turns it.
type Switch struct {
	widget.BaseWidget
	On               bool
	OnChange         func(on bool)
	hovered, focused bool
}

// NewSwitch returns a switch; change hears only of what a person does.
func NewSwitch(on bool, change func(bool)) *Switch {
	s := &Switch{On: on, OnChange: change}
	s.ExtendBaseWidget(s)
	return s
}

// Set turns the switch without calling OnChange.
func (s *Switch) Set(on bool) {
	if s.On != on {
		s.On = on
		s.Refresh()
	}
}

// Tapped turns the switch.
func (s *Switch) Tapped(*fyne.PointEvent) {
	s.Set(!s.On)
	if s.OnChange != nil {
		s.OnChange(s.On)
	}
}

// MouseIn shows that the switch can be turned.
func (s *Switch) MouseIn(*desktop.MouseEvent) { s.hovered = true; s.Refresh() }

// MouseMoved implements desktop.Hoverable.
func (s *Switch) MouseMoved(*desktop.MouseEvent) {}

// MouseOut ends what MouseIn began.
func (s *Switch) MouseOut() { s.hovered = false; s.Refresh() }

// Cursor implements desktop.Cursorable.
func (s *Switch) Cursor() desktop.Cursor { return desktop.PointerCursor }

// FocusGained draws the ring of the keyboard.
func (s *Switch) FocusGained() { s.focused = true; s.Refresh() }

// FocusLost takes the ring away.
func (s *Switch) FocusLost() { s.focused = false; s.Refresh() }

// TypedRune implements fyne.Focusable.
func (s *Switch) TypedRune(rune) {}

// TypedKey turns the switch with Space.
func (s *Switch) TypedKey(k *fyne.KeyEvent) {
	if k.Name == fyne.KeySpace {
		s.Tapped(nil)
	}
}

// CreateRenderer implements fyne.Widget.
func (s *Switch) CreateRenderer() fyne.WidgetRenderer {
	r := &switchRenderer{s: s, track: canvas.NewRectangle(nil), ring: canvas.NewRectangle(color.Transparent), thumb: canvas.NewCircle(color.White)}
	r.Refresh()
	return r
}

type switchRenderer struct {
	s           *Switch
	track, ring *canvas.Rectangle
	thumb       *canvas.Circle
}

const switchWidth, switchHeight float32 = 36, 20

func (r *switchRenderer) Destroy()           {}
func (r *switchRenderer) MinSize() fyne.Size { return fyne.NewSize(switchWidth, switchHeight) }

func (r *switchRenderer) Layout(s fyne.Size) {
	x, y := (s.Width-switchWidth)/2, (s.Height-switchHeight)/2
	r.track.Move(fyne.NewPos(x, y))
	r.track.Resize(fyne.NewSize(switchWidth, switchHeight))
	r.ring.Move(fyne.NewPos(x-3, y-3))
	r.ring.Resize(fyne.NewSize(switchWidth+6, switchHeight+6))
	r.track.CornerRadius, r.ring.CornerRadius = switchHeight/2, switchHeight/2+3
	px := switchHeight - 6
	left := x + 3
	if r.s.On {
		left = x + switchWidth - 3 - px
	}
	r.thumb.Move(fyne.NewPos(left, y+3))
	r.thumb.Resize(fyne.NewSquareSize(px))
}

func (r *switchRenderer) Refresh() {
	name := theme.Groove
	switch {
	case r.s.On && r.s.hovered:
		name = theme.AccentHover
	case r.s.On:
		name = theme.Accent
	}
	r.track.FillColor = theme.Of(name)
	r.ring.StrokeWidth = 0
	if r.s.focused {
		r.ring.StrokeColor, r.ring.StrokeWidth = theme.Of(theme.Accent), 1.5
	}
	r.Layout(r.s.Size())
	canvas.Refresh(r.s)
}

func (r *switchRenderer) Objects() []fyne.CanvasObject {
	return []fyne.CanvasObject{r.ring, r.track, r.thumb}
}
