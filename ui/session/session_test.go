package session

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sekisho/app/api"
	"sekisho/app/flow"
	"sekisho/app/prompt"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeService is the client's other end: streams that the test feeds.
type fakeService struct {
	mu      sync.Mutex // guards what is below
	waiting []prompt.Prompt
	refuse  bool
	events  chan api.Event
	broken  chan struct{}
	blocked chan flow.Flow
	attends int
}

func newFakeService() *fakeService {
	return &fakeService{events: make(chan api.Event), broken: make(chan struct{}), blocked: make(chan flow.Flow)}
}

func (s *fakeService) Prompts(context.Context) ([]prompt.Prompt, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.waiting, nil
}

func (s *fakeService) Attend(ctx context.Context, f func(api.Event)) error {
	s.mu.Lock()
	s.attends++
	refuse, broken := s.refuse, s.broken
	s.mu.Unlock()
	if refuse {
		return &api.Error{Code: api.NoService, Message: "no service"}
	}
	f(api.Event{Status: &api.Status{Mode: api.ModeAsk, Enforcing: true}})
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-broken:
			return errors.New("connection lost")
		case e := <-s.events:
			f(e)
		}
	}
}

func (s *fakeService) Activity(ctx context.Context, a api.ActivityFilter, f func(flow.Flow)) error {
	if a.Verdict != flow.Block || !a.Follow {
		return fmt.Errorf("asked for %+v", a)
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case b := <-s.blocked:
			f(b)
		}
	}
}

// stop breaks every stream and refuses new ones until start.
func (s *fakeService) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse = true
	close(s.broken)
	s.broken = make(chan struct{})
}

func (s *fakeService) start(waiting ...prompt.Prompt) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse, s.waiting = false, waiting
}

// ear is a listener that a test waits at.
type ear struct {
	t       *testing.T
	states  chan State
	unasked chan flow.Flow
	rules   chan bool
}

func (e *ear) Changed(s State)     { e.states <- s }
func (e *ear) Unasked(f flow.Flow) { e.unasked <- f }
func (e *ear) RulesChanged()       { e.rules <- true }

// until waits for a state of which ok is true.
func (e *ear) until(what string, ok func(State) bool) State {
	e.t.Helper()
	late := time.After(5 * time.Second)
	var last State
	for {
		select {
		case last = <-e.states:
			if ok(last) {
				return last
			}
		case <-late:
			e.t.Fatalf("never %s; last: %+v", what, last)
		}
	}
}

func begin(t *testing.T, s *fakeService) *ear {
	e := &ear{t, make(chan State, 1000), make(chan flow.Flow, 100), make(chan bool, 100)}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- New(s, e).Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run returned %v", err)
		}
	})
	return e
}

func waits(id string, generation uint64) prompt.Prompt {
	return prompt.Prompt{ID: id, Generation: generation, State: prompt.Waiting}
}

func ids(s State) string {
	out := ""
	for _, p := range s.Prompts {
		out += fmt.Sprintf("%s%d ", p.ID, p.Generation)
	}
	return out
}

func TestPromptsComeChangeAndGo(t *testing.T) {
	s := newFakeService()
	s.start(waits("a", 2))
	e := begin(t, s)
	e.until("connected", func(s State) bool { return s.Protecting() && ids(s) == "a2 " })
	send := func(p prompt.Prompt) { s.events <- api.Event{Prompt: &p} }
	send(waits("b", 1))
	e.until("a new one", func(s State) bool { return ids(s) == "a2 b1 " })
	send(waits("a", 1)) // older than what is known
	send(waits("b", 4))
	e.until("changed", func(s State) bool { return ids(s) == "a2 b4 " })
	missed := waits("b", 5)
	missed.State = prompt.Missed
	send(missed)
	e.until("missed", func(s State) bool { return ids(s) == "a2 " })
	s.events <- api.Event{Gone: "a"}
	e.until("gone", func(s State) bool { return ids(s) == "" })
	s.events <- api.Event{Rules: true}
	<-e.rules
}

func TestComesBackByItself(t *testing.T) {
	s := newFakeService()
	s.start(waits("a", 1), waits("b", 1))
	e := begin(t, s)
	e.until("connected", func(s State) bool { return ids(s) == "a1 b1 " })
	for range 3 {
		s.stop()
		e.until("lost", func(s State) bool { return !s.Connected && !s.Protecting() && len(s.Prompts) == 0 })
		s.start(waits("b", 7))
		e.until("back", func(s State) bool { return s.Protecting() && ids(s) == "b7 " })
	}
}

func TestWaitsLongerForAServiceThatIsAway(t *testing.T) {
	s := newFakeService()
	s.refuse = true
	begin(t, s)
	time.Sleep(1600 * time.Millisecond)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.attends < 3 || s.attends > 5 { // at 0, 0.2, 0.6, 1.4 s
		t.Errorf("tried %d times", s.attends)
	}
}

func blocked(program, host string, at int) flow.Flow {
	return flow.Flow{
		Time: time.Unix(int64(at), 0), Process: &flow.Process{Program: flow.Program{Path: program}},
		Remote:   flow.Endpoint{Addr: netip.MustParseAddr("192.0.2.1"), Name: host, Port: 443},
		Decision: flow.Decision{Verdict: flow.Block},
	}
}

func TestRecentlyBlocked(t *testing.T) {
	s := newFakeService()
	e := begin(t, s)
	e.until("connected", func(s State) bool { return s.Connected })
	for i := range Recent + 4 {
		s.blocked <- blocked("/bin/a", fmt.Sprint("h", i), i)
	}
	f := blocked("/bin/a", "h9", 100)
	s.events <- api.Event{Blocked: &f} // again, and told by both streams
	s.blocked <- f
	s.blocked <- blocked("/bin/a", "h5", 1) // older news
	const want = "h9 h11 h10 h8 h7 h6 h5 h4 "
	e.until("in order", func(s State) bool { // the two streams run beside each other
		got := ""
		for _, b := range s.Blocked {
			got += b.Remote.Name + " "
		}
		return got == want
	})
	if u := <-e.unasked; u.Remote.Name != "h9" {
		t.Errorf("unasked: %+v", u)
	}
	if len(e.unasked) > 0 {
		t.Error("a flow that was blocked by a rule counts as unasked")
	}
}
