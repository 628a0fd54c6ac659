package mainwindow

import (
	"context"
	"errors"
	"sync"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/driver/desktop"

	"sekisho/app/api"
	"sekisho/ui/text"
	"sekisho/ui/widget"
)

// Size is how large the window is at first.
var Size = fyne.NewSize(1160, 720)

// Window is the main window. Its exported methods may be called from any goroutine.
type Window struct {
	client Client
	clock  Clock
	do     func(func()) // runs a function on Fyne's goroutine
	calls  *calls
	sight  *sight

	// The rest belongs to Fyne's goroutine.
	icon        func(name string) fyne.Resource
	window      fyne.Window
	root        fyne.CanvasObject
	holder      *fyne.Container
	side        *sideBar
	strip       *strip
	notice      *notice
	connections *connectionsPage
	pages       []page
	current     int
	seen        bool
}

// Options are what the app shell can add.
type Options struct {
	// Icon finds the icon of a program by the name in its desktop entry; nil for none.
	Icon func(name string) fyne.Resource
	// Waiting is called when a person wants to see what waits for an answer.
	Waiting func()
	// Closed is called in place of hiding the window when a person closes it.
	Closed func()
}

// New makes the window, hidden. It must be called on Fyne's goroutine.
func New(app fyne.App, client Client, clock Clock, o Options) *Window {
	return newWindow(app, client, clock, o, fyne.Do)
}

func newWindow(app fyne.App, client Client, clock Clock, o Options, do func(func())) *Window {
	w := &Window{client: client, clock: clock, do: do, calls: newCalls(), sight: newSight(), icon: o.Icon}
	w.build(o)
	w.window = app.NewWindow(text.T("main.title"))
	w.window.SetPadded(false)
	w.window.SetContent(w.root)
	w.window.Resize(Size)
	w.window.SetCloseIntercept(func() {
		if o.Closed != nil {
			o.Closed()
			return
		}
		w.hide()
	})
	find := &desktop.CustomShortcut{KeyName: fyne.KeyF, Modifier: fyne.KeyModifierControl}
	w.window.Canvas().AddShortcut(find, func(fyne.Shortcut) { w.pages[w.current].search() })
	return w
}

func (w *Window) build(o Options) {
	if w.icon == nil {
		w.icon = func(string) fyne.Resource { return nil }
	}
	w.notice = newNotice(w.clock, w.do)
	w.strip = newStrip(w.clock, o.Waiting)
	w.connections = newConnectionsPage(w)
	w.holder = container.NewStack()
	var entries []entry
	for _, k := range pages {
		p := k.make(w)
		p.object().Hide()
		w.pages = append(w.pages, p)
		w.holder.Add(p.object())
		entries = append(entries, entry{k.glyph, text.T("page." + k.key)})
	}
	w.side = newSideBar(entries, w.turn)
	body := container.NewBorder(nil, w.notice.object(), nil, nil, widget.Inset(18, 16, 20, 20, w.holder))
	w.root = container.NewStack(widget.NewBackground(),
		container.New(frame{}, w.side.object(), body, w.strip.object()))
	w.turn(0)
}

// Show brings the window to the front with a page, Connections or Rules; "" keeps the
// page that was last on screen.
func (w *Window) Show(page string) {
	w.do(func() {
		for i, k := range pages {
			if k.key == page {
				w.turn(i)
			}
		}
		if !w.seen {
			w.seen = true
			w.sight.set(true)
			w.pages[w.current].seen(true)
			for _, p := range w.pages {
				p.rulesChanged() // they may have, while nobody looked
			}
		}
		w.window.Show()
		w.window.RequestFocus()
	})
}

// Hide takes the window off the screen. What it follows ends.
func (w *Window) Hide() { w.do(w.hide) }

func (w *Window) hide() {
	w.seen = false
	w.sight.set(false)
	w.pages[w.current].seen(false)
	w.window.Hide()
}

// turn shows a page.
func (w *Window) turn(to int) {
	w.pages[w.current].object().Hide()
	w.pages[w.current].seen(false)
	w.current = to
	w.side.choose(to)
	w.pages[to].object().Show()
	w.pages[to].seen(w.seen)
}

// RulesChanged says that the service's rules are others now.
func (w *Window) RulesChanged() {
	w.do(func() {
		for _, p := range w.pages {
			p.rulesChanged()
		}
	})
}

// StatusChanged brings a new status.
func (w *Window) StatusChanged(s api.Status) { w.do(func() { w.reached(s) }) }

// Disconnected says that the service can't be reached.
func (w *Window) Disconnected() { w.do(w.strip.lost) }

// lost and reached are what the window's own stream finds out.
func (w *Window) lost(err error) {
	if !errors.Is(err, context.Canceled) {
		w.strip.lost()
		w.connections.lost()
	}
}

func (w *Window) reached(s api.Status) {
	again := w.strip.away
	w.strip.set(s)
	if again { // the rules may have changed while the service was away
		for _, p := range w.pages {
			p.rulesChanged()
		}
	}
}

// Run keeps the window up to date until ctx ends, and returns its error.
func (w *Window) Run(ctx context.Context) error {
	var parts sync.WaitGroup
	parts.Go(func() { w.calls.run(ctx) })
	parts.Go(func() { w.follow(ctx) })
	parts.Go(func() { w.tick(ctx) })
	parts.Wait()
	return ctx.Err()
}

func (w *Window) tick(ctx context.Context) {
	for ctx.Err() == nil {
		seen, cancel, ok := w.sight.wait(ctx)
		if !ok {
			return
		}
		for seen.Err() == nil {
			sleep(seen, w.clock, 30*time.Second)
			if seen.Err() == nil {
				w.deliver(seen, func() { w.pages[w.current].tick() })
			}
		}
		cancel()
	}
}

// failed tells a person that a call went wrong.
func (w *Window) failed(err error) {
	var e *api.Error
	message := err.Error()
	if errors.As(err, &e) {
		message = e.Message
	}
	w.notice.show(text.T("failed", "Error", text.Safe(message)), true, nil)
}

// frame places the side bar on the left, the strip along the bottom, and the page in
// what is left.
type frame struct{}

const sideWidth float32 = 184

func (frame) MinSize(o []fyne.CanvasObject) fyne.Size {
	body, strip := o[1].MinSize(), o[2].MinSize()
	return fyne.NewSize(sideWidth+body.Width, max(o[0].MinSize().Height, body.Height)+strip.Height)
}

func (frame) Layout(o []fyne.CanvasObject, s fyne.Size) {
	h := o[2].MinSize().Height
	o[0].Resize(fyne.NewSize(sideWidth, s.Height-h))
	o[1].Move(fyne.NewPos(sideWidth, 0))
	o[1].Resize(fyne.NewSize(s.Width-sideWidth, s.Height-h))
	o[2].Move(fyne.NewPos(0, s.Height-h))
	o[2].Resize(fyne.NewSize(s.Width, h))
}
