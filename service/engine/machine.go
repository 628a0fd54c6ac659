package engine

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"sekisho/app/api"
	"sekisho/app/flow"
)

// Machine is the rest of this computer: the resolver, routes, other packet filters. Of
// steps about rules that are not the asker's to read, the text is left out unless text is
// true. Its methods may be called from any goroutine, and take their time.
type Machine interface {
	// Resolve finds the addresses of a name; only with ask name servers are asked. Without an
	// address the culprit says why, if that is known.
	Resolve(ctx context.Context, f flow.Flow, ask bool) (Looked, []netip.Addr)
	// Look says what becomes of f on its way to each of the addresses.
	Look(ctx context.Context, f flow.Flow, to []netip.Addr, text bool) (Looked, error)
	// Try makes one attempt at f under the kernel's trace. admit is called with the cookie of
	// its socket before it connects, with both ends.
	Try(ctx context.Context, f flow.Flow, admit func(cookie uint64, local netip.AddrPort) error) (Looked, error)
}

// Looked is what the machine does to a connection. Culprit is nil if nothing stops it.
type Looked struct {
	Outcome api.Outcome
	Steps   []api.Step
	Culprit *api.Culprit
}

// maxTried is how many addresses of a name are looked at.
const maxTried = 8

// toldFor is how long an address in a user's own flows counts, and maxSeenOfUser how many
// flows of the program are looked at for it.
const (
	toldFor       = time.Hour
	maxSeenOfUser = 1000
)

// resolve finds the addresses that f's program means by its name: those that it was told,
// else those that the system finds. The first is decided about. The culprit is what kept
// it from finding any.
func (e *Engine) resolve(ctx context.Context, f *flow.Flow, q api.Question) (steps []api.Step, to []netip.Addr, culprit *api.Culprit) {
	if f.Remote.Addr.IsValid() {
		return nil, []netip.Addr{f.Remote.Addr.Unmap()}, nil
	}
	if to = e.told(f, q.Asker); len(to) > 0 {
		slices.SortFunc(to, netip.Addr.Compare)
		steps = append(steps, api.Step{
			What: "names", Part: api.PartNames, Code: "name-known", Values: map[string]string{"name": f.Remote.Name, "answer": addrs(to)},
			Why: "The program was told that " + f.Remote.Name + " is " + addrs(to) + ".",
		})
	} else if e.c.Machine != nil {
		var l Looked
		l, to = e.c.Machine.Resolve(ctx, *f, q.Asker.Admin)
		steps, culprit = l.Steps, l.Culprit
		if c := e.mayAsk(*f, q.Asker); c != nil && culprit == nil {
			steps, culprit = append(steps, c.Step), c
		}
	}
	if len(to) > 0 {
		to = to[:min(len(to), maxTried)]
		f.Remote.Addr = to[0]
	}
	return steps, to, culprit
}

// told is what f's program was told that its name is. A user learns of it what flows of
// theirs show, since others run the same program.
func (e *Engine) told(f *flow.Flow, a api.Asker) []netip.Addr {
	now := e.c.Clock().Wall
	if a.Admin {
		return e.c.Names.Addrs(f.Process.Key(), f.Remote.Name, now)
	}
	e.save()
	var to []netip.Addr
	err := e.c.Store.History(now.Add(-toldFor), f.Process.Path, flow.Waiting, maxSeenOfUser, func(g flow.Flow) bool {
		if a.Sees(g) && g.Remote.Name == f.Remote.Name && g.Process.Key() == f.Process.Key() && !slices.Contains(to, g.Remote.Addr) {
			to = append(to, g.Remote.Addr)
		}
		return true
	})
	if err != nil {
		e.c.Log.Warn("the history can't be read", "err", err)
	}
	return to
}

func addrs(list []netip.Addr) string {
	text := ""
	for i, a := range list {
		if i > 0 {
			text += " "
		}
		text += a.String()
	}
	return text
}

// running lends f what is known of a process that runs its program now, for those filters
// that look at users and control groups. User says that the user is settled.
func (e *Engine) running(f flow.Flow, user bool) flow.Flow {
	if f.Process.PID != 0 || !f.Process.IsFile() {
		return f
	}
	var found *flow.Process
	for _, id := range e.c.Processes.Running(f.Process.Path) {
		p, ok := e.c.Processes.Find(id)
		if !ok || p.Script != f.Process.Script || user && p.UID != f.Process.UID {
			continue
		}
		if found != nil && found.UID != p.UID {
			return f // whose is meant can't be told
		}
		found = p
	}
	if found != nil {
		f.Process = found
	}
	return f
}

// lookAround adds to x what the rest of the machine does to f.
func (e *Engine) lookAround(ctx context.Context, x *api.Explanation, f flow.Flow, to []netip.Addr, q api.Question) error {
	if e.c.Machine == nil {
		return nil
	}
	var culprit *api.Culprit
	if len(to) > 0 {
		l, err := e.c.Machine.Look(ctx, f, to, q.Asker.Admin)
		if err != nil {
			return api.Errorf(api.Failed, "the rest of this computer can't be looked at: %v", err)
		}
		x.Steps = append(x.Steps, l.Steps...)
		x.Outcome, culprit = l.Outcome, l.Culprit
	}
	if q.Live {
		l, err := e.try(ctx, f, to)
		if err != nil {
			return err
		}
		x.Steps = append(x.Steps, l.Steps...)
		if l.Outcome != api.OutcomePasses { // what happened says more than what was worked out
			x.Outcome, culprit = l.Outcome, l.Culprit
		}
	}
	x.Culprit = culprit
	return nil
}

func (e *Engine) try(ctx context.Context, f flow.Flow, to []netip.Addr) (Looked, error) {
	if len(to) == 0 {
		return Looked{Outcome: api.OutcomePasses}, nil // the name says why
	}
	f.Remote.Addr = to[0]
	l, err := e.c.Machine.Try(ctx, f, func(cookie uint64, local netip.AddrPort) error {
		return e.admit(f, cookie, local)
	})
	if err != nil {
		return l, api.Errorf(api.Failed, "no attempt was made: %v", err)
	}
	return l, nil
}

// admit lets an attempt of our own pass, which a person asked for: like the answer for one
// flow. A socket that is not filtered needs nothing.
func (e *Engine) admit(f flow.Flow, cookie uint64, local netip.AddrPort) error {
	o, filtered := e.c.Kernel.OwnerOfSocket(cookie)
	if !filtered {
		return nil
	}
	o.Cookie = cookie
	own := flowOf(Packet{Owner: o, Direction: flow.Out, Protocol: f.Protocol, Local: endpoint(local), Remote: f.Remote}, e.identify(o))
	own.Decision = flow.Decision{Verdict: flow.Allow, By: flow.By{Kind: flow.ByAnswer, Name: "explain"}}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.publish(&own)
	return e.teachFlow(&own, o)
}
