package engine

import (
	"net/netip"

	"sekisho/app/api"
	"sekisho/app/flow"
	"sekisho/app/rule"
	"sekisho/service/traffic"
)

// Heard is what a program said first on a connection whose address has no name that it
// looked up. Anybody may say anything, so it names the other end only if a witness confirms
// that it does; till then it is a guess, by which rules block and none allows.
type Heard struct {
	Name string // the host that it means; "" if it named none
	// Front means that the name may be that of somebody else than the other end: nobody is
	// asked to confirm it.
	Front bool
	// Target is what was asked for by plain HTTP, with the query.
	Target string
}

// hostRules remembers which programs have rules that name hosts, for one set of rules.
type hostRules struct {
	of    *rule.Set
	paths map[string]bool // "": any program may have one
}

// needsName reports whether it may depend on the host's name what becomes of f, and none is
// known: then what the program says first is listened to before anything is decided.
func (e *Engine) needsName(f *flow.Flow) bool {
	switch {
	case !e.hasHello(f) || f.Remote.Name != "" && !e.byPage(f):
		return false
	case e.byPage(f):
	case f.Guess != "" || !e.byName(f):
		return false
	}
	d, ok := e.first(f)
	if !ok {
		r, _ := e.rule(f)
		d, _ = e.byList(f, r)
	}
	return d.Verdict != flow.Block || d.By.Kind == flow.ByMode // else a name changes nothing
}

// hasHello reports whether what is said first on f may be read: lookups of names and what
// the machine says to itself is not.
func (e *Engine) hasHello(f *flow.Flow) bool {
	return f.Direction == flow.Out && (f.Protocol == flow.TCP || f.Protocol == flow.UDP) && f.Process.IsFile() &&
		f.Remote.Port != 53 && !f.Remote.Addr.Unmap().IsLoopback() && !f.Remote.Addr.IsMulticast() &&
		e.mode.Mode != api.ModeOff && e.mode.Mode != api.ModeLockdown
}

// byPage reports whether it may depend on the page that is asked for.
func (e *Engine) byPage(f *flow.Flow) bool {
	return f.Protocol == flow.TCP && f.Remote.Port == 80 && e.WantsPages()
}

// byName reports whether rules or lists may tell names apart for f's program.
func (e *Engine) byName(f *flow.Flow) bool {
	if e.hosts.of != e.set {
		e.hosts = hostRules{e.set, map[string]bool{}}
		for _, r := range e.set.Rules() {
			if r.Enabled && (r.Remote.Name != "" || r.Remote.Domain != "") {
				e.hosts.paths[r.Program.Path] = true
			}
		}
	}
	return e.hosts.paths[""] || e.hosts.paths[f.Process.Path] || e.looks(flow.Out)
}

// ofThisFlow reports whether f was decided by what its program said first, or that it said
// nothing: another flow of the program to the same address may say something else.
func (e *Engine) ofThisFlow(f *flow.Flow) bool {
	if f.Cookie == 0 || !e.hasHello(f) {
		return false
	}
	if e.byPage(f) {
		return true
	}
	if !e.byName(f) {
		return false
	}
	_, looked := e.c.Names.Lookup(f.Process.Key(), f.Remote.Addr, f.Time)
	return !looked
}

// remembered gives f what was heard when it began.
func (e *Engine) remembered(f *flow.Flow) {
	if l := e.live.Get(traffic.KeyOf(f)); l != nil && sameUser(l.Process, f.Process) {
		f.Remote.Name, f.Guess = l.Remote.Name, l.Guess
	}
}

// guess gives f the name that somebody on this machine looked up, if it has no other.
func (e *Engine) guess(f *flow.Flow) {
	if f.Direction != flow.Out || f.Remote.Name != "" || f.Guess != "" {
		return
	}
	f.Guess, _ = e.c.Names.Guess(f.Remote.Addr, f.Time)
}

// blockedByGuess finds a rule that blocks f if its name is what it seems to be.
func (e *Engine) blockedByGuess(f *flow.Flow) (*rule.Rule, bool) {
	if f.Remote.Name != "" || f.Guess == "" {
		return nil, false
	}
	q := e.query(f)
	q.Remote.Name = f.Guess
	r, ok := e.set.Decide(q, e.c.Clock())
	return r, ok && r.Action == rule.Block
}

// wantsWitness reports whether a rule of the program would let f through if the name that
// it says were the other end's. Nobody is asked about other names: what is asked can be
// seen on the network, where the program may have kept it to itself.
func (e *Engine) wantsWitness(f *flow.Flow, h *Heard) bool {
	if h == nil || h.Name == "" || h.Front || e.c.Confirms == nil {
		return false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	q := e.query(f)
	q.Remote.Name = h.Name
	r, ok := e.set.Decide(q, e.c.Clock())
	return ok && r.Action == rule.Allow && (r.Remote.Name != "" || r.Remote.Domain != "")
}

// hear takes note of what was said on f, and goes on.
func (e *Engine) hear(f *flow.Flow, p Packet) {
	f.Guess = p.Heard.Name
	if !e.wantsWitness(f, p.Heard) {
		e.settle(f, p)
		return
	}
	if !e.aside.do(func() { // name servers may be slow
		if e.c.Confirms(p.Heard.Name, f.Remote.Addr) {
			f.Remote.Name, f.Guess = p.Heard.Name, ""
		}
		e.settle(f, p)
	}) {
		e.drop(p)
	}
}

// Confirms reports whether a name leads to an address by the system's name servers. It may
// take seconds.
type Confirms func(name string, addr netip.Addr) bool
