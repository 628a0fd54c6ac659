package mainwindow

import (
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/driver/desktop"
	fynewidget "fyne.io/fyne/v2/widget"

	"sekisho/app/flow"
	"sekisho/ui/theme"
	"sekisho/ui/view"
	"sekisho/ui/widget"
)

const rowHeight float32 = 36

// piece is one text of a row: what it says in full, and what of it fits.
type piece struct {
	*canvas.Text
	full  string
	width float32
	cut   widget.Cut
}

// say sets the text; nothing happens if it is the same, at the same width, in the same
// colour.
func (p *piece) say(s string, width float32, c fyne.ThemeColorName) {
	shade := theme.Of(c)
	if s == p.full && width == p.width && p.Color == shade {
		return
	}
	p.full, p.width, p.Color = s, width, shade
	p.Text.Text = ""
	if width > 0 {
		p.Text.Text = widget.Elided(s, width, p.TextSize, p.TextStyle, p.cut)
	}
	p.Refresh()
}

// connectionRow draws one connection with bare canvas objects: widgets in the cells of
// a list cost five times as much.
type connectionRow struct {
	fynewidget.BaseWidget
	page     *connectionsPage
	index    int
	flow     flow.Flow
	chosen   bool
	hovered  bool
	back     *canvas.Rectangle
	arrow    *widget.Mark
	tile     *widget.Tile
	pieces   map[view.Column]*piece
	address  *piece // after the destination's name
	port     *piece // after the service's name
	nameEnds float32
	portAt   float32
}

func newConnectionRow(p *connectionsPage) *connectionRow {
	r := &connectionRow{page: p, back: canvas.NewRectangle(color.Transparent), arrow: widget.MakeMark(16),
		tile: widget.MakeTile(24), pieces: map[view.Column]*piece{}}
	r.back.CornerRadius = 7
	for _, c := range view.Columns[1:] {
		r.pieces[c] = newPiece(theme.Medium)
		if rightAligned(c) {
			r.pieces[c].Alignment = fyne.TextAlignTrailing
		}
	}
	r.pieces[view.ColumnProgram].TextStyle.Bold = true
	r.pieces[view.ColumnDestination].cut = widget.CutStart
	r.address, r.port = newPiece(12), newPiece(12)
	r.ExtendBaseWidget(r)
	return r
}

func newPiece(points float32) *piece {
	t := canvas.NewText("", color.Transparent)
	t.TextSize = points
	return &piece{Text: t, cut: widget.CutEnd}
}

// set shows a connection.
func (r *connectionRow) set(index int, f flow.Flow, chosen bool) {
	r.index, r.flow, r.chosen = index, f, chosen
	r.draw()
}

func (r *connectionRow) draw() {
	if r.flow.Process == nil {
		return
	}
	f := r.flow
	cells := place(r.Size().Width)
	arrow := "out"
	if f.Direction == flow.In {
		arrow = "in"
	}
	r.arrow.Set(arrow, theme.Muted)
	name := view.ProgramName(f.Process)
	glyph, known := view.ProgramGlyph(f.Process)
	r.tile.Set(name, glyph, known, r.page.w.icon(f.Process.Icon))
	say := func(c view.Column, s string, color fyne.ThemeColorName) { r.pieces[c].say(s, cells[c].width, color) }
	r.pieces[view.ColumnProgram].say(name, cells[view.ColumnProgram].width-34, theme.Foreground)
	r.drawDestination(cells[view.ColumnDestination])
	service, port := view.ServiceLabel(f)
	if service == "" {
		service, port = port, ""
	}
	say(view.ColumnService, service, theme.Foreground)
	at := fyne.MeasureText(service, theme.Medium, fyne.TextStyle{}).Width + 6
	r.port.say(port, max(0, cells[view.ColumnService].width-at), theme.Muted)
	r.portAt = cells[view.ColumnService].x + at
	say(view.ColumnSent, view.Bytes(f.Bytes.Sent), theme.Foreground)
	say(view.ColumnReceived, view.Bytes(f.Bytes.Received), theme.Foreground)
	say(view.ColumnSince, view.Moment(f.Time, r.page.w.clock.Now()), theme.Muted)
	say(view.ColumnBy, view.DecidedBy(f.Decision), verdictColor(f.Decision.Verdict))
	r.place()
	r.drawBack()
}

