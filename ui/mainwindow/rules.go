package mainwindow

import (
	"context"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	fynewidget "fyne.io/fyne/v2/widget"

	"sekisho/app/flow"
	"sekisho/app/rule"
	"sekisho/ui/text"
	"sekisho/ui/theme"
	"sekisho/ui/view"
	"sekisho/ui/widget"
)

// rulesPage is the list of rules, each a sentence with a switch.
type rulesPage struct {
	w     *Window
	root  fyne.CanvasObject
	count *widget.Text
	field *searchField
	list  *fynewidget.List
	empty *emptyState

	rules   view.Rules
	heard   bool
	onTop   bool
	fetches int // fetches that are on their way
}

func newRulesPage(w *Window) *rulesPage {
	p := &rulesPage{w: w}
	p.count = widget.NewText("", theme.Normal, false, theme.Muted)
	p.field = newSearchField(text.T("rules.search"), func(f view.Filter) {
		if p.rules.SetFilter(f) {
			p.list.ScrollToTop()
			p.redraw()
		}
	})
	p.list = fynewidget.NewList(p.rules.Len,
		func() fyne.CanvasObject { return newRuleRow(p) },
		func(i int, o fyne.CanvasObject) {
			if i < p.rules.Len() {
				o.(*ruleRow).set(p.rules.At(i))
			}
		})
	p.list.HideSeparators = true
	p.empty = newEmptyState()
	table := widget.NewCard(widget.Inset(4, 4, 0, 0, container.NewStack(p.list, p.empty.root)), 1)
	p.root = container.NewBorder(newHeading(text.T("page.rules"), p.count, p.field), nil, nil, nil, table)
	p.redraw()
	return p
}

func (p *rulesPage) object() fyne.CanvasObject { return p.root }
func (p *rulesPage) search()                   { p.field.focus() }

func (p *rulesPage) seen(on bool) {
	p.onTop = on
	if on {
		p.redraw() // spans of time have gone on
	}
}

func (p *rulesPage) tick() { p.list.Refresh() }

// rulesChanged fetches the rules if anybody looks, on whichever page: that of the
// connections tells them too.
func (p *rulesPage) rulesChanged() {
	if p.w.seen {
		p.fetch()
	}
}

// fetch lists the rules anew. Many changes at once lead to two fetches at most: one that
// is on its way and one that begins after the last change.
func (p *rulesPage) fetch() {
	if p.fetches == 2 {
		return
	}
	p.fetches++
	p.w.calls.add(func(ctx context.Context) {
		rules, err := p.w.client.Rules(ctx)
		p.w.do(func() {
			p.fetches--
			if err == nil { // else they are fetched when the service is back
				p.take(rules)
			}
		})
	})
}

func (p *rulesPage) take(rules []rule.Rule) {
	p.heard = true
	p.rules.Replace(rules)
	if p.onTop {
		p.redraw()
	}
	p.w.connections.updateDetails()
}

func (p *rulesPage) redraw() {
	n, total := p.rules.Len(), p.rules.Total()
	switch {
	case !p.heard:
		p.count.SetText("")
		p.empty.show("list", text.T("connections.loading.title"), text.T("connections.loading.text"))
	case total == 0:
		p.count.SetText("")
		p.empty.show("list", text.T("rules.empty.title"), text.T("rules.empty.text"))
	case n == 0:
		p.count.SetText(text.T("rules.some", "N", n, "Total", total))
		p.empty.show("search", text.T("rules.nothing.title"), text.T("rules.nothing.text"))
	case n < total:
		p.count.SetText(text.T("rules.some", "N", n, "Total", total))
		p.empty.show("", "", "")
	default:
		p.count.SetText(text.T("rules.total", "N", total))
		p.empty.show("", "", "")
	}
	p.list.Refresh()
}

// enable switches a rule on or off. The switch has moved already; it moves back by
// itself if the service refuses.
func (p *rulesPage) enable(r rule.Rule, on bool) {
	w := p.w
	w.calls.add(func(ctx context.Context) {
		err := w.client.EnableRule(ctx, r.ID, on)
		w.do(func() {
			if err != nil {
				w.failed(err)
			}
			w.RulesChanged()
		})
	})
}

// remove deletes a rule and offers to bring it back.
func (p *rulesPage) remove(r rule.Rule) {
	w := p.w
	w.calls.add(func(ctx context.Context) {
		err := w.client.RemoveRule(ctx, r.ID)
		w.do(func() {
			w.RulesChanged()
			if err != nil {
				w.failed(err)
				return
			}
			said := text.T("rules.deleted", "Sentence", view.Plain(view.Sentence(r, w.clock.Now())))
			w.notice.show(said, false, func() { w.restoreRule(r) })
		})
	})
}

// removeRule takes back a rule that was just added.
func (w *Window) removeRule(id string) {
	w.calls.add(func(ctx context.Context) {
		err := w.client.RemoveRule(ctx, id)
		w.do(func() {
			w.RulesChanged()
			if err != nil {
				w.failed(err)
			}
		})
	})
}

// restoreRule adds a deleted rule again, with what is left of its time.
func (w *Window) restoreRule(r rule.Rule) {
	w.calls.add(func(ctx context.Context) {
		var span time.Duration
		if r.Lifetime.Kind == rule.Until {
			span = max(time.Second, r.Lifetime.Until.Sub(w.clock.Now()))
		}
		_, err := w.client.AddRule(ctx, r, span)
		w.do(func() {
			w.RulesChanged()
			if err != nil {
				w.failed(err)
			}
		})
	})
}

// ruleSentence is the sentence of the rule that decided something, "" if it was no rule
// or isn't known here.
func (w *Window) ruleSentence(by flow.By) string {
	if by.Kind != flow.ByRule {
		return ""
	}
	for _, p := range w.pages {
		if rules, ok := p.(*rulesPage); ok {
			if r, found := rules.rules.Get(by.ID); found {
				return view.Plain(view.Sentence(r, w.clock.Now()))
			}
		}
	}
	return ""
}
