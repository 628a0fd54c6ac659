// Package tray is the icon in the desktop's panel and its menu, over the
// StatusNotifierItem protocol by fyne.io/systray. It shows a session.State and reports
// what was clicked; it decides nothing and opens no window.
//
// fyne.io/systray keeps one tray in package variables, so there is one Tray in a
// program. Set belongs to one goroutine; actions are called from the tray's own.
package tray

import (
	"context"
	"strings"
	"sync"
	"time"

	"fyne.io/systray"

	"sekisho/app/api"
	"sekisho/app/flow"
	"sekisho/assets"
	"sekisho/ui/session"
	"sekisho/ui/text"
)

// Actions are what the menu can do.
type Actions struct {
	Waiting func()            // show what waits
	Mode    func(api.Mode)    // change the mode
	Pause   func(Span)        // stop filtering for a while
	Resume  func()            // filter again
	Unblock func(f flow.Flow) // allow from now on what was blocked
	Open    func(page string) // open the main window on a page; "" for the last one
	Quit    func()
}

// Span is one choice of how long to pause; Label is its translation key.
type Span struct {
	Label string
	For   time.Duration // 0: until the computer restarts
}

// Spans are the choices of the pause menu.
var Spans = []Span{
	{"tray.pause.5m", 5 * time.Minute},
	{"tray.pause.15m", 15 * time.Minute},
	{"tray.pause.1h", time.Hour},
	{"tray.pause.boot", 0},
}

// modes are the choices of the mode menu; off is only to be had as a pause.
var modes = []api.Mode{api.ModeAsk, api.ModeLearn, api.ModeAllow, api.ModeBlock, api.ModeLockdown}

// pages are the entries that open the main window.
var pages = []string{"connections", "rules"}

// Tray is the icon and its menu.
type Tray struct {
	do    Actions
	ready chan struct{}

	summary, waiting, mode, pause, resume, recent *systray.MenuItem
	modes, blocked                                []*systray.MenuItem

	icon    string
	titles  map[*systray.MenuItem]string
	mu      sync.Mutex // guards flows
	flows   []flow.Flow
	clicked sync.WaitGroup
}

// New returns a tray that is not shown yet.
func New(do Actions) *Tray {
	return &Tray{do: do, ready: make(chan struct{}), titles: map[*systray.MenuItem]string{}}
}

// Run shows the icon until ctx ends.
func (t *Tray) Run(ctx context.Context) error {
	start, end := systray.RunWithExternalLoop(func() {
		t.build(ctx)
		close(t.ready)
	}, nil)
	start()
	<-ctx.Done()
	<-t.ready
	t.clicked.Wait()
	end()
	return ctx.Err()
}

// build makes the menu, top to bottom.
func (t *Tray) build(ctx context.Context) {
	systray.SetIcon(assets.Tray("off"))
	systray.SetTitle("Sekisho")
	t.summary = systray.AddMenuItem(text.T("tray.state.off"), "")
	t.summary.Disable()
	t.waiting = systray.AddMenuItem(text.T("tray.waiting.none"), "")
	t.waiting.Disable()
	t.on(ctx, t.waiting, func() { t.do.Waiting() })
	systray.AddSeparator()
	t.mode = systray.AddMenuItem(text.T("tray.mode"), "")
	for _, m := range modes {
		item := t.mode.AddSubMenuItemCheckbox(text.T("tray.mode."+string(m)), "", false)
		t.modes = append(t.modes, item)
		t.on(ctx, item, func() { t.do.Mode(m) })
	}
	t.pause = systray.AddMenuItem(text.T("tray.pause"), "")
	for _, s := range Spans {
		t.on(ctx, t.pause.AddSubMenuItem(text.T(s.Label), ""), func() { t.do.Pause(s) })
	}
	t.resume = systray.AddMenuItem(text.T("tray.resume"), "")
	t.resume.Hide()
	t.on(ctx, t.resume, func() { t.do.Resume() })
	t.recent = systray.AddMenuItem(text.T("tray.blocked"), "")
	t.recent.Disable()
	for i := range session.Recent {
		item := t.recent.AddSubMenuItem("", "")
		item.Hide()
		t.blocked = append(t.blocked, item)
		t.on(ctx, item, func() { t.unblock(i) })
	}
	systray.AddSeparator()
	for _, p := range pages {
		t.on(ctx, systray.AddMenuItem(text.T("tray.open."+p), ""), func() { t.do.Open(p) })
	}
	systray.AddSeparator()
	t.on(ctx, systray.AddMenuItem(text.T("tray.quit"), ""), func() { t.do.Quit() })
	systray.SetOnTapped(func() {
		if t.do.Waiting != nil {
			t.do.Waiting()
		}
	})
}

