package widget

import (
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/widget"

	"sekisho/ui/theme"
)

// Piece is a part of a Sentence.
type Piece struct {
	S    string
	Bold bool
}

// Sentence is one line made of pieces, cut with an ellipsis where it doesn't fit.
type Sentence struct {
	widget.BaseWidget
	Points float32
	Color  fyne.ThemeColorName
	pieces []Piece
}

// NewSentence returns an empty line.
func NewSentence(points float32, c fyne.ThemeColorName) *Sentence {
	s := &Sentence{Points: points, Color: c}
	s.ExtendBaseWidget(s)
	return s
}

// Set says something else, in a colour.
func (s *Sentence) Set(pieces []Piece, c fyne.ThemeColorName) {
	s.pieces, s.Color = pieces, c
	s.Refresh()
}

// Shown is the sentence as it is drawn.
func (s *Sentence) Shown() string {
	all := ""
	for _, p := range s.fitting(s.Size().Width) {
		all += p.S
	}
	return all
}

// fitting are the pieces that fit into a width, the last of them cut if need be.
func (s *Sentence) fitting(width float32) []Piece {
	var out []Piece
	for i, p := range s.pieces {
		w := s.width(p)
		if w <= width {
			out = append(out, p)
			width -= w
			continue
		}
		p.S = Elided(p.S, width, s.Points, fyne.TextStyle{Bold: p.Bold}, CutEnd)
		if i > 0 && s.width(p) > width { // not even the ellipsis fits: it replaces the end before
			last := &out[len(out)-1]
			last.S = Elided(last.S+"…", s.width(*last), s.Points, fyne.TextStyle{Bold: last.Bold}, CutEnd)
			return out
		}
		return append(out, p)
	}
	return out
}

func (s *Sentence) width(p Piece) float32 {
	return fyne.MeasureText(p.S, s.Points, fyne.TextStyle{Bold: p.Bold}).Width
}

// CreateRenderer implements fyne.Widget.
func (s *Sentence) CreateRenderer() fyne.WidgetRenderer { return &sentenceRenderer{s: s} }

type sentenceRenderer struct {
	s     *Sentence
	texts []*canvas.Text
}

func (r *sentenceRenderer) Destroy() {}

func (r *sentenceRenderer) MinSize() fyne.Size {
	return fyne.NewSize(40, fyne.MeasureText("M", r.s.Points, fyne.TextStyle{Bold: true}).Height)
}

func (r *sentenceRenderer) Layout(size fyne.Size) {
	pieces := r.s.fitting(size.Width)
	for len(r.texts) < len(pieces) {
		r.texts = append(r.texts, canvas.NewText("", color.Black))
	}
	r.texts = r.texts[:len(pieces)]
	x := float32(0)
	for i, p := range pieces {
		t := r.texts[i]
		t.Text, t.TextSize, t.TextStyle, t.Color = p.S, r.s.Points, fyne.TextStyle{Bold: p.Bold}, theme.Of(r.s.Color)
		w := r.s.width(p)
		t.Move(fyne.NewPos(x, 0))
		t.Resize(fyne.NewSize(w, size.Height))
		x += w
	}
}

func (r *sentenceRenderer) Refresh() {
	r.Layout(r.s.Size())
	canvas.Refresh(r.s)
}

func (r *sentenceRenderer) Objects() []fyne.CanvasObject {
	o := make([]fyne.CanvasObject, len(r.texts))
	for i, t := range r.texts {
		o[i] = t
	}
	return o
}