// drawDestination shows the name, and the address in what room is left.
func (r *connectionRow) drawDestination(at cell) {
	host, address := view.Destination(r.flow.Remote)
	p := r.pieces[view.ColumnDestination]
	p.say(host, at.width, theme.Foreground)
	used := fyne.MeasureText(p.Text.Text, p.TextSize, p.TextStyle).Width + 8
	room := at.width - used
	if room < 56 {
		address = ""
	}
	r.address.say(address, max(0, room), theme.Muted)
	r.nameEnds = at.x + used
}

func verdictColor(v flow.Verdict) fyne.ThemeColorName {
	switch v {
	case flow.Waiting:
		return theme.Warn
	case flow.Block:
		return theme.Bad
	}
	return theme.Muted
}

func (r *connectionRow) place() {
	size := r.Size()
	cells := place(size.Width)
	r.back.Move(fyne.NewPos(4, 1))
	r.back.Resize(fyne.NewSize(size.Width-8, size.Height-2))
	r.arrow.Move(fyne.NewPos(cells[view.ColumnDirection].x+6, (size.Height-16)/2))
	r.tile.Move(fyne.NewPos(cells[view.ColumnProgram].x, (size.Height-24)/2))
	put := func(t *piece, x, width float32) {
		t.Move(fyne.NewPos(x, 0))
		t.Resize(fyne.NewSize(width, size.Height))
	}
	for c, t := range r.pieces {
		at := cells[c]
		if c == view.ColumnProgram {
			at.x, at.width = at.x+34, at.width-34
		}
		put(t, at.x, at.width)
	}
	put(r.address, r.nameEnds, r.address.width)
	put(r.port, r.portAt, r.port.width)
}

func (r *connectionRow) drawBack() {
	c := color.Color(color.Transparent)
	switch {
	case r.chosen:
		c = theme.Of(theme.Selected)
	case r.hovered:
		c = theme.Of(theme.Hovered)
	}
	if c != r.back.FillColor {
		r.back.FillColor = c
		r.back.Refresh()
	}
}

// Tapped makes the row the chosen one.
func (r *connectionRow) Tapped(*fyne.PointEvent) { r.page.choose(r.flow) }

// TappedSecondary chooses the row and offers what can be done with it.
func (r *connectionRow) TappedSecondary(e *fyne.PointEvent) {
	r.page.choose(r.flow)
	r.page.menu(r, e.AbsolutePosition)
}

func (r *connectionRow) MouseIn(*desktop.MouseEvent)    { r.hovered = true; r.drawBack() }
func (r *connectionRow) MouseMoved(*desktop.MouseEvent) {}
func (r *connectionRow) MouseOut()                      { r.hovered = false; r.drawBack() }

func (r *connectionRow) CreateRenderer() fyne.WidgetRenderer { return &connectionRenderer{r} }

type connectionRenderer struct{ r *connectionRow }

func (x *connectionRenderer) Destroy()           {}
func (x *connectionRenderer) MinSize() fyne.Size { return fyne.NewSize(480, rowHeight) }
func (x *connectionRenderer) Layout(fyne.Size)   { x.r.draw() }
func (x *connectionRenderer) Refresh()           { x.r.draw() }

func (x *connectionRenderer) Objects() []fyne.CanvasObject {
	o := append([]fyne.CanvasObject{x.r.back, x.r.arrow.Image}, x.r.tile.Objects()...)
	for _, c := range view.Columns[1:] {
		o = append(o, x.r.pieces[c].Text)
	}
	return append(o, x.r.address.Text, x.r.port.Text)
}
