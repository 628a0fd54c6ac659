// Package ui is the tray app: it connects the session with the service to the prompt
// window, the tray icon, the notifications and the main window. What is said and drawn
// is in the packages beneath it; what is decided is in the service.
//
// The session's goroutine owns what is known, Fyne's owns every window, and state goes
// from the one to the other as values. Calls to the service run on goroutines of their
// own, so that no window ever waits for it.
package ui

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"

	"fyne.io/fyne/v2"
	fyneapp "fyne.io/fyne/v2/app"
	"fyne.io/fyne/v2/lang"

	"sekisho/app/api"
	"sekisho/app/flow"
	"sekisho/assets"
	"sekisho/ui/icon"
	"sekisho/ui/mainwindow"
	"sekisho/ui/notify"
	"sekisho/ui/session"
	"sekisho/ui/text"
	"sekisho/ui/theme"
	"sekisho/ui/tray"
)

// ID names the app to the desktop and its preferences.
const ID = "sekisho"

// Options are what the command line can change.
type Options struct {
	Language string // "en" or "ja"; "" for the desktop's
	Theme    string // "light" or "dark"; "" for the desktop's
	// Notify shows a notification; nil for the desktop's.
	Notify func(title, message string) error
}

// App is the running tray app.
type App struct {
	client  Client
	fyne    fyne.App
	session *session.Session
	tray    *tray.Tray
	notify  *notify.Notifier
	send    func(title, message string) error
	main    *mainwindow.Window
	prompts *promptWindow
	calls   sync.WaitGroup
	ctx     context.Context // of Run; set before anything is called

	mu      sync.Mutex // guards what is below
	state   session.State
	pending bool     // the newest state is on its way to Fyne's goroutine
	back    api.Mode // the mode to go back to from a pause
}

// New makes the app; Run starts it. It must be called from main's goroutine.
func New(client Client, o Options) (*App, error) {
	if err := setLanguage(o.Language); err != nil {
		return nil, err
	}
	fyneapp.SetMetadata(fyne.AppMetadata{ID: ID, Name: "Sekisho", Migrations: map[string]bool{"fyneDo": true}})
	a := &App{client: client, fyne: fyneapp.NewWithID(ID), send: o.Notify, back: api.ModeAsk}
	if a.send == nil {
		a.send = notify.Desktop
	}
	appIcon := fyne.NewStaticResource("sekisho.png", assets.Tray("asking"))
	a.fyne.SetIcon(appIcon)
	a.fyne.Settings().SetTheme(theme.New(o.Theme))
	icons := icon.NewFinder()
	a.session = session.New(client, a)
	a.notify = notify.New(a.send)
	a.prompts = newPromptWindow(a.fyne, appIcon, icons.Find, a.answer)
	a.main = mainwindow.New(a.fyne, client, mainwindow.SystemClock{}, mainwindow.Options{
		Icon: icons.Find, Waiting: a.showWaiting,
	})
	a.tray = tray.New(a.trayActions())
	return a, nil
}

// setLanguage chooses our language and that of Fyne's own words, which has no call for
// it: Fyne reads the environment again whenever translations are added.
func setLanguage(code string) error {
	if code == "" {
		code = text.FromEnvironment()
	}
	if err := text.SetLanguage(code); err != nil {
		return err
	}
	for _, v := range []string{"LC_ALL", "LANGUAGE"} {
		if err := os.Setenv(v, code); err != nil {
			return err
		}
	}
	return lang.AddTranslationsForLocale([]byte(`{"sekisho.title":"Sekisho"}`), fyne.Locale(code))
}

// Run shows the tray icon and what there is to ask until ctx ends or the person quits.
// It must be called from main's goroutine, which becomes Fyne's.
func (a *App) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	a.ctx = ctx
	var parts sync.WaitGroup
	a.fyne.Lifecycle().SetOnStarted(func() {
		for _, run := range []func(context.Context) error{a.session.Run, a.tray.Run, a.notify.Run, a.main.Run} {
			parts.Go(func() { _ = run(ctx) }) // each ends with ctx and says so
		}
		parts.Go(func() { a.withoutTray(ctx) })
		parts.Go(func() {
			<-ctx.Done()
			fyne.Do(a.fyne.Quit)
		})
	})
	a.fyne.Run()
	cancel()
	parts.Wait()
	a.calls.Wait()
	return nil
}

// withoutTray opens the main window where the desktop shows no icons, and says why once.
func (a *App) withoutTray(ctx context.Context) {
	if tray.HasHost(ctx, 5*time.Second) || ctx.Err() != nil {
		return
	}
	a.main.Show("")
	const told = "told-no-tray"
	fyne.Do(func() {
		p := a.fyne.Preferences()
		if !p.Bool(told) {
			p.SetBool(told, true)
			a.say(text.T("notify.tray.title"), text.T("notify.tray.text"))
		}
	})
}

// Changed implements session.Listener.
func (a *App) Changed(s session.State) {
	a.mu.Lock()
	a.state = s
	if s.Connected && s.Status.Mode != api.ModeOff && s.Status.Mode != "" {
		a.back = s.Status.Mode
	}
	first := !a.pending
	a.pending = true
	a.mu.Unlock()
	if first {
		fyne.Do(a.apply)
	}
	a.notify.Protection(a.ctx, s.Protecting() || s.Connected && s.Status.Mode == api.ModeOff)
	a.tray.Set(s)
}

// apply brings the newest state to the windows.
func (a *App) apply() {
	a.mu.Lock()
	s := a.state
	a.pending = false
	a.mu.Unlock()
	a.prompts.set(s.Prompts)
	if s.Connected {
		a.main.StatusChanged(s.Status)
	} else {
		a.main.Disconnected()
	}
}

// Unasked implements session.Listener.
func (a *App) Unasked(f flow.Flow) { a.notify.Blocked(f) }

// RulesChanged implements session.Listener.
func (a *App) RulesChanged() { a.main.RulesChanged() }

// call runs one call to the service off Fyne's goroutine. A failure is told, unless
// failed takes it.
func (a *App) call(f func(ctx context.Context) error, failed func(error)) {
	a.calls.Go(func() {
		ctx, cancel := context.WithTimeout(a.ctx, patience)
		defer cancel()
		err := f(ctx)
		switch {
		case err == nil || a.ctx.Err() != nil:
		case failed != nil:
			fyne.Do(func() { failed(err) })
		default:
			a.say(text.T("notify.failed.title"), words(err))
		}
	})
}

// say shows a notification; where there are none, nothing is lost but the words.
func (a *App) say(title, message string) {
	a.calls.Go(func() { _ = a.send(title, message) })
}

// words is what a person is told of an error.
func words(err error) string {
	var e *api.Error
	if errors.As(err, &e) {
		return text.Safe(e.Message)
	}
	return text.Safe(err.Error())
}
