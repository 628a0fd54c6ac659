// Package prompt is the content of the prompt window: it shows one view.Question and
// reports what the person answers. It knows no service and no native window; package
// native puts it on screen and package ui connects the two.
//
// Everything here belongs to Fyne's goroutine. Nothing runs by itself: whoever shows a
// View calls Tick about every fifth of a second while it is in sight.
package prompt

import (
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/layout"

	"sekisho/app/prompt"
	"sekisho/app/rule"
	"sekisho/ui/text"
	"sekisho/ui/theme"
	"sekisho/ui/view"
	"sekisho/ui/widget"
)

// ArmDelay is how long buttons and keys do nothing after the window or its content
// changed: a click or a key that was meant for something else must not answer.
const ArmDelay = 800 * time.Millisecond

// Width is the width of the content.
const Width float32 = 460

const inner = Width - 40 // without the margins

// Actions are what a person can do; all are called on Fyne's goroutine.
type Actions struct {
	Answer func(id string, a prompt.Answer)
	Later  func()
	Step   func(by int) // show the next or the one before
	Resize func()       // the content needs another size
	Icon   func(name string) fyne.Resource
}

// View is the content of the prompt window.
type View struct {
	root     *fyne.Container
	do       Actions
	now      func() time.Time
	q        view.Question
	others   string
	busy     bool // an answer is on its way
	armed    bool
	armAt    time.Time
	problem  *widget.Text
	lifetime *widget.Seg
	scope    *widget.Seg
	preview  *widget.Text
	details  *widget.Fold
	count    *widget.Text
	bar      *widget.Bar
	queue    *widget.Text
	queueRow *fyne.Container
	allow    *widget.Btn
	block    *widget.Btn
	later    *widget.Btn
	previous *widget.Btn
	next     *widget.Btn
}

// New returns an empty view; now is the clock.
func New(do Actions, now func() time.Time) *View {
	return &View{do: do, now: now, root: container.NewStack()}
}

// Root is what goes into the window.
func (v *View) Root() fyne.CanvasObject { return v.root }

// Question is the one that is shown.
func (v *View) Question() view.Question { return v.q }

// Show puts a question on screen, with what is said of the others that wait. If a person
// would see a difference to what was there, the buttons wait again.
func (v *View) Show(q view.Question, others string) {
	same := v.allow != nil && q.SameAs(v.q)
	v.q = q
	if same {
		v.setOthers(others)
		v.Tick()
		return
	}
	v.busy = false
	open := v.details != nil && v.details.Open()
	v.build()
	if open {
		v.details.Toggle()
	}
	v.setOthers(others)
	v.Rearm()
	v.root.Refresh()
	v.resize()
}

// Rearm makes the buttons and keys wait for ArmDelay again: the window has appeared.
func (v *View) Rearm() {
	v.armAt = v.now().Add(ArmDelay)
	v.setArmed(false)
	v.Tick()
}

// Tick brings the countdown up to date and arms the buttons when it is time.
func (v *View) Tick() {
	if v.allow == nil {
		return
	}
	now := v.now()
	sentence, left := v.q.Countdown(now)
	v.count.SetText(sentence)
	v.bar.SetValue(left)
	if !v.armed && !v.busy && !now.Before(v.armAt) {
		v.setArmed(true)
	}
}

// Armed reports whether an answer would count now.
func (v *View) Armed() bool { return v.armed }

// Fail says that the answer did not get through and lets the person answer again.
func (v *View) Fail(sentence string) {
	v.busy = false
	v.problem.S = sentence
	v.problem.Show()
	v.problem.Refresh()
	v.Rearm()
	v.resize()
}

func (v *View) setArmed(on bool) {
	v.armed = on
	if v.allow == nil {
		return
	}
	for _, b := range []*widget.Btn{v.allow, v.block, v.later} {
		b.SetInert(!on)
	}
}

func (v *View) answer(a rule.Action) {
	// The clock is asked again: a tick may be late, but never early.
	if v.allow == nil || v.busy || !v.armed || v.now().Before(v.armAt) {
		return
	}
	v.busy = true
	v.setArmed(false)
	v.do.Answer(v.q.ID, v.q.Answer(a, v.lifetime.Selected, v.scope.Selected))
}

// AddShortcuts makes Alt+A, Alt+B and Escape work in a window.
func (v *View) AddShortcuts(c fyne.Canvas) {
	c.AddShortcut(&desktop.CustomShortcut{KeyName: fyne.KeyA, Modifier: fyne.KeyModifierAlt},
		func(fyne.Shortcut) { v.answer(rule.Allow) })
	c.AddShortcut(&desktop.CustomShortcut{KeyName: fyne.KeyB, Modifier: fyne.KeyModifierAlt},
		func(fyne.Shortcut) { v.answer(rule.Block) })
	c.SetOnTypedKey(v.key)
}

