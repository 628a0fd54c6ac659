package ui

import (
	"context"
	"errors"
	"time"

	"fyne.io/fyne/v2"

	"sekisho/app/api"
	"sekisho/app/flow"
	"sekisho/app/prompt"
	"sekisho/app/rule"
	"sekisho/ui/confirm"
	"sekisho/ui/text"
	"sekisho/ui/tray"
	"sekisho/ui/view"
)

// answer sends an answer. It is called on Fyne's goroutine.
func (a *App) answer(id string, answer prompt.Answer) {
	a.call(func(ctx context.Context) error {
		_, err := a.client.Answer(ctx, id, answer)
		var e *api.Error
		if errors.As(err, &e) && e.Code == api.NotFound {
			return nil // settled in the meantime, by its deadline or somebody else
		}
		return err
	}, func(err error) { a.prompts.failed(id, text.T("prompt.failed", "Error", words(err))) })
}

// showWaiting shows the prompts that wait, or the main window where none does.
func (a *App) showWaiting() {
	a.mu.Lock()
	waiting := len(a.state.Prompts) > 0
	a.mu.Unlock()
	if waiting {
		fyne.Do(a.prompts.recall)
	} else {
		a.main.Show("")
	}
}

// trayActions are called from the tray's goroutines.
func (a *App) trayActions() tray.Actions {
	return tray.Actions{
		Waiting: a.showWaiting,
		Mode:    a.chooseMode,
		Pause:   a.pause,
		Resume: func() {
			a.mu.Lock()
			back := a.back
			a.mu.Unlock()
			a.setMode(back, 0)
		},
		Unblock: a.unblock,
		Open:    func(page string) { a.main.Show(page) },
		Quit:    func() { fyne.Do(a.fyne.Quit) },
	}
}

// chooseMode changes the mode, after a question if that lets more through.
func (a *App) chooseMode(m api.Mode) {
	if m != api.ModeAllow {
		a.setMode(m, 0)
		return
	}
	a.ask(confirm.Question{
		Title: text.T("confirm.allow.title"), Text: text.T("confirm.allow.text"), Yes: text.T("confirm.allow.yes"),
		Do: func() { a.setMode(m, 0) },
	})
}

// pause stops filtering for a while, after a question. The mode comes back by itself
// after its span, and every span ends with the machine's run: the longest that there is
// lasts until the computer restarts.
func (a *App) pause(s tray.Span) {
	span := s.For
	if span == 0 {
		span = rule.MaxSpan
	}
	a.ask(confirm.Question{
		Title: text.T("confirm.pause.title"), Text: text.T("confirm.pause.text", "Span", text.T(s.Label)), Yes: text.T("confirm.pause.yes"),
		Do: func() { a.setMode(api.ModeOff, span) },
	})
}

// unblock allows from now on what was blocked, after a question that says it in full.
func (a *App) unblock(f flow.Flow) {
	r, ok := view.AllowFromNow(f)
	if !ok {
		a.say(text.T("notify.failed.title"), text.T("connections.no-program"))
		return
	}
	a.ask(confirm.Question{
		Title: text.T("confirm.unblock.title"), Text: view.Plain(view.Sentence(r, time.Now())), Yes: text.T("confirm.unblock.yes"),
		Do: func() {
			a.call(func(ctx context.Context) error {
				_, err := a.client.AddRule(ctx, r, 0)
				return err
			}, nil)
		},
	})
}

func (a *App) ask(q confirm.Question) {
	fyne.Do(func() { confirm.Show(a.fyne, q) })
}

func (a *App) setMode(m api.Mode, span time.Duration) {
	a.call(func(ctx context.Context) error { return a.client.SetMode(ctx, m, span) }, nil)
}
