package mainwindow

import (
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"

	"sekisho/ui/text"
	"sekisho/ui/theme"
	"sekisho/ui/widget"
)

// undoTime is how long something can be undone.
const undoTime = 10 * time.Second

// notice is a bar above the strip that says what was just done, with a button that
// undoes it. It goes by itself after undoTime.
type notice struct {
	clock Clock
	do    func(func())
	root  fyne.CanvasObject
	card  *widget.Card
	glyph *widget.GlyphIcon
	words *widget.Text
	undo  *widget.Btn
	back  func()
	shown int // counts notices, so that the timer of an older one hides no newer one
	stop  func() bool
}

func newNotice(c Clock, do func(func())) *notice {
	n := &notice{clock: c, do: do, stop: func() bool { return false }}
	n.glyph = widget.NewGlyph("info", theme.Accent, 18)
	n.words = widget.NewElided("", theme.Medium, false, theme.Foreground, widget.CutEnd)
	n.words.Fixed = true
	n.undo = widget.NewSmallBtn(text.T("undo"), "undo", n.tapped)
	n.undo.Height = 30
	shut := widget.NewLinkBtn("", "cross", n.hide)
	n.card = widget.NewCard(container.NewBorder(nil, nil, widget.Inset(0, 0, 4, 8, widget.Middle(n.glyph)),
		widget.HBox(6, widget.Middle(n.undo), widget.Middle(shut)), widget.Middle(n.words)), 8)
	n.root = widget.Inset(0, 14, 20, 20, n.card)
	n.root.Hide()
	return n
}

func (n *notice) object() fyne.CanvasObject { return n.root }

// show says something; back undoes it and may be nil.
func (n *notice) show(s string, bad bool, back func()) {
	n.stop()
	n.shown++
	n.back = back
	n.glyph.Name, n.glyph.Color, n.card.Fill, n.card.Line = "check", theme.Good, theme.CardFill, theme.CardLine
	if bad {
		n.glyph.Name, n.glyph.Color, n.card.Fill, n.card.Line = "warn", theme.Bad, theme.BadFill, theme.BadFill
	}
	n.words.S = s
	n.undo.Hide()
	if back != nil {
		n.undo.Show()
	}
	n.root.Show()
	n.root.Refresh()
	mine := n.shown
	n.stop = n.clock.AfterFunc(undoTime, func() {
		n.do(func() {
			if n.shown == mine {
				n.hide()
			}
		})
	})
}

func (n *notice) tapped() {
	back := n.back
	n.hide()
	if back != nil {
		back()
	}
}

func (n *notice) hide() {
	n.stop()
	n.back = nil
	n.root.Hide()
}
