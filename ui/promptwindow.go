package ui

import (
	"time"

	"fyne.io/fyne/v2"

	"sekisho/app/prompt"
	"sekisho/ui/native"
	promptview "sekisho/ui/prompt"
	"sekisho/ui/text"
	"sekisho/ui/view"
)

// promptWindow shows the prompts that wait, one at a time, in one window that is used
// again and again. It belongs to Fyne's goroutine.
type promptWindow struct {
	float    *native.Floating
	content  *promptview.View
	queue    view.Queue
	all      []prompt.Prompt
	answered map[string]uint64 // generation of prompts whose answer is on its way or given
	stop     chan struct{}     // ends the ticking; nil while hidden
	settled  bool
}

// tick is how often the countdown is looked at.
const tick = 200 * time.Millisecond

func newPromptWindow(app fyne.App, appIcon fyne.Resource, icon func(string) fyne.Resource,
	answer func(id string, a prompt.Answer)) *promptWindow {
	w := &promptWindow{answered: map[string]uint64{}}
	w.float = native.NewFloating(app, text.T("prompt.window"), appIcon)
	w.content = promptview.New(promptview.Actions{
		Answer: func(id string, a prompt.Answer) {
			w.answered[id] = a.Generation
			answer(id, a)
			w.refresh()
		},
		Later:  func() { w.queue.Later(); w.refresh() },
		Step:   func(by int) { w.queue.Step(by); w.refresh() },
		Resize: w.resize,
		Icon:   icon,
	}, time.Now)
	w.float.Window().SetContent(w.content.Root())
	w.float.Window().SetCloseIntercept(func() { w.queue.Later(); w.refresh() })
	w.content.AddShortcuts(w.float.Window().Canvas())
	return w
}

// set takes the prompts as they are now.
func (w *promptWindow) set(prompts []prompt.Prompt) {
	w.all = prompts
	known := map[string]bool{}
	for _, p := range prompts {
		known[p.ID] = true
	}
	for id := range w.answered {
		if !known[id] {
			delete(w.answered, id)
		}
	}
	w.refresh()
}

// recall shows what was postponed too.
func (w *promptWindow) recall() {
	w.queue.Recall()
	w.refresh()
}

// failed brings a prompt back whose answer did not get through.
func (w *promptWindow) failed(id string, sentence string) {
	delete(w.answered, id)
	w.refresh()
	if p, ok := w.queue.Current(); ok && p.ID == id {
		w.content.Fail(sentence)
	}
}

// refresh brings the window up to date with the queue. A prompt that was answered is
// left out until the service says something new about it.
func (w *promptWindow) refresh() {
	waiting := make([]prompt.Prompt, 0, len(w.all))
	for _, p := range w.all {
		if g, ok := w.answered[p.ID]; !ok || p.Generation > g {
			waiting = append(waiting, p)
		}
	}
	w.queue.Set(waiting)
	p, ok := w.queue.Current()
	if !ok {
		w.hide()
		return
	}
	w.content.Show(view.Ask(p), w.queue.Others())
	w.show()
}

func (w *promptWindow) show() {
	if w.float.Visible() {
		return
	}
	w.resize()
	w.float.Show()
	w.content.Rearm()
	w.settled = false
	w.stop = make(chan struct{})
	go w.run(w.stop)
}

func (w *promptWindow) hide() {
	if !w.float.Visible() {
		return
	}
	close(w.stop)
	w.stop = nil
	w.float.Hide()
}

// run ticks while the window is in sight.
func (w *promptWindow) run(stop chan struct{}) {
	t := time.NewTicker(tick)
	defer t.Stop()
	for {
		select {
		case <-stop:
			return
		case <-t.C:
			fyne.Do(func() {
				if w.stop != stop {
					return
				}
				w.content.Tick()
				if w.content.Armed() && !w.settled {
					w.settled = true
					w.float.Settle()
				}
			})
		}
	}
}

func (w *promptWindow) resize() {
	if w.float != nil && w.content != nil {
		w.float.Window().Resize(w.content.Root().MinSize())
	}
}
