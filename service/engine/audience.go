package engine

import (
	"context"
	"slices"
	"strings"

	"sekisho/app/api"
	"sekisho/app/flow"
	"sekisho/app/prompt"
	"sekisho/service/traffic"
)

// listener is a client that wants to be told.
type listener struct {
	tell    func(api.Event)
	attends bool // can show prompts
	uid     uint32
	admin   bool
}

// follower is a client that follows flows.
type follower struct{ tell func(flow.Flow) }

// Attend tells f every event for as long as ctx lives, from a client that can show
// prompts of uid, or with admin of everybody. f must not block.
func (e *Engine) Attend(ctx context.Context, uid uint32, admin bool, f func(api.Event)) error {
	return e.listen(ctx, &listener{tell: f, attends: true, uid: uid, admin: admin})
}

// Watch is Attend for clients that only look.
func (e *Engine) Watch(ctx context.Context, f func(api.Event)) error {
	return e.listen(ctx, &listener{tell: f})
}

func (e *Engine) listen(ctx context.Context, l *listener) error {
	e.mu.Lock()
	e.audience[l] = struct{}{}
	s := e.status()
	l.tell(api.Event{Status: &s})
	for _, q := range e.ordered() {
		p := q.Prompt
		l.tell(api.Event{Prompt: &p})
	}
	e.mu.Unlock()
	<-ctx.Done()
	e.mu.Lock()
	delete(e.audience, l)
	e.mu.Unlock()
	return nil
}

// attended reports whether somebody is there who can answer for f.
func (e *Engine) attended(f *flow.Flow) bool {
	for l := range e.audience {
		if l.attends && (l.admin || l.uid == f.Process.UID) {
			return true
		}
	}
	return false
}

func (e *Engine) tell(ev api.Event) {
	for l := range e.audience {
		l.tell(ev)
	}
}

func (e *Engine) tellPrompt(q *question) {
	p := q.Prompt
	e.tell(api.Event{Prompt: &p})
}

func (e *Engine) tellGone(q *question) {
	e.tell(api.Event{Gone: q.ID})
	e.tellStatus()
}

// tellStatus has the audience told soon: a program that asks for a thousand things changes
// it as often, and making it costs system calls.
func (e *Engine) tellStatus() { e.statusChanged = true }

func (e *Engine) tellStatusNow() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.statusChanged {
		return
	}
	e.statusChanged = false
	if len(e.audience) == 0 {
		return
	}
	s := e.status()
	e.tell(api.Event{Status: &s})
}

func (e *Engine) tellRules() { e.tell(api.Event{Rules: true}) }

func (e *Engine) tellBlocked(f *flow.Flow) {
	c := *f
	e.tell(api.Event{Blocked: &c})
}

func (e *Engine) tellFlow(f *flow.Flow) {
	for l := range e.followed {
		l.tell(*f)
	}
}

func (e *Engine) ordered() []*question {
	list := make([]*question, 0, len(e.prompts))
	for _, q := range e.prompts {
		list = append(list, q)
	}
	slices.SortFunc(list, func(a, b *question) int { return comparePrompts(a.Prompt, b.Prompt) })
	return list
}

func sortPrompts(list []prompt.Prompt) { slices.SortFunc(list, comparePrompts) }

func comparePrompts(a, b prompt.Prompt) int {
	if c := a.Flow.Time.Compare(b.Flow.Time); c != 0 {
		return c
	}
	return strings.Compare(a.ID, b.ID)
}

// Connections lists the flows that live or wait.
func (e *Engine) Connections(context.Context) ([]flow.Flow, error) {
	e.drain()
	e.mu.Lock()
	list := make([]flow.Flow, 0, e.live.Len()+len(e.waiting.flows))
	for _, l := range e.live.All() {
		if l.State == flow.Open {
			list = append(list, l.Flow)
		}
	}
	for _, w := range e.waiting.flows {
		list = append(list, w.flow)
	}
	e.mu.Unlock()
	for i := range list {
		traffic.Measure(e.c.Kernel, &list[i])
	}
	e.locals(list)
	slices.SortFunc(list, func(a, b flow.Flow) int { return a.Time.Compare(b.Time) })
	return list, nil
}

// FollowConnections tells f the flows that live, and then each one that opens, changes
// or closes. f must not block.
func (e *Engine) FollowConnections(ctx context.Context, f func(flow.Flow)) error {
	l := &follower{f}
	now, err := e.Connections(ctx)
	if err != nil {
		return err
	}
	e.mu.Lock()
	for _, c := range now {
		f(c)
	}
	e.followed[l] = struct{}{}
	e.mu.Unlock()
	<-ctx.Done()
	e.mu.Lock()
	delete(e.followed, l)
	e.mu.Unlock()
	return nil
}

// Activity tells f what was decided, the oldest first; with Follow it goes on until ctx
// ends. f may block.
func (e *Engine) Activity(ctx context.Context, a api.ActivityFilter, f func(flow.Flow)) error {
	e.drain()
	later := make(chan flow.Flow, 4096)
	if a.Follow {
		l := &follower{func(c flow.Flow) {
			select {
			case later <- c:
			default: // a reader that slow reads the rest from the history
			}
		}}
		e.mu.Lock()
		e.followed[l] = struct{}{}
		e.mu.Unlock()
		defer func() {
			e.mu.Lock()
			delete(e.followed, l)
			e.mu.Unlock()
		}()
	}
	e.save()
	var past []flow.Flow
	limit := a.Limit
	if limit <= 0 {
		limit = maxActivity
	}
	err := e.c.Store.History(a.Since, a.Program, a.Verdict, limit, func(c flow.Flow) bool {
		past = append(past, c)
		return ctx.Err() == nil
	})
	if err != nil {
		return api.Errorf(api.Failed, "the history can't be read: %v", err)
	}
	told := map[string]flow.State{}
	for i := len(past) - 1; i >= 0; i-- {
		f(past[i])
		told[past[i].ID] = past[i].State
	}
	for a.Follow {
		select {
		case <-ctx.Done():
			return nil
		case c := <-later:
			if s, ok := told[c.ID]; ok && s == c.State {
				continue // it was written between the two
			}
			if c.Decision.Verdict != flow.Waiting && (a.Verdict == flow.Waiting || c.Decision.Verdict == a.Verdict) &&
				(a.Program == "" || c.Process.Path == a.Program || c.Process.Script == a.Program) {
				f(c)
			}
		}
	}
	return nil
}

// maxActivity bounds what one call returns.
const maxActivity = 10_000
