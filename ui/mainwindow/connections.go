package mainwindow

import (
	"context"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	fynewidget "fyne.io/fyne/v2/widget"

	"sekisho/app/flow"
	"sekisho/ui/text"
	"sekisho/ui/theme"
	"sekisho/ui/view"
	"sekisho/ui/widget"
)

// connectionsPage is the list of live connections.
type connectionsPage struct {
	w       *Window
	root    fyne.CanvasObject
	count   *widget.Text
	field   *searchField
	list    *fynewidget.List
	empty   *emptyState
	details *details

	flows  *view.Connections
	heard  bool // the service has sent the list
	onTop  bool // this page is on screen
	stale  bool // something changed while it wasn't
	chosen string
}

func newConnectionsPage(w *Window) *connectionsPage {
	p := &connectionsPage{w: w, flows: view.NewConnections()}
	p.count = widget.NewText("", theme.Normal, false, theme.Muted)
	p.field = newSearchField(text.T("connections.search"), func(f view.Filter) {
		if p.flows.SetFilter(f) {
			p.list.ScrollToTop()
			p.redraw()
		}
	})
	p.list = fynewidget.NewList(p.flows.Len,
		func() fyne.CanvasObject { return newConnectionRow(p) },
		func(i int, o fyne.CanvasObject) {
			if i < p.flows.Len() {
				f := p.flows.At(i).Flow()
				o.(*connectionRow).set(i, f, f.ID == p.chosen)
			}
		})
	p.list.HideSeparators = true
	p.list.OnSelected = func(i int) { // by Space; rows are tapped themselves
		p.list.UnselectAll()
		p.choose(p.flows.At(i).Flow())
	}
	p.empty = newEmptyState()
	p.details = newDetails(p)
	table := widget.NewCard(container.NewBorder(newHeader(p), nil, nil, nil, widget.Inset(2, 2, 0, 0, container.NewStack(p.list, p.empty.root))), 1)
	p.root = container.NewBorder(newHeading(text.T("page.connections"), p.count, p.field), p.details.root, nil, nil, table)
	p.redraw()
	return p
}

func (p *connectionsPage) object() fyne.CanvasObject { return p.root }
func (p *connectionsPage) search()                   { p.field.focus() }
func (p *connectionsPage) rulesChanged()             {}

func (p *connectionsPage) seen(on bool) {
	p.onTop = on
	if on && p.stale {
		p.redraw()
	}
}

// tick draws nothing: times of the day don't change with time.
func (p *connectionsPage) tick() {}

// sort brings the rows into another order.
func (p *connectionsPage) sort(o view.Order) {
	p.flows.SetOrder(o)
	p.list.ScrollToTop()
	p.redraw()
}

// sync takes all connections, and what happened since they were listed.
func (p *connectionsPage) sync(flows, since []flow.Flow) {
	first := !p.heard
	p.heard = true
	changed := p.flows.Sync(flows)
	if p.flows.Apply(since) || changed || first {
		p.changed()
	}
}

// apply takes what happened.
func (p *connectionsPage) apply(changes []flow.Flow) {
	if p.flows.Apply(changes) {
		p.changed()
	}
}

// lost keeps the last list on screen: the strip says that it is old.
func (p *connectionsPage) lost() {}

func (p *connectionsPage) changed() {
	p.w.strip.count(p.flows.Total())
	if !p.onTop {
		p.stale = true
		return
	}
	p.redraw()
}

func (p *connectionsPage) redraw() {
	p.stale = false
	n, total := p.flows.Len(), p.flows.Total()
	switch {
	case !p.heard:
		p.count.SetText("")
		p.empty.show("link", text.T("connections.loading.title"), text.T("connections.loading.text"))
	case total == 0:
		p.count.SetText("")
		p.empty.show("link", text.T("connections.empty.title"), text.T("connections.empty.text"))
	case n == 0:
		p.count.SetText(text.T("connections.some", "N", view.Number(uint64(n)), "Total", view.Number(uint64(total))))
		p.empty.show("search", text.T("connections.nothing.title"), text.T("connections.nothing.text"))
	case n < total:
		p.count.SetText(text.T("connections.some", "N", view.Number(uint64(n)), "Total", view.Number(uint64(total))))
		p.empty.show("", "", "")
	default:
		p.count.SetText(text.T("connections.total", "N", view.Number(uint64(total))))
		p.empty.show("", "", "")
	}
	p.list.Refresh()
	p.updateDetails()
}

// choose marks a connection and shows what can be done with it.
func (p *connectionsPage) choose(f flow.Flow) {
	if p.chosen == f.ID {
		return
	}
	p.chosen = f.ID
	p.details.show(f, true)
	p.list.Refresh()
}

// unchoose closes the details.
func (p *connectionsPage) unchoose() {
	p.chosen = ""
	p.details.hide()
	p.list.Refresh()
}

// updateDetails follows the chosen connection; one that has ended stays in view.
func (p *connectionsPage) updateDetails() {
	if p.chosen == "" {
		return
	}
	if r := p.flows.Get(p.chosen); r != nil {
		p.details.show(r.Flow(), true)
	} else {
		p.details.show(p.details.flow, false)
	}
}

func (p *connectionsPage) menu(at fyne.CanvasObject, where fyne.Position) {
	f := p.details.flow
	block := fyne.NewMenuItem(text.T("connections.block"), func() { p.block(f) })
	if _, ok := view.BlockFromNow(f); !ok {
		block.Disabled = true
	}
	m := fyne.NewMenu("", block, fyne.NewMenuItem(text.T("connections.copy"), func() { p.copy(f) }))
	if c := fyne.CurrentApp().Driver().CanvasForObject(at); c != nil {
		fynewidget.ShowPopUpMenuAtPosition(m, c, where)
	}
}

// block adds the rule that blocks what f is, and offers to take it back.
func (p *connectionsPage) block(f flow.Flow) {
	r, ok := view.BlockFromNow(f)
	if !ok {
		return
	}
	w := p.w
	w.calls.add(func(ctx context.Context) {
		added, err := w.client.AddRule(ctx, r, 0)
		w.do(func() {
			if err != nil {
				w.failed(err)
				return
			}
			w.RulesChanged()
			said := text.T("rules.added", "Sentence", view.Plain(view.Sentence(added, w.clock.Now())))
			w.notice.show(said, false, func() { w.removeRule(added.ID) })
		})
	})
}

func (p *connectionsPage) copy(f flow.Flow) {
	fyne.CurrentApp().Clipboard().SetContent(view.Describe(f))
	p.w.notice.show(text.T("connections.copied"), false, nil)
}
