package mainwindow

import (
	"slices"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/driver/desktop"
	fynewidget "fyne.io/fyne/v2/widget"

	"sekisho/ui/text"
	"sekisho/ui/theme"
	"sekisho/ui/view"
	"sekisho/ui/widget"
)

// columnWidths are the widths of the columns that need no more room in a wide window;
// what is left is shared by program and destination.
var columnWidths = map[view.Column]float32{
	view.ColumnDirection: 26, view.ColumnService: 112, view.ColumnSent: 62,
	view.ColumnReceived: 66, view.ColumnSince: 86, view.ColumnBy: 120,
}

// dispensable are the columns that go, one after another, where the window is too
// narrow to leave program and destination leastShared.
var dispensable = []view.Column{view.ColumnSince, view.ColumnBy, view.ColumnSent, view.ColumnReceived}

const leastShared float32 = 330

const (
	rowInset   float32 = 14
	columnGap  float32 = 12
	amountsGap float32 = 12 // more room after the amounts, which end at the right
)

var columnKeys = map[view.Column]string{
	view.ColumnProgram: "program", view.ColumnDestination: "destination", view.ColumnService: "service",
	view.ColumnSent: "sent", view.ColumnReceived: "received", view.ColumnSince: "since", view.ColumnBy: "by",
}

func columnName(c view.Column) string {
	if key := columnKeys[c]; key != "" {
		return text.T("connections.column." + key)
	}
	return ""
}

// cell is where one column is in a row of some width.
type cell struct{ x, width float32 }

// place finds the cells of all columns; those that have no room have no width.
func place(width float32) map[view.Column]cell {
	cells := make(map[view.Column]cell, len(view.Columns))
	left := width - 2*rowInset - amountsGap + columnGap
	for _, c := range view.Columns {
		left -= columnWidths[c] + columnGap
	}
	gone := 0
	for gone < len(dispensable) && left < leastShared {
		left += columnWidths[dispensable[gone]] + columnGap
		gone++
	}
	x := rowInset
	for _, c := range view.Columns {
		if slices.Contains(dispensable[:gone], c) {
			cells[c] = cell{}
			continue
		}
		w, fixed := columnWidths[c]
		switch {
		case fixed:
		case c == view.ColumnProgram:
			w = left * .46
		default:
			w = left * .54
		}
		cells[c] = cell{x, max(w, 20)}
		x += max(w, 20) + columnGap
		if c == view.ColumnReceived {
			x += amountsGap
		}
	}
	return cells
}

// rightAligned are the columns of amounts.
func rightAligned(c view.Column) bool {
	return c == view.ColumnSent || c == view.ColumnReceived
}

// header names the columns; a tap sorts by one, another tap turns the order round.
type header struct {
	fynewidget.BaseWidget
	page    *connectionsPage
	order   view.Order
	hovered view.Column
	over    bool
}

func newHeader(p *connectionsPage) *header {
	h := &header{page: p, order: p.flows.Order()}
	h.ExtendBaseWidget(h)
	return h
}

func (h *header) at(x float32) view.Column {
	cells := place(h.Size().Width)
	for _, c := range view.Columns {
		if at := cells[c]; at.width > 0 && x < at.x+at.width+columnGap/2 {
			return c
		}
	}
	return h.order.Column
}

// Tapped sorts.
func (h *header) Tapped(e *fyne.PointEvent) {
	c := h.at(e.Position.X)
	if c == h.order.Column {
		h.order.Descending = !h.order.Descending
	} else {
		h.order = c.Natural()
	}
	h.Refresh()
	h.page.sort(h.order)
}

func (h *header) MouseIn(e *desktop.MouseEvent) {
	h.hovered, h.over = h.at(e.Position.X), true
	h.Refresh()
}

func (h *header) MouseMoved(e *desktop.MouseEvent) {
	if c := h.at(e.Position.X); c != h.hovered {
		h.hovered = c
		h.Refresh()
	}
}

func (h *header) MouseOut()              { h.over = false; h.Refresh() }
func (h *header) Cursor() desktop.Cursor { return desktop.PointerCursor }

func (h *header) CreateRenderer() fyne.WidgetRenderer {
	r := &headerRenderer{h: h, arrow: widget.MakeMark(13), line: canvas.NewRectangle(nil), names: map[view.Column]*canvas.Text{}}
	for _, c := range view.Columns {
		t := canvas.NewText(columnName(c), nil)
		t.TextSize = 12
		r.names[c] = t
	}
	r.Refresh()
	return r
}

type headerRenderer struct {
	h     *header
	names map[view.Column]*canvas.Text
	arrow *widget.Mark
	line  *canvas.Rectangle
}

func (r *headerRenderer) Destroy()           {}
func (r *headerRenderer) MinSize() fyne.Size { return fyne.NewSize(480, 38) }

func (r *headerRenderer) Layout(s fyne.Size) {
	cells := place(s.Width)
	for c, t := range r.names {
		at := cells[c]
		t.Hidden = at.width == 0
		width := t.MinSize().Width
		x := at.x
		if rightAligned(c) {
			x = at.x + at.width - width
		}
		if c == r.h.order.Column {
			r.arrow.Hidden = t.Hidden
			mark := x + width + 3
			if rightAligned(c) {
				mark = x - 16
			}
			r.arrow.Move(fyne.NewPos(mark, (s.Height-13)/2+1))
		}
		t.Move(fyne.NewPos(x, 0))
		t.Resize(fyne.NewSize(width, s.Height))
	}
	r.line.Move(fyne.NewPos(0, s.Height-1))
	r.line.Resize(fyne.NewSize(s.Width, 1))
}

func (r *headerRenderer) Refresh() {
	for c, t := range r.names {
		chosen := c == r.h.order.Column
		t.Color, t.TextStyle.Bold = theme.Of(theme.Muted), true
		if chosen || r.h.over && c == r.h.hovered {
			t.Color = theme.Of(theme.Foreground)
		}
	}
	glyph := "up"
	if r.h.order.Descending {
		glyph = "down"
	}
	r.arrow.Set(glyph, theme.Accent)
	r.line.FillColor = theme.Of(theme.CardLine)
	r.Layout(r.h.Size())
	canvas.Refresh(r.h)
}

func (r *headerRenderer) Objects() []fyne.CanvasObject {
	o := []fyne.CanvasObject{r.line, r.arrow.Image}
	for _, c := range view.Columns {
		o = append(o, r.names[c])
	}
	return o
}