// key hears Escape, from the window and from whatever has the focus in it.
func (v *View) key(k *fyne.KeyEvent) {
	if k.Name == fyne.KeyEscape {
		v.postpone()
	}
}

func (v *View) postpone() {
	if v.armed {
		v.do.Later()
	}
}

func (v *View) resize() {
	if v.do.Resize != nil {
		v.do.Resize()
	}
}

func (v *View) setOthers(s string) {
	was := v.queueRow.Visible()
	v.others = s
	v.queue.SetText(s)
	if s == "" {
		v.queueRow.Hide()
	} else {
		v.queueRow.Show()
	}
	if was != v.queueRow.Visible() {
		v.root.Refresh()
		v.resize()
	}
}

func (v *View) sayPreview(int) {
	v.preview.SetText(v.q.Preview(v.lifetime.Selected, v.scope.Selected))
}

// build makes the widgets for the question, top to bottom.
func (v *View) build() {
	v.bar = widget.NewBar(theme.Accent)
	if len(v.q.Warnings) > 0 {
		v.bar.Color = theme.BlockFill
	}
	column := widget.VBox(
		v.buildQueue(),
		v.buildHead(), widget.Gap(14),
		v.buildObject(),
		v.buildWarnings(), widget.Gap(12),
		v.buildFacts(), widget.Gap(6),
		v.buildChoices(), widget.Gap(10),
		widget.NewLine(), widget.Gap(6),
		v.buildFoot(),
		v.details.Body, widget.Gap(8),
		v.buildButtons(),
	)
	v.root.Objects = []fyne.CanvasObject{
		widget.NewBackground(),
		widget.Space(Width, 0),
		container.NewBorder(v.bar, nil, nil, nil, widget.Inset(14, 16, 20, 20, column)),
	}
}

func (v *View) buildQueue() fyne.CanvasObject {
	v.queue = widget.NewElided("", theme.Small, false, theme.Muted, widget.CutEnd)
	v.queue.Fixed = true
	v.previous = widget.NewLinkBtn("", "left", func() { v.do.Step(-1) })
	v.next = widget.NewLinkBtn("", "right", func() { v.do.Step(1) })
	v.previous.OnKey, v.next.OnKey = v.key, v.key
	v.queueRow = widget.VBox(
		container.NewBorder(nil, nil, nil, widget.HBox(2, v.previous, v.next), widget.Middle(v.queue)),
		widget.Gap(8))
	v.queueRow.Hide()
	return v.queueRow
}

func (v *View) buildFoot() fyne.CanvasObject {
	v.count = widget.NewElided("", theme.Small, false, theme.Muted, widget.CutEnd)
	v.count.Align = fyne.TextAlignTrailing
	var rows []fyne.CanvasObject
	for _, d := range v.q.Details {
		value := widget.NewElided(d.Value, 12, false, theme.Foreground, widget.CutMiddle)
		value.Mono, value.Fixed = d.Mono, true
		rows = append(rows, widget.NewText(d.Key, 12, false, theme.Muted), value)
	}
	v.details = widget.NewFold(text.T("prompt.details"),
		widget.Inset(6, 0, 0, 0, widget.NewCard(widget.NewKeyValues(14, 4, rows...), 12)))
	v.details.OnToggle, v.details.OnKey = v.resize, v.key
	return container.NewBorder(nil, nil, v.details.Header, nil, widget.Middle(v.count))
}

func (v *View) buildButtons() fyne.CanvasObject {
	v.block = widget.NewBtn(text.T("prompt.block"), "Alt+B", theme.OnAccent, theme.BlockFill, theme.BlockHover, func() { v.answer(rule.Block) })
	v.allow = widget.NewBtn(text.T("prompt.allow"), "Alt+A", theme.OnAccent, theme.AllowFill, theme.AllowHover, func() { v.answer(rule.Allow) })
	v.allow.NoKeys = true // Enter and Space never allow
	v.later = widget.NewLinkBtn(text.T("prompt.later"), "clock", v.postpone)
	for _, b := range []*widget.Btn{v.block, v.allow, v.later} {
		b.OnKey = v.key
	}
	v.problem = widget.NewElided("", theme.Small, false, theme.Bad, widget.CutEnd)
	v.problem.Hide()
	return widget.VBox(
		v.problem,
		widget.Halves(10, v.block, v.allow), widget.Gap(4),
		container.NewHBox(layout.NewSpacer(), v.later, layout.NewSpacer()),
	)
}

// ToggleDetails opens or closes the details.
func (v *View) ToggleDetails() { v.details.Toggle() }
