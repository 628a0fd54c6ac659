package mainwindow

import (
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
	view.ColumnDirection: 34, view.ColumnService: 122, view.ColumnSent: 78,
	view.ColumnReceived: 78, view.ColumnSince: 108, view.ColumnBy: 132,
}

const (
	rowInset  float32 = 12
	columnGap float32 = 12
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

// place finds the cells of all columns.
func place(width float32) map[view.Column]cell {
	left := width - 2*rowInset - columnGap*float32(len(view.Columns)-1)
	for _, w := range columnWidths {
		left -= w
	}
	cells := make(map[view.Column]cell, len(view.Columns))
	x := rowInset
	for _, c := range view.Columns {
		w, fixed := columnWidths[c]
		switch {
		case fixed:
		case c == view.ColumnProgram:
			w = left * .42
		default:
			w = left * .58
		}
		cells[c] = cell{x, max(w, 20)}
		x += max(w, 20) + columnGap
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
	order   view.Order
	sort    func(view.Order)
	hovered view.Column
	over    bool
}

func newHeader(o view.Order, sort func(view.Order)) *header {
	h := &header{order: o, sort: sort}
	h.ExtendBaseWidget(h)
	return h
}

func (h *header) at(x float32) view.Column {
	cells := place(h.Size().Width)
	for _, c := range view.Columns {
		if at := cells[c]; x < at.x+at.width+columnGap/2 {
			return c
		}
	}
	return view.Columns[len(view.Columns)-1]
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
	h.sort(h.order)
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
func (r *headerRenderer) MinSize() fyne.Size { return fyne.NewSize(640, 38) }

func (r *headerRenderer) Layout(s fyne.Size) {
	cells := place(s.Width)
	for c, t := range r.names {
		at := cells[c]
		width := t.MinSize().Width
		x := at.x
		if rightAligned(c) {
			x = at.x + at.width - width
		}
		if c == r.h.order.Column {
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
