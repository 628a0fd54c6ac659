package mainwindow

import (
	"image/color"
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/driver/desktop"
	fynewidget "fyne.io/fyne/v2/widget"

	"sekisho/app/rule"
	"sekisho/ui/text"
	"sekisho/ui/theme"
	"sekisho/ui/view"
	"sekisho/ui/widget"
)

const ruleHeight float32 = 64

// ruleRow is one rule: whose it is, what it does, how long and how often, its switch
// and its bin.
type ruleRow struct {
	fynewidget.BaseWidget
	page     *rulesPage
	rule     rule.Rule
	back     *canvas.Rectangle
	tile     *widget.Tile
	badge    *canvas.Circle
	mark     *widget.Mark
	sentence *widget.Sentence
	facts    *widget.Text
	pill     *widget.Pill
	onOff    *widget.Switch
	bin      *widget.Btn
	hovered  bool
	said     string
}

func newRuleRow(p *rulesPage) *ruleRow {
	r := &ruleRow{page: p, back: canvas.NewRectangle(color.Transparent), tile: widget.MakeTile(36),
		badge: canvas.NewCircle(nil), mark: widget.MakeMark(11)}
	r.back.CornerRadius = 9
	r.sentence = widget.NewSentence(theme.Normal, theme.Foreground)
	r.facts = widget.NewElided("", theme.Small, false, theme.Muted, widget.CutMiddle)
	r.facts.Fixed = true
	r.pill = widget.NewPill("clock", "", theme.Warn, theme.WarnFill)
	r.onOff = widget.NewSwitch(true, func(on bool) {
		r.rule.Enabled = on
		r.draw()
		p.enable(r.rule, on)
	})
	r.bin = widget.NewLinkBtn("", "trash", func() { p.remove(r.rule) })
	r.bin.Height = 34
	r.ExtendBaseWidget(r)
	return r
}

// set shows a rule.
func (r *ruleRow) set(x rule.Rule) {
	r.rule = x
	r.draw()
}

func (r *ruleRow) draw() {
	x, now := r.rule, r.page.w.clock.Now()
	off := !x.Enabled
	r.tile.Set(view.RuleProgram(x.Program), view.RuleGlyph(x.Program), true, r.icon())
	r.tile.Fade(off)
	r.drawBadge(off)
	tone := theme.Foreground
	if off {
		tone = theme.Muted
	}
	spans := view.Sentence(x, now)
	if said := view.Plain(spans); said != r.said || r.sentence.Color != tone {
		r.said = said
		r.sentence.Set(pieces(spans), tone)
	}
	r.facts.SetText(view.RuleFacts(x, now))
	left := view.LifetimeLeft(x.Lifetime, now)
	if left != r.pill.S {
		r.pill.Set("clock", left, theme.Warn, theme.WarnFill)
	}
	if left == "" {
		r.pill.Hide()
	} else {
		r.pill.Show()
	}
	r.onOff.Set(x.Enabled)
	r.place()
	r.drawBack()
}

// pieces are a sentence as a widget takes it.
func pieces(spans []view.Span) []widget.Piece {
	out := make([]widget.Piece, len(spans))
	for i, s := range spans {
		out[i] = widget.Piece{S: s.Text, Bold: s.Strong}
	}
	return out
}

// icon is the picture of a program that is installed under its own name; a file
// elsewhere gets none, or it could borrow a trusted program's face.
func (r *ruleRow) icon() fyne.Resource {
	p := r.rule.Program
	if p.Script == "" && strings.HasPrefix(p.Path, "/usr/bin/") {
		return r.page.w.icon(strings.TrimPrefix(p.Path, "/usr/bin/"))
	}
	return nil
}

