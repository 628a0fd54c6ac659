package mainwindow

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"
	fynewidget "fyne.io/fyne/v2/widget"
	"go.uber.org/goleak"

	"sekisho/app/api"
	"sekisho/app/flow"
	"sekisho/app/rule"
	"sekisho/assets"
	"sekisho/ui/sample"
	"sekisho/ui/text"
	"sekisho/ui/theme"
)

// fakeClock goes on when a test says so.
type fakeClock struct {
	mu     sync.Mutex
	now    time.Time
	timers []*fakeTimer
}

type fakeTimer struct {
	at  time.Time
	f   func()
	off bool
}

func (c *fakeClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *fakeClock) AfterFunc(d time.Duration, f func()) func() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &fakeTimer{at: c.now.Add(d), f: f}
	c.timers = append(c.timers, t)
	return func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		was := !t.off
		t.off = true
		return was
	}
}

// advance lets d pass and does what was due, as timers do: on goroutines of their own.
func (c *fakeClock) advance(d time.Duration) {
	c.mu.Lock()
	c.now = c.now.Add(d)
	var due []func()
	for _, t := range c.timers {
		if !t.off && !t.at.After(c.now) {
			t.off = true
			due = append(due, t.f)
		}
	}
	c.mu.Unlock()
	for _, f := range due {
		go f()
	}
}

// stage is a window on a test screen whose Fyne goroutine is the test's own: what other
// goroutines hand over waits until the test runs it.
type stage struct {
	t       *testing.T
	w       *Window
	service *sample.Service
	clock   *fakeClock
	tasks   chan func()
}

func open(t *testing.T, language, shade string) *stage {
	t.Helper()
	app := test.NewTempApp(t)
	if err := text.SetLanguage(language); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = text.SetLanguage("en") })
	app.Settings().SetTheme(theme.New(shade))
	s := &stage{t: t, clock: &fakeClock{now: sample.Now}, tasks: make(chan func(), 1000),
		service: sample.NewService(sample.Connections(), sample.Rules())}
	s.w = newWindow(app, s.service, s.clock, Options{}, func(f func()) { s.tasks <- f })
	return s
}

// run starts the window's goroutines until the test ends, and checks that they end.
func (s *stage) run() {
	ignore := goleak.IgnoreCurrent()
	ctx, cancel := context.WithCancel(s.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.w.Run(ctx) }()
	s.t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			s.t.Errorf("Run ended with %v", err)
		}
		goleak.VerifyNone(s.t, ignore)
	})
}

// until runs what is handed over until something is so.
func (s *stage) until(what string, so func() bool) {
	s.t.Helper()
	late := time.After(10 * time.Second)
	for !so() {
		select {
		case f := <-s.tasks:
			f()
		case <-time.After(5 * time.Millisecond):
		case <-late:
			s.t.Fatalf("waited in vain: %s", what)
		}
	}
}

// shown opens the window on a page, with everything loaded.
func shown(t *testing.T, language, shade, page string) *stage {
	t.Helper()
	s := open(t, language, shade)
	s.run()
	s.w.Show(page)
	s.until("the lists", func() bool { return s.w.connections.heard && s.rules().heard })
	s.w.window.Resize(Size)
	return s
}

func (s *stage) rules() *rulesPage { return s.w.pages[1].(*rulesPage) }

// rows are the rows of a list that are on screen, from top to bottom.
func rows[T fyne.CanvasObject](list *fynewidget.List) []T {
	var out []T
	var walk func(o fyne.CanvasObject)
	walk = func(o fyne.CanvasObject) {
		if r, ok := o.(T); ok {
			out = append(out, r)
			return
		}
		if !o.Visible() {
			return
		}
		switch o := o.(type) {
		case fyne.Widget:
			for _, c := range test.WidgetRenderer(o).Objects() {
				walk(c)
			}
		case *fyne.Container:
			for _, c := range o.Objects {
				walk(c)
			}
		}
	}
	walk(list)
	return out
}

func TestSwitchTurnsARuleOffAndOn(t *testing.T) {
	s := shown(t, "en", "light", Rules)
	row := rows[*ruleRow](s.rules().list)[0]
	if row.rule.ID != "6" || !row.onOff.On {
		t.Fatalf("first row: %+v", row.rule)
	}
	test.Tap(row.onOff)
	s.until("the rule to be off", func() bool { r, _ := s.rules().rules.Get("6"); return !r.Enabled })
	test.Tap(rows[*ruleRow](s.rules().list)[0].onOff)
	s.until("the rule to be on", func() bool { r, _ := s.rules().rules.Get("6"); return r.Enabled })
}

