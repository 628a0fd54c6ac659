package mainwindow

import (
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	fynewidget "fyne.io/fyne/v2/widget"

	"sekisho/app/flow"
	"sekisho/ui/text"
	"sekisho/ui/theme"
	"sekisho/ui/view"
	"sekisho/ui/widget"
)

// details is the card under the list: the chosen connection and what can be done with
// it.
type details struct {
	page  *connectionsPage
	root  fyne.CanvasObject
	tile  *widget.Tile
	title *widget.Sentence
	facts *widget.Text
	block *widget.Btn
	flow  flow.Flow
}

func newDetails(p *connectionsPage) *details {
	d := &details{page: p, tile: widget.MakeTile(40)}
	d.title = widget.NewSentence(15, theme.Foreground)
	d.facts = widget.NewElided("", theme.Small, false, theme.Muted, widget.CutMiddle)
	d.facts.Fixed = true
	d.block = widget.NewBtn(text.T("connections.block"), "", theme.Bad, theme.BadFill, theme.BadHover, func() { p.block(d.flow) })
	d.block.Glyph, d.block.Points, d.block.Height = "block", 13, 34
	copied := widget.NewSmallBtn(text.T("connections.copy"), "copy", func() { p.copy(d.flow) })
	copied.Height = 34
	shut := widget.NewLinkBtn("", "cross", p.unchoose)
	buttons := widget.HBox(8, widget.Middle(d.block), widget.Middle(copied), widget.Middle(shut))
	words := widget.Inset(0, 0, 10, 10, widget.Middle(widget.VBox(d.title, widget.Gap(2), d.facts)))
	card := widget.NewCard(container.NewBorder(nil, nil, widget.Middle(newTileHolder(d.tile, 40)), buttons, words), 12)
	d.root = widget.Inset(12, 0, 0, 0, card)
	d.root.Hide()
	return d
}

// show brings the details of a connection, which is live or has ended.
func (d *details) show(f flow.Flow, live bool) {
	d.flow = f
	name := view.ProgramName(f.Process)
	glyph, known := view.ProgramGlyph(f.Process)
	d.tile.Set(name, glyph, known, d.page.w.icon(f.Process.Icon))
	_, address := view.Destination(f.Remote)
	d.title.Set(pieces(view.Headline(f)), theme.Foreground)
	var facts []string
	for _, s := range []string{d.verdict(f, live), address, path(f.Process)} {
		if s != "" {
			facts = append(facts, s)
		}
	}
	_, ok := view.BlockFromNow(f)
	d.block.SetInert(!ok)
	if !ok {
		facts = append(facts, text.T("connections.no-program"))
	}
	d.facts.SetText(strings.Join(facts, "  ·  "))
	if !d.root.Visible() {
		d.root.Show()
		d.root.Refresh()
	}
}

// verdict says how it stands with the connection: what let it through, or that it has
// ended. Of a rule the whole sentence is told where it is known.
func (d *details) verdict(f flow.Flow, live bool) string {
	by := view.DecidedBy(f.Decision)
	if s := d.page.w.ruleSentence(f.Decision.By); s != "" {
		by = s
	}
	switch {
	case !live:
		return text.T("connections.ended")
	case f.Decision.Verdict == flow.Waiting:
		return by
	case f.Decision.Verdict == flow.Block:
		return text.T("connections.blocked-by", "By", by)
	}
	return text.T("connections.allowed-by", "By", by)
}

func path(p *flow.Process) string {
	if p.Script != "" {
		return text.Safe(p.Script)
	}
	return text.Safe(p.Path)
}

func (d *details) hide() { d.root.Hide() }

// tileHolder lets a Tile stand among widgets.
type tileHolder struct {
	fynewidget.BaseWidget
	tile *widget.Tile
	px   float32
}

func newTileHolder(t *widget.Tile, px float32) *tileHolder {
	h := &tileHolder{tile: t, px: px}
	h.ExtendBaseWidget(h)
	return h
}

func (h *tileHolder) CreateRenderer() fyne.WidgetRenderer { return &tileRenderer{h} }

type tileRenderer struct{ h *tileHolder }

func (r *tileRenderer) Destroy()                     {}
func (r *tileRenderer) MinSize() fyne.Size           { return fyne.NewSquareSize(r.h.px) }
func (r *tileRenderer) Layout(fyne.Size)             {}
func (r *tileRenderer) Refresh()                     { canvas.Refresh(r.h) }
func (r *tileRenderer) Objects() []fyne.CanvasObject { return r.h.tile.Objects() }