// drawBadge marks the tile's corner with what the rule does.
func (r *ruleRow) drawBadge(off bool) {
	fill, glyph := theme.GoodMark, "check"
	if r.rule.Action == rule.Block {
		fill, glyph = theme.BlockFill, "cross"
	}
	if off {
		fill = theme.Groove
	}
	r.mark.Set(glyph, theme.OnAccent)
	edge := theme.Of(theme.CardFill)
	if c := theme.Of(fill); r.badge.FillColor != c || r.badge.StrokeColor != edge {
		r.badge.FillColor, r.badge.StrokeColor, r.badge.StrokeWidth = c, edge, 2
		r.badge.Refresh()
	}
}

func (r *ruleRow) place() {
	s := r.Size()
	r.back.Move(fyne.NewPos(5, 1))
	r.back.Resize(fyne.NewSize(s.Width-10, s.Height-2))
	top := (s.Height - 36) / 2
	r.tile.Move(fyne.NewPos(18, top))
	r.badge.Move(fyne.NewPos(18+36-12, top+36-13))
	r.badge.Resize(fyne.NewSquareSize(19))
	r.mark.Move(fyne.NewPos(18+36-12+4, top+36-13+4))
	right := s.Width - 16
	put := func(o fyne.CanvasObject, gap float32) {
		m := o.MinSize()
		right -= m.Width
		o.Move(fyne.NewPos(right, (s.Height-m.Height)/2))
		o.Resize(m)
		right -= gap
	}
	put(r.bin, 8)
	put(r.onOff, 18)
	if r.pill.Visible() {
		put(r.pill, 14)
	}
	const x = 18 + 36 + 18
	h, h2 := r.sentence.MinSize().Height, r.facts.MinSize().Height
	y := (s.Height - h - h2 - 1) / 2
	r.sentence.Move(fyne.NewPos(x, y))
	r.sentence.Resize(fyne.NewSize(max(40, right-x), h))
	r.facts.Move(fyne.NewPos(x, y+h+1))
	r.facts.Resize(fyne.NewSize(max(40, right-x), h2))
}

func (r *ruleRow) drawBack() {
	c := color.Color(color.Transparent)
	if r.hovered {
		c = theme.Of(theme.Hovered)
	}
	if c != r.back.FillColor {
		r.back.FillColor = c
		r.back.Refresh()
	}
}

func (r *ruleRow) MouseIn(*desktop.MouseEvent)    { r.hovered = true; r.drawBack() }
func (r *ruleRow) MouseMoved(*desktop.MouseEvent) {}
func (r *ruleRow) MouseOut()                      { r.hovered = false; r.drawBack() }

// Tapped leaves the row as it is: only its switch and its bin do something.
func (r *ruleRow) Tapped(*fyne.PointEvent) {}

// TappedSecondary offers what the switch and the bin do.
func (r *ruleRow) TappedSecondary(e *fyne.PointEvent) {
	x := r.rule
	m := fyne.NewMenu("", fyne.NewMenuItem(text.T("rules.delete"), func() { r.page.remove(x) }))
	if c := fyne.CurrentApp().Driver().CanvasForObject(r); c != nil {
		fynewidget.ShowPopUpMenuAtPosition(m, c, e.AbsolutePosition)
	}
}

func (r *ruleRow) CreateRenderer() fyne.WidgetRenderer { return &ruleRenderer{r} }

type ruleRenderer struct{ r *ruleRow }

func (x *ruleRenderer) Destroy()           {}
func (x *ruleRenderer) MinSize() fyne.Size { return fyne.NewSize(480, ruleHeight) }
func (x *ruleRenderer) Layout(fyne.Size)   { x.r.draw() }

func (x *ruleRenderer) Refresh() {
	x.r.draw()
	x.r.sentence.Refresh()
	x.r.facts.Refresh()
	x.r.pill.Refresh()
	x.r.onOff.Refresh()
	x.r.bin.Refresh()
}

func (x *ruleRenderer) Objects() []fyne.CanvasObject {
	r := x.r
	o := append([]fyne.CanvasObject{r.back}, r.tile.Objects()...)
	return append(o, r.badge, r.mark.Image, r.sentence, r.facts, r.pill, r.onOff, r.bin)
}