func TestSwitchGoesBackWhenRefused(t *testing.T) {
	s := shown(t, "en", "light", Rules)
	if err := s.service.RemoveRule(t.Context(), "6"); err != nil {
		t.Fatal(err)
	}
	row := rows[*ruleRow](s.rules().list)[0]
	test.Tap(row.onOff)
	s.until("the failure to be told", func() bool { return s.w.notice.root.Visible() })
	if got := s.w.notice.words.S; got != "That didn't work: there is no rule 6" {
		t.Error(got)
	}
	s.until("the list to be true again", func() bool { return s.rules().rules.Total() == len(sample.Rules())-1 })
}

func TestDeleteAndUndo(t *testing.T) {
	s := shown(t, "en", "light", Rules)
	n := len(sample.Rules())
	var row *ruleRow
	for _, r := range rows[*ruleRow](s.rules().list) {
		if r.rule.ID == "11" {
			row = r
		}
	}
	test.Tap(row.bin)
	s.until("the rule to go", func() bool { return s.rules().rules.Total() == n-1 && s.w.notice.root.Visible() })
	if got := s.w.notice.words.S; got != "Deleted: Allow curl to connect to example.com on port 443, until restart" {
		t.Error(got)
	}
	test.Tap(s.w.notice.undo)
	s.until("the rule to come back", func() bool { return s.rules().rules.Total() == n })
	if s.w.notice.root.Visible() {
		t.Error("the bar stayed after the undo")
	}
	rules, _ := s.service.Rules(t.Context())
	back := rules[len(rules)-1]
	if back.Lifetime.Kind != rule.Boot || back.Program.Path != "/usr/bin/curl" || back.Remote.Name != "example.com" || !back.Enabled {
		t.Errorf("came back as %+v", back)
	}
}

func TestUndoKeepsWhatIsLeftOfASpan(t *testing.T) {
	s := shown(t, "en", "light", Rules)
	r, _ := s.rules().rules.Get("5") // 38 minutes are left
	s.rules().remove(r)
	n := len(sample.Rules())
	s.until("the rule to go", func() bool { return s.w.notice.root.Visible() && s.rules().rules.Total() == n-1 })
	test.Tap(s.w.notice.undo)
	s.until("the rule to come back", func() bool { return s.rules().rules.Total() == n })
	rules, _ := s.service.Rules(t.Context())
	if got := rules[len(rules)-1].Lifetime.Until.Sub(sample.Now); got != 38*time.Minute {
		t.Errorf("it has %v left", got)
	}
}

func TestUndoBarGoesByItself(t *testing.T) {
	s := shown(t, "en", "light", Rules)
	s.w.notice.show("first", false, func() {})
	s.clock.advance(undoTime - time.Second)
	s.w.notice.show("second", false, func() {})
	s.clock.advance(2 * time.Second)
	for len(s.tasks) > 0 {
		(<-s.tasks)()
	}
	if !s.w.notice.root.Visible() {
		t.Fatal("the timer of the first bar took the second away")
	}
	s.clock.advance(undoTime)
	s.until("the bar to go", func() bool { return !s.w.notice.root.Visible() })
}

func TestBlockFromNowOn(t *testing.T) {
	s := shown(t, "en", "light", Connections)
	s.w.connections.field.SetText("program:curl")
	row := rows[*connectionRow](s.w.connections.list)[0]
	test.Tap(row)
	if !s.w.connections.details.root.Visible() {
		t.Fatal("no details of the row that was tapped")
	}
	test.Tap(s.w.connections.details.block)
	n := len(sample.Rules())
	s.until("the rule", func() bool { return s.rules().rules.Total() == n+1 && s.w.notice.root.Visible() })
	if got := s.w.notice.words.S; got != "New rule: Block curl from connecting to raw.githubusercontent.com" {
		t.Error(got)
	}
	test.Tap(s.w.notice.undo)
	s.until("the rule to go again", func() bool { return s.rules().rules.Total() == n })
}

func TestUnknownProgramCannotBecomeARule(t *testing.T) {
	s := shown(t, "en", "light", Connections)
	s.w.connections.field.SetText("verdict:block")
	test.Tap(rows[*connectionRow](s.w.connections.list)[0])
	if !s.w.connections.details.block.Inert() {
		t.Error("a rule about any program can be made from a flow without one")
	}
	s.w.connections.block(s.w.connections.details.flow)
	if rules, _ := s.service.Rules(t.Context()); len(rules) != len(sample.Rules()) {
		t.Error("a rule was added")
	}
}

