package ui_test

import (
	"context"
	"encoding/json"
	"io"
	"sync"
	"time"

	"sekisho/app/api"
	"sekisho/app/flow"
	"sekisho/app/prompt"
	"sekisho/app/rule"
)

// fakeService is the service as the tray app sees it, in memory. What it is asked to do
// it writes to out, a JSON object a line.
type fakeService struct {
	mu      sync.Mutex // guards what is below
	out     io.Writer
	status  api.Status
	prompts []prompt.Prompt
	blocked []flow.Flow
	streams map[chan api.Event]bool
	gone    chan struct{} // closed when the service is "stopped"
}

// happening is one line of what the fake was asked to do.
type happening struct {
	Did      string
	ID       string            `json:",omitempty"`
	Action   rule.Action       `json:",omitempty"`
	Lifetime rule.LifetimeKind `json:",omitempty"`
	Scope    prompt.Scope
	Mode     api.Mode      `json:",omitempty"`
	Span     time.Duration `json:",omitempty"`
	Rule     string        `json:",omitempty"`
}

func newFakeService(out io.Writer) *fakeService {
	return &fakeService{
		out: out, streams: map[chan api.Event]bool{}, gone: make(chan struct{}),
		status: api.Status{Version: "test", Mode: api.ModeAsk, Enforcing: true, Since: time.Now()},
	}
}

func (s *fakeService) tell(h happening) { _ = json.NewEncoder(s.out).Encode(h) }

// change does something to the service and tells every stream.
func (s *fakeService) change(f func() api.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := f()
	for c := range s.streams {
		c <- e
	}
}

func (s *fakeService) ask(p prompt.Prompt) {
	s.change(func() api.Event {
		s.prompts = append(s.prompts, p)
		return api.Event{Prompt: &p}
	})
}

func (s *fakeService) block(f flow.Flow) {
	s.change(func() api.Event {
		s.blocked = append(s.blocked, f)
		return api.Event{Blocked: &f}
	})
}

func (s *fakeService) Status(context.Context) (api.Status, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status, nil
}

func (s *fakeService) SetMode(_ context.Context, m api.Mode, span time.Duration) error {
	s.change(func() api.Event {
		s.status.Mode, s.status.Enforcing = m, m != api.ModeOff
		s.status.ModeUntil = time.Time{}
		if span > 0 {
			s.status.ModeUntil = time.Now().Add(span)
		}
		s.tell(happening{Did: "mode", Mode: m, Span: span})
		st := s.status
		return api.Event{Status: &st}
	})
	return nil
}

func (s *fakeService) Prompts(context.Context) ([]prompt.Prompt, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]prompt.Prompt(nil), s.prompts...), nil
}

func (s *fakeService) Answer(_ context.Context, id string, a prompt.Answer) (*rule.Rule, error) {
	s.change(func() api.Event {
		s.tell(happening{Did: "answer", ID: id, Action: a.Action, Lifetime: a.Lifetime, Scope: a.Scope})
		for i, p := range s.prompts {
			if p.ID == id {
				s.prompts = append(s.prompts[:i:i], s.prompts[i+1:]...)
				break
			}
		}
		return api.Event{Gone: id}
	})
	return nil, nil
}

func (s *fakeService) Attend(ctx context.Context, f func(api.Event)) error {
	events := make(chan api.Event, 64)
	s.mu.Lock()
	s.streams[events] = true
	st, gone := s.status, s.gone
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.streams, events)
		s.mu.Unlock()
	}()
	f(api.Event{Status: &st})
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-gone:
			return &api.Error{Code: api.NoService, Message: "the service stopped"}
		case e := <-events:
			f(e)
		}
	}
}

func (s *fakeService) Activity(ctx context.Context, _ api.ActivityFilter, f func(flow.Flow)) error {
	s.mu.Lock()
	blocked := append([]flow.Flow(nil), s.blocked...)
	s.mu.Unlock()
	for _, b := range blocked {
		f(b)
	}
	<-ctx.Done()
	return ctx.Err()
}

func (s *fakeService) Rules(context.Context) ([]rule.Rule, error) { return nil, nil }

func (s *fakeService) AddRule(_ context.Context, r rule.Rule, _ time.Duration) (rule.Rule, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tell(happening{Did: "rule", Action: r.Action, Rule: r.Program.Path + " " + r.Remote.Name})
	return r, nil
}

func (s *fakeService) EnableRule(context.Context, string, bool) error   { return nil }
func (s *fakeService) RemoveRule(context.Context, string) error         { return nil }
func (s *fakeService) Connections(context.Context) ([]flow.Flow, error) { return nil, nil }
func (s *fakeService) FollowConnections(ctx context.Context, _ func(flow.Flow)) error {
	<-ctx.Done()
	return ctx.Err()
}
