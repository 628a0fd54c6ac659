// Package session keeps what the tray app knows of the service: its state, the prompts
// that wait, what was blocked lately. It holds the stream open, reconnects by itself
// when the service restarts, and reports each change as a State that nobody writes to
// any more. It shows nothing and knows no Fyne.
//
// One goroutine, the one in Run, owns everything; the listener is called from it.
package session

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"sekisho/app/api"
	"sekisho/app/flow"
	"sekisho/app/prompt"
)

// Client is what the session needs of the service.
type Client interface {
	Prompts(ctx context.Context) ([]prompt.Prompt, error)
	Attend(ctx context.Context, f func(api.Event)) error
	Activity(ctx context.Context, a api.ActivityFilter, f func(flow.Flow)) error
}

// State is what is known at one moment.
type State struct {
	Connected bool
	Status    api.Status      // the last one heard
	Prompts   []prompt.Prompt // those that wait, the oldest first
	Blocked   []flow.Flow     // the last few that were blocked, the newest first, each program and destination once
}

// Protecting reports whether the firewall filters.
func (s State) Protecting() bool { return s.Connected && s.Status.Enforcing }

// Listener hears what happens. It is called from one goroutine and should return soon.
type Listener interface {
	// Changed brings the state whenever it differs.
	Changed(State)
	// Unasked brings a flow that was blocked because nobody could answer.
	Unasked(flow.Flow)
	// RulesChanged says that the rules have to be listed again.
	RulesChanged()
}

// Recent is how many blocked flows a State keeps.
const Recent = 8

const (
	firstWait = 200 * time.Millisecond
	longWait  = 2 * time.Second
)

// Session is one connection to the service that is kept up.
type Session struct {
	client   Client
	listener Listener
	state    State
	inbox    chan message
}

// message is one piece of news on its way to the goroutine that owns the state.
type message struct {
	lost     bool
	snapshot *[]prompt.Prompt // all that wait, at the start of a stream
	event    *api.Event
	blocked  *flow.Flow
}

// New returns a session that is not started.
func New(c Client, l Listener) *Session {
	return &Session{client: c, listener: l, inbox: make(chan message, 64)}
}

// Run keeps the connection until ctx ends, and then returns its error.
func (s *Session) Run(ctx context.Context) error {
	var streams sync.WaitGroup
	defer streams.Wait()
	streams.Go(func() { s.connect(ctx) })
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case m := <-s.inbox:
			s.take(m)
		}
		for drained := false; !drained; { // many changes, one report
			select {
			case m := <-s.inbox:
				s.take(m)
			default:
				drained = true
			}
		}
		s.listener.Changed(s.copied())
	}
}

// connect attends again and again until ctx ends.
func (s *Session) connect(ctx context.Context) {
	wait := firstWait
	for ctx.Err() == nil {
		if s.attend(ctx) {
			wait = firstWait
		}
		s.send(ctx, message{lost: true})
		select {
		case <-ctx.Done():
		case <-time.After(wait):
			wait = min(2*wait, longWait)
		}
	}
}

// attend holds one stream and reports whether the service was there.
func (s *Session) attend(ctx context.Context) (reached bool) {
	ctx, cancel := context.WithCancel(ctx)
	var activity sync.WaitGroup
	defer activity.Wait()
	defer cancel()
	err := s.client.Attend(ctx, func(e api.Event) {
		if !reached {
			reached = true
			s.begin(ctx)
			activity.Go(func() { s.followBlocked(ctx) })
		}
		s.send(ctx, message{event: &e})
	})
	return reached && !errors.Is(err, context.Canceled)
}

// begin fetches the prompts that wait already. Events that happened before the answer
// come after it, and change nothing that is newer.
func (s *Session) begin(ctx context.Context) {
	waiting, err := s.client.Prompts(ctx)
	if err != nil {
		waiting = nil // the stream tells the changes; if it is broken too it ends now
	}
	s.send(ctx, message{snapshot: &waiting})
}

// followBlocked hears of everything that is blocked. Its end is noticed by the stream
// beside it.
func (s *Session) followBlocked(ctx context.Context) {
	_ = s.client.Activity(ctx, api.ActivityFilter{Verdict: flow.Block, Follow: true, Limit: 4 * Recent},
		func(f flow.Flow) { s.send(ctx, message{blocked: &f}) })
}

func (s *Session) send(ctx context.Context, m message) {
	select {
	case s.inbox <- m:
	case <-ctx.Done():
	}
}

func (s *Session) take(m message) {
	switch {
	case m.lost:
		s.state.Connected = false
		s.state.Prompts = nil
	case m.snapshot != nil:
		s.state.Connected = true
		s.state.Prompts = nil
		for _, p := range *m.snapshot {
			s.takePrompt(p)
		}
	case m.blocked != nil:
		s.takeBlocked(*m.blocked)
	case m.event != nil:
		s.takeEvent(*m.event)
	}
}

func (s *Session) takeEvent(e api.Event) {
	if e.Status != nil {
		s.state.Connected = true
		s.state.Status = *e.Status
	}
	if e.Prompt != nil {
		s.takePrompt(*e.Prompt)
	}
	if e.Gone != "" {
		s.state.Prompts = slices.DeleteFunc(s.state.Prompts, func(p prompt.Prompt) bool { return p.ID == e.Gone })
	}
	if e.Rules {
		s.listener.RulesChanged()
	}
	if e.Blocked != nil {
		s.takeBlocked(*e.Blocked)
		s.listener.Unasked(*e.Blocked)
	}
}

// takePrompt keeps a prompt that waits and forgets one that does no more.
func (s *Session) takePrompt(p prompt.Prompt) {
	i := slices.IndexFunc(s.state.Prompts, func(o prompt.Prompt) bool { return o.ID == p.ID })
	switch {
	case i >= 0 && p.Generation < s.state.Prompts[i].Generation:
	case p.State != prompt.Waiting && i >= 0:
		s.state.Prompts = slices.Delete(s.state.Prompts, i, i+1)
	case p.State != prompt.Waiting:
	case i >= 0:
		s.state.Prompts[i] = p
	default:
		s.state.Prompts = append(s.state.Prompts, p)
	}
}

// takeBlocked puts a blocked flow first; an older one of the same program to the same
// place goes.
func (s *Session) takeBlocked(f flow.Flow) {
	if f.Process == nil || f.Decision.Verdict != flow.Block {
		return
	}
	same := func(o flow.Flow) bool {
		return o.Process.Key() == f.Process.Key() && o.Direction == f.Direction && o.Remote.Host() == f.Remote.Host() &&
			(o.Remote.Port == f.Remote.Port || f.Direction == flow.In)
	}
	for _, o := range s.state.Blocked {
		if same(o) && o.Time.After(f.Time) {
			return
		}
	}
	list := slices.DeleteFunc(s.state.Blocked, same)
	at := slices.IndexFunc(list, func(o flow.Flow) bool { return o.Time.Before(f.Time) })
	if at < 0 {
		at = len(list)
	}
	list = slices.Insert(list, at, f)
	s.state.Blocked = list[:min(len(list), Recent)]
}

// copied is the state for others to keep.
func (s *Session) copied() State {
	c := s.state
	c.Prompts = slices.Clone(c.Prompts)
	c.Blocked = slices.Clone(c.Blocked)
	return c
}