func TestCopy(t *testing.T) {
	s := shown(t, "en", "light", Connections)
	s.w.connections.field.SetText("program:thunderbird")
	row := rows[*connectionRow](s.w.connections.list)[0]
	row.TappedSecondary(&fyne.PointEvent{})
	var items []fyne.Tappable
	for _, o := range test.LaidOutObjects(s.w.window.Canvas().Overlays().Top()) {
		if menu, ok := o.(*fynewidget.PopUpMenu); ok {
			for _, i := range menu.Items {
				items = append(items, i.(fyne.Tappable))
			}
		}
	}
	if len(items) != 2 {
		t.Fatalf("%d entries in the menu", len(items))
	}
	test.Tap(items[1])
	want := "Thunderbird (/usr/bin/thunderbird) → imap.fastmail.com (103.168.172.45), port 993/tcp, Your rule"
	if got := fyne.CurrentApp().Clipboard().Content(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestSearchAndSort(t *testing.T) {
	s := shown(t, "en", "light", Connections)
	p := s.w.connections
	head := findHeader(t, s)
	programs := func() (out []string) {
		for i := range p.flows.Len() {
			out = append(out, p.flows.At(i).Flow().Process.DisplayName())
		}
		return out
	}
	cells := place(head.Size().Width)
	tap := func() { test.TapAt(head, fyne.NewPos(cells[0].x+5, 10)) } // view.ColumnProgram
	tap()
	first := programs()
	tap()
	last := programs()
	if first[0] != "" || last[0] != "Visual Studio Code" || rows[*connectionRow](p.list)[0].flow.Process.DisplayName() != last[0] {
		t.Errorf("by program: %q then %q", first[0], last[0])
	}
	p.field.SetText("firefox port:443")
	if got := p.count.S; got != "2 of 15 connections" {
		t.Error(got)
	}
	p.field.SetText("nobody")
	if !p.empty.root.Visible() || p.empty.title != "No connection matches" {
		t.Errorf("empty: %q", p.empty.title)
	}
	p.field.TypedKey(&fyne.KeyEvent{Name: fyne.KeyEscape})
	if p.flows.Len() != 15 || p.empty.root.Visible() {
		t.Error("Escape did not empty the search")
	}
}

func findHeader(t *testing.T, s *stage) *header {
	t.Helper()
	var found *header
	for _, o := range test.LaidOutObjects(s.w.root) {
		if h, ok := o.(*header); ok {
			found = h
		}
	}
	if found == nil {
		t.Fatal("no header")
	}
	return found
}

func TestConnectionsFollow(t *testing.T) {
	s := shown(t, "en", "light", Connections)
	s.until("the stream", func() bool { return s.service.Followers() == 1 })
	p := s.w.connections
	f := sample.Connections()[3]
	p.choose(f)
	f.Bytes.Received = 5_000_000
	s.service.Change(f)
	s.until("the new amount", func() bool { return p.details.flow.Bytes.Received == 5_000_000 })
	f.State = flow.Closed
	s.service.Change(f)
	s.until("the connection to go", func() bool { s.clock.advance(pace); return p.flows.Total() == 14 })
	if got := p.details.facts.S; got != "This connection has ended  ·  2606:50c0:8000::154  ·  /usr/bin/curl" {
		t.Error(got)
	}
}

// TestListIsFetchedOnceMore holds that what happened before the stream had begun is
// noticed.
func TestListIsFetchedOnceMore(t *testing.T) {
	s := shown(t, "en", "light", Connections)
	s.until("the stream", func() bool { return s.service.Followers() == 1 })
	s.service.Forget("c3") // nobody is told
	s.until("the list to be true", func() bool { s.clock.advance(settle); return s.w.connections.flows.Total() == 14 })
}

// TestListChangesAtMostTwiceASecond holds that a thousand reports between two beats are
// one delivery.
func TestListChangesAtMostTwiceASecond(t *testing.T) {
	s := shown(t, "en", "light", Connections)
	s.until("the stream", func() bool { return s.service.Followers() == 1 })
	f := sample.Connections()[3]
	f.Bytes.Sent = 1
	s.service.Change(f)
	s.until("the first report", func() bool { return s.w.connections.flows.Get(f.ID).Flow().Bytes.Sent == 1 })
	for i := range 1000 {
		f.Bytes.Sent = uint64(i + 2)
		s.service.Change(f)
	}
	time.Sleep(20 * time.Millisecond) // if it were to deliver early, it would now
	if n := len(s.tasks); n != 0 {
		t.Errorf("%d deliveries before the beat", n)
	}
	s.until("the last report", func() bool { s.clock.advance(pace); return s.w.connections.flows.Get(f.ID).Flow().Bytes.Sent == 1001 })
}

func TestHiddenWindowFollowsNothing(t *testing.T) {
	s := shown(t, "en", "light", Connections)
	s.until("the stream", func() bool { return s.service.Followers() == 1 })
	s.w.Hide()
	s.until("the stream to end", func() bool { return s.service.Followers() == 0 })
	s.w.RulesChanged()
	s.service.Change(flow.Flow{ID: "c3", State: flow.Closed})
	time.Sleep(10 * time.Millisecond)
	for len(s.tasks) > 0 {
		(<-s.tasks)()
	}
	if s.rules().fetches != 0 || s.w.connections.flows.Total() != 15 {
		t.Error("a hidden window asked for something")
	}
	s.w.Show("")
	s.until("the list to be true again", func() bool { return s.w.connections.flows.Total() == 14 })
}

func TestServiceGoesAndComesBack(t *testing.T) {
	s := shown(t, "en", "light", Connections)
	s.until("the stream", func() bool { return s.service.Followers() == 1 })
	s.service.Stop()
	s.until("the strip to say so", func() bool { return s.w.strip.away })
	if got := s.w.strip.state.S; got != "The firewall service doesn't answer." || s.w.strip.card.Fill != theme.BadFill {
		t.Errorf("%q on %v", got, s.w.strip.card.Fill)
	}
	s.service.Start()
	s.until("the window to be back", func() bool {
		s.clock.advance(longWait)
		return !s.w.strip.away && s.service.Followers() == 1
	})
	if got := s.w.strip.state.S; got != "Protecting" {
		t.Error(got)
	}
}

func TestEveryProblemIsTranslated(t *testing.T) {
	for _, code := range assets.Languages() {
		if err := text.SetLanguage(code); err != nil {
			t.Fatal(err)
		}
		for _, problem := range api.ProblemCodes() {
			p := api.NewProblem(problem, "VALUE")
			said := problemText(p)
			if !text.Has("problem."+problem) || !text.Has("problem."+problem+".do") {
				t.Errorf("%s: no translation of %q", code, problem)
			}
			if strings.Contains(said, "VALUE") != strings.Contains(p.What, "VALUE") {
				t.Errorf("%s: %q, want what it is about as in %q", code, said, p.What)
			}
		}
	}
	if err := text.SetLanguage("en"); err != nil {
		t.Fatal(err)
	}
}

func TestStrip(t *testing.T) {
	s := shown(t, "en", "light", Connections)
	problem := api.Problem{What: "The kernel lost the table.", Do: "Restart sekishod."}
	for _, tt := range []struct {
		status      api.Status
		state, mode string
		fill        fyne.ThemeColorName
	}{
		{api.Status{Enforcing: true, Mode: api.ModeAsk}, "Protecting", "Asking about every new connection", theme.Background},
		{api.Status{Enforcing: true, Mode: api.ModeLearn, ModeUntil: sample.Now.Add(time.Hour)}, "Protecting", "Learning: allowing and noting, until 17:00", theme.Background},
		{api.Status{Enforcing: true, Mode: api.ModeAsk, Problems: []api.Problem{problem}}, "Protecting", "The kernel lost the table. Restart sekishod.", theme.WarnFill},
		{api.Status{Mode: api.ModeAsk, Problems: []api.Problem{problem}}, "Not protecting", "The kernel lost the table. Restart sekishod.", theme.BadFill},
		{api.Status{Mode: api.ModeOff}, "Not protecting", "Off: nothing is filtered — Choose another mode in the tray menu.", theme.BadFill},
		{
			api.Status{Enforcing: true, Mode: api.ModeAsk, Problems: []api.Problem{api.NewProblem(api.ProblemTableRemovedBy, "ufw")}}, "Protecting",
			"Another program (ufw) removed the firewall's rules from nftables; they were put back. Find out which program changes nftables; sekishoctl doctor says more.", theme.WarnFill,
		},
	} {
		s.w.StatusChanged(tt.status)
		s.until("the strip", func() bool {
			return s.w.strip.status.Mode == tt.status.Mode && s.w.strip.state.S == tt.state && s.w.strip.mode.S == tt.mode
		})
		if s.w.strip.card.Fill != tt.fill {
			t.Errorf("%+v: on %v", tt.status, s.w.strip.card.Fill)
		}
	}
	if s.w.strip.waiting.Visible() {
		t.Error("something waits")
	}
	s.w.StatusChanged(api.Status{Enforcing: true, Mode: api.ModeAsk, Waiting: 1})
	s.until("what waits", func() bool { return s.w.strip.waiting.Visible() })
	if got := s.w.strip.waiting.Label; got != "1 connection waits for your answer" {
		t.Error(got)
	}
}

func TestEmptyStatesExplain(t *testing.T) {
	s := open(t, "en", "light")
	s.service = sample.NewService(nil, nil)
	s.w.client = s.service
	s.run()
	if got := s.w.connections.empty.title; got != "Waiting for the firewall" {
		t.Errorf("before the first list: %q", got)
	}
	s.w.Show(Rules)
	s.until("the lists", func() bool { return s.rules().heard && s.w.connections.heard })
	if got := s.rules().empty.title; got != "No rules yet" {
		t.Errorf("rules: %q", got)
	}
	s.w.Show(Connections)
	s.until("the page", func() bool { return s.w.current == 0 })
	if got := s.w.connections.empty.title; got != "Nothing is connected right now" {
		t.Errorf("connections: %q", got)
	}
}
