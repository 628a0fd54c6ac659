package notify

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sekisho/app/flow"
	"sekisho/ui/text"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stage is a running notifier whose time the test moves: each wait that the notifier
// begins is handed over, and ends when the test says so.
type stage struct {
	*testing.T
	*Notifier
	ctx   context.Context
	told  chan string
	waits chan wait
}

type wait struct {
	span time.Duration
	end  chan time.Time
}

func begin(t *testing.T) *stage {
	if err := text.SetLanguage("en"); err != nil {
		t.Fatal(err)
	}
	s := &stage{T: t, told: make(chan string, 10), waits: make(chan wait, 10)}
	s.Notifier = New(func(title, message string) error { s.told <- title + ": " + message; return nil })
	s.after = func(d time.Duration) <-chan time.Time {
		c := make(chan time.Time, 1)
		s.waits <- wait{d, c}
		return c
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.ctx = ctx
	done := make(chan struct{})
	go func() {
		_ = s.Notifier.Run(ctx)
		close(done)
	}()
	t.Cleanup(func() { cancel(); <-done })
	return s
}

// pass lets the wait that the notifier begins next end.
func (s *stage) pass(want time.Duration) {
	s.Helper()
	w := s.began(want)
	w.end <- time.Time{}
}

func (s *stage) began(want time.Duration) wait {
	s.Helper()
	select {
	case w := <-s.waits:
		if w.span != want {
			s.Fatalf("waits %v, want %v", w.span, want)
		}
		return w
	case <-time.After(5 * time.Second):
		s.Fatalf("does not wait %v", want)
	}
	return wait{}
}

func (s *stage) hears(want string) {
	s.Helper()
	select {
	case got := <-s.told:
		if got != want {
			s.Fatalf("told %q, want %q", got, want)
		}
	case <-time.After(5 * time.Second):
		s.Fatalf("never told %q", want)
	}
}

// quiet makes sure that nothing was told: the notifier answers in order.
func (s *stage) quiet() {
	s.Helper()
	time.Sleep(20 * time.Millisecond)
	if len(s.told) > 0 {
		s.Fatalf("told %q", <-s.told)
	}
}

func blocked(program, host string) flow.Flow {
	return flow.Flow{
		Process: &flow.Process{Program: flow.Program{Path: "/bin/" + program, Name: program}},
		Remote:  flow.Endpoint{Addr: netip.MustParseAddr("192.0.2.1"), Name: host},
	}
}

func TestBlockedIsGroupedAndLimited(t *testing.T) {
	s := begin(t)
	s.Blocked(blocked("curl", "example.com"))
	s.pass(Gather)
	s.hears("Blocked, as nobody answered: curl to example.com")
	rest := s.began(Pause)
	for _, p := range []string{"curl", "git", "ssh", "curl", "nc", "wget"} {
		s.Blocked(blocked(p, "example.org"))
	}
	s.quiet()
	rest.end <- time.Time{}
	s.pass(0)
	s.hears("6 connections blocked, as nobody answered: From curl, git, ssh, nc…")
	s.began(Pause)
}

func TestProtection(t *testing.T) {
	s := begin(t)
	s.Protection(s.ctx, true)
	s.Protection(s.ctx, false)
	blip := s.began(Grace)
	s.Protection(s.ctx, true) // a restart
	s.quiet()
	blip.end <- time.Time{}
	s.quiet()
	s.Protection(s.ctx, false)
	s.Protection(s.ctx, false)
	s.pass(Grace)
	s.hears("Protection has stopped: The firewall is not running. New connections may be blocked until it is back.")
	s.Protection(s.ctx, true)
	s.hears("Protection is back: The firewall is running again.")
	s.quiet()
}

func TestFloodDoesNotBlock(t *testing.T) {
	n := New(func(string, string) error { return nil })
	for range 10_000 {
		n.Blocked(blocked("a", "b"))
	}
}