// on calls f at each click. The channel gets room for one click: the tray drops clicks
// that nobody waits for.
func (t *Tray) on(ctx context.Context, item *systray.MenuItem, f func()) {
	clicks := make(chan struct{}, 1)
	item.ClickedCh = clicks
	t.clicked.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-clicks:
				f()
			}
		}
	})
}

func (t *Tray) unblock(i int) {
	t.mu.Lock()
	var f *flow.Flow
	if i < len(t.flows) {
		f = &t.flows[i]
	}
	t.mu.Unlock()
	if f != nil {
		t.do.Unblock(*f)
	}
}

// Set shows a state. It waits until the menu is there.
func (t *Tray) Set(s session.State) {
	<-t.ready
	if icon := Icon(s); icon != t.icon {
		t.icon = icon
		systray.SetIcon(assets.Tray(icon))
	}
	if t.title(t.summary, Summary(s)) {
		systray.SetTooltip(Summary(s))
	}
	if n := len(s.Prompts); n > 0 {
		t.title(t.waiting, text.T("tray.waiting", "N", n))
	} else {
		t.title(t.waiting, text.T("tray.waiting.none"))
	}
	able(t.waiting, len(s.Prompts) > 0)
	for i, m := range modes {
		check(t.modes[i], s.Connected && s.Status.Mode == m)
	}
	paused := s.Status.Mode == api.ModeOff
	for _, item := range []*systray.MenuItem{t.mode, t.pause} {
		able(item, s.Connected)
	}
	t.showFirst(t.resume, s.Connected && paused)
	t.setBlocked(s.Blocked)
}

// showFirst shows or hides an item; its shown state is kept beside its title.
func (t *Tray) showFirst(item *systray.MenuItem, show bool) {
	was := t.titles[item] != ""
	switch {
	case show && !was:
		t.titles[item] = "shown"
		item.Show()
	case !show && was:
		t.titles[item] = ""
		item.Hide()
	}
}

func (t *Tray) setBlocked(flows []flow.Flow) {
	t.mu.Lock()
	t.flows = flows
	t.mu.Unlock()
	able(t.recent, len(flows) > 0)
	for i, item := range t.blocked {
		if i >= len(flows) {
			if t.titles[item] != "" {
				t.titles[item] = ""
				item.Hide()
			}
			continue
		}
		hidden := t.titles[item] == ""
		t.title(item, BlockedLabel(flows[i]))
		if hidden {
			item.Show()
		}
	}
}

// title changes an item's words and reports whether they differ.
func (t *Tray) title(item *systray.MenuItem, s string) bool {
	if t.titles[item] == s {
		return false
	}
	t.titles[item] = s
	item.SetTitle(Label(s))
	return true
}

// Label makes words a menu label: in the menu protocol an underscore marks a shortcut
// unless it is doubled.
func Label(s string) string { return strings.ReplaceAll(s, "_", "__") }

func able(item *systray.MenuItem, on bool) {
	switch {
	case on && item.Disabled():
		item.Enable()
	case !on && !item.Disabled():
		item.Disable()
	}
}

func check(item *systray.MenuItem, on bool) {
	switch {
	case on && !item.Checked():
		item.Check()
	case !on && item.Checked():
		item.Uncheck()
	}
}
