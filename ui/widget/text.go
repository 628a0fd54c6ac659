package widget

import (
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/widget"

	"sekisho/ui/theme"
)

// Cut says which part of a text goes when it does not fit.
type Cut uint8

const (
	CutMiddle Cut = iota // paths: both ends carry meaning
	CutStart             // host names: the registrable end must stay
	CutEnd               // sentences
)

// Text is one line in a theme colour. With Elide it may be narrower than its text:
// then it shrinks a little (unless Fixed) and is cut with an ellipsis after that.
type Text struct {
	widget.BaseWidget
	S      string
	Points float32 // points
	Bold   bool
	Mono   bool
	Color  fyne.ThemeColorName
	Align  fyne.TextAlign
	Elide  bool
	Fixed  bool
	Cut    Cut
}

// NewText returns a line of text that is never cut.
func NewText(s string, points float32, bold bool, c fyne.ThemeColorName) *Text {
	t := &Text{S: s, Points: points, Bold: bold, Color: c}
	t.ExtendBaseWidget(t)
	return t
}

// NewElided returns a line of text that gives way where there is no room.
func NewElided(s string, points float32, bold bool, c fyne.ThemeColorName, cut Cut) *Text {
	t := NewText(s, points, bold, c)
	t.Elide, t.Cut = true, cut
	return t
}

// SetText shows another text.
func (t *Text) SetText(s string) {
	if t.S != s {
		t.S = s
		t.Refresh()
	}
}

// Shown is the text as it is drawn, with its ellipsis if it was cut.
func (t *Text) Shown() string {
	if !t.Elide {
		return t.S
	}
	return Elided(t.S, t.Size().Width, t.fit(t.Size().Width), t.style(), t.Cut)
}

func (t *Text) style() fyne.TextStyle { return fyne.TextStyle{Bold: t.Bold, Monospace: t.Mono} }

// fit is the text size at which t is drawn in a width.
func (t *Text) fit(width float32) float32 {
	pt := t.Points
	for !t.Fixed && pt > t.Points*.8 && fyne.MeasureText(t.S, pt, t.style()).Width > width {
		pt -= .5
	}
	return pt
}

// CreateRenderer implements fyne.Widget.
func (t *Text) CreateRenderer() fyne.WidgetRenderer {
	return &textRenderer{t: t, c: canvas.NewText("", color.Black)}
}

type textRenderer struct {
	t *Text
	c *canvas.Text
}

func (r *textRenderer) Destroy() {}

func (r *textRenderer) Layout(s fyne.Size) {
	t := r.t
	r.c.Text, r.c.TextSize, r.c.TextStyle, r.c.Alignment = t.S, t.Points, t.style(), t.Align
	r.c.Color = theme.Of(t.Color)
	if t.Elide {
		r.c.TextSize = t.fit(s.Width)
		r.c.Text = Elided(t.S, s.Width, r.c.TextSize, t.style(), t.Cut)
	}
	r.c.Resize(s)
}

func (r *textRenderer) MinSize() fyne.Size {
	m := fyne.MeasureText(r.t.S, r.t.Points, r.t.style())
	if r.t.Elide {
		m.Width = min(m.Width, 20)
	}
	return m
}

func (r *textRenderer) Objects() []fyne.CanvasObject { return []fyne.CanvasObject{r.c} }
func (r *textRenderer) Refresh()                     { r.Layout(r.t.Size()); canvas.Refresh(r.c) }

// Elided is s, cut with an ellipsis to fit into width at a text size.
func Elided(s string, width, size float32, style fyne.TextStyle, cut Cut) string {
	if fyne.MeasureText(s, size, style).Width <= width {
		return s
	}
	r := []rune(s)
	shorten := func(keep int) string {
		head := keep / 2
		switch cut {
		case CutStart:
			head = 0
		case CutEnd:
			head = keep
		}
		return string(r[:head]) + "…" + string(r[len(r)-(keep-head):])
	}
	low, high := 0, len(r)-1 // the largest number of runes that still fits
	for low < high {
		keep := (low + high + 1) / 2
		if fyne.MeasureText(shorten(keep), size, style).Width <= width {
			low = keep
		} else {
			high = keep - 1
		}
	}
	return shorten(low)
}
