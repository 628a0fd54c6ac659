package engine

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"sekisho/app/api"
	"sekisho/app/flow"
	"sekisho/app/prompt"
	"sekisho/app/rule"
)

// Blocklists come before rules, but for a rule that names the very destination: whoever
// wrote it has said what he thinks of it. They can only block, or warn who is asked. While
// a list is on the kernel allows no program everything: each destination is looked at
// once, and when the lists change each is looked at again.

// LookUp is what a flow looks like to the lists.
type LookUp struct {
	Direction flow.Direction // In: only Addr is looked up
	Program   string         // flow.Program.Key
	Name      string         // what the program asked for; empty if unknown
	Aliases   []string       // what Name led to
	Addr      netip.Addr
}

// ListHit is an entry of a list that a flow matched.
type ListHit struct {
	List, Name, Category string // the list's
	Blocks               bool   // false: it warns
	Entry                string
	Matched              string // the name or address of the flow that it matched
}

// Lists are the blocklists that are on. All calls may come from any goroutine, with the
// engine's lock held.
type Lists interface {
	Look(LookUp) []ListHit
	// LookPage is Look for a plain HTTP request.
	LookPage(l LookUp, host, target string) []ListHit
	// Active says whether Look could find anything, and whether LookPage could.
	Active() (any, pages bool)
	// Count counts a hit of the list with that id that took effect.
	Count(list string)
}

// Senders are the DNS-based lists of who sends mail.
type Senders interface {
	// Active says whether any local port is Wanted.
	Active() bool
	Wants(local uint16) bool
	// Check waits until a zone lists the sender, or none does before the deadline.
	Check(ctx context.Context, sender netip.Addr) (Listing, bool)
}

// Listing is the zone that lists a sender, and for how long that may be believed.
type Listing struct {
	Zone string
	TTL  time.Duration
}

// Bounds of what is known of senders, and of how many are asked about at once: beyond it
// they are dropped and counted, and try again.
const (
	maxSenders  = 16 << 10
	maxChecking = 256
)

// senders are those that a zone listed lately.
type senders struct {
	listed   map[netip.Addr]listedSender
	checking int
}

type listedSender struct {
	zone  string
	until time.Time
}

// ListsChanged makes other lists, or other choices for them, take hold. It may be called
// from any goroutine.
func (e *Engine) ListsChanged() {
	e.drain()
	e.mu.Lock()
	clear(e.senders.listed)
	e.reconsider()
	e.mu.Unlock()
	e.drain() // what the kernel let begin up to now
	e.mu.Lock()
	defer e.mu.Unlock()
	e.endForbidden()
}

// onLists is what the lists say of f; what a machine says to itself is nobody's affair.
func (e *Engine) onLists(f *flow.Flow) []ListHit {
	if e.c.Lists == nil || f.Remote.Addr.Unmap().IsLoopback() {
		return nil
	}
	if any, _ := e.c.Lists.Active(); !any {
		return nil
	}
	return e.c.Lists.Look(e.lookUp(f))
}

func (e *Engine) lookUp(f *flow.Flow) LookUp {
	l := LookUp{Direction: f.Direction, Program: f.Process.Key(), Name: f.Remote.Name, Addr: f.Remote.Addr}
	if l.Name != "" && f.Direction == flow.Out {
		l.Aliases = e.c.Names.Chain(l.Program, l.Addr, l.Name)
	}
	return l
}

// byList is the decision of a list that blocks f, unless r, the rule that would decide,
// names f's other end.
func (e *Engine) byList(f *flow.Flow, r *rule.Rule) (flow.Decision, bool) {
	if r != nil && namesRemote(r) {
		return flow.Decision{}, false
	}
	if d, ok := blockedBy(e.onLists(f)); ok {
		return d, true
	}
	if e.wantsSender(f) {
		if s, ok := e.senders.listed[f.Remote.Addr.Unmap()]; ok && time.Now().Before(s.until) {
			return flow.Decision{Verdict: flow.Block, By: flow.By{Kind: flow.ByList, ID: s.zone, Name: s.zone}}, true
		}
	}
	return flow.Decision{}, false
}

func blockedBy(hits []ListHit) (flow.Decision, bool) {
	for _, h := range hits {
		if h.Blocks {
			return flow.Decision{Verdict: flow.Block, By: flow.By{Kind: flow.ByList, ID: h.List, Name: h.Name}}, true
		}
	}
	return flow.Decision{}, false
}

// namesRemote reports whether a person's rule says which other end it is about. The whole
// Internet is no destination, and neither is a list.
func namesRemote(r *rule.Rule) bool {
	to := &r.Remote
	if r.Origin == rule.FromPreset {
		return false
	}
	return to.Name != "" || to.Domain != "" || to.Address.IsValid() || to.Network.Bits() > 0 || to.Range != rule.AddrRange{}
}

// looks reports whether a list may say something of some flows in direction d: then the
// kernel may not allow a program all of them.
func (e *Engine) looks(d flow.Direction) bool {
	if e.c.Lists != nil {
		if any, _ := e.c.Lists.Active(); any {
			return true
		}
	}
	return d == flow.In && e.c.Senders != nil && e.c.Senders.Active()
}

// listsOf are the ids and names of the lists that f is on, for rules about lists.
func (e *Engine) listsOf(f *flow.Flow) (on []string) {
	if !e.set.NeedsLists() {
		return nil
	}
	for _, h := range e.onLists(f) {
		on = append(on, h.List, h.Name)
	}
	return on
}

// listWarnings are for who is asked about f, and count as hits. It may be called from any
// goroutine, without mu.
func (e *Engine) listWarnings(f *flow.Flow) (all []prompt.Warning) {
	for _, h := range e.onLists(f) {
		e.c.Lists.Count(h.List)
		all = append(all, prompt.Warning{Code: prompt.WarnListed, Text: fmt.Sprintf("%s is on the list %s", h.Matched, h.Name), Value: h.Name})
	}
	return all
}

// countList counts what a list blocked. Zones, which have a dot, count for themselves.
func (e *Engine) countList(d flow.Decision) {
	if d.By.Kind == flow.ByList && !strings.Contains(d.By.ID, ".") && e.c.Lists != nil {
		e.c.Lists.Count(d.By.ID)
	}
}

// WantsPages reports whether what is asked for by plain HTTP may be on a list.
func (e *Engine) WantsPages() bool {
	if e.c.Lists == nil {
		return false
	}
	_, pages := e.c.Lists.Active()
	return pages
}

// PageListed is the decision of a list about a plain HTTP request that f makes: host is
// its Host, or what f knows of its other end, and target what it asks for. It may be
// called from any goroutine, but not with mu held.
func (e *Engine) PageListed(f *flow.Flow, host, target string) (flow.Decision, bool) {
	if !e.WantsPages() || f.Remote.Addr.Unmap().IsLoopback() {
		return flow.Decision{}, false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, ok := e.first(f); ok {
		return flow.Decision{}, false
	}
	if r, ok := e.rule(f); ok && namesRemote(r) {
		return flow.Decision{}, false
	}
	return blockedBy(e.c.Lists.LookPage(e.lookUp(f), host, target))
}

// wantsSender reports whether f is mail that comes in and whose sender is asked about. A
// decision about it is for that connection alone: the next one is asked about again.
func (e *Engine) wantsSender(f *flow.Flow) bool {
	return e.c.Senders != nil && f.Direction == flow.In && f.Protocol == flow.TCP && f.Process.Path != flow.ForwardedPath &&
		!f.Remote.Addr.Unmap().IsLoopback() && e.c.Senders.Wants(f.Local.Port)
}

// checkSender lets a sender of mail wait until the zones have been asked about it, and
// takes its packet on then. false: it needs no check.
func (e *Engine) checkSender(f *flow.Flow, p Packet) bool {
	if !e.wantsSender(f) {
		return false
	}
	e.mu.Lock()
	if e.decide(f, p.Owner).Verdict == flow.Block || e.namedRemote(f) {
		e.mu.Unlock()
		return false
	}
	if e.senders.checking >= maxChecking {
		e.counters.OverLimit++
		e.mu.Unlock()
		e.drop(p)
		return true
	}
	e.senders.checking++
	e.mu.Unlock()
	checked := e.aside.do(func() {
		listing, listed := e.c.Senders.Check(e.checks, f.Remote.Addr.Unmap())
		e.mu.Lock()
		e.senders.checking--
		if listed {
			e.senders.add(f.Remote.Addr.Unmap(), listing)
		}
		e.mu.Unlock()
		e.decideNow(f, p)
	})
	if !checked {
		e.drop(p)
	}
	return true
}

// namedRemote reports whether what decides f comes before every list.
func (e *Engine) namedRemote(f *flow.Flow) bool {
	if _, ok := e.first(f); ok {
		return true
	}
	r, ok := e.rule(f)
	return ok && namesRemote(r)
}

func (s *senders) add(a netip.Addr, l Listing) {
	now := time.Now()
	if len(s.listed) >= maxSenders {
		for a, old := range s.listed {
			if now.After(old.until) {
				delete(s.listed, a)
			}
		}
		for a := range s.listed { // any: the zones' own cache still knows them
			if len(s.listed) < maxSenders {
				break
			}
			delete(s.listed, a)
		}
	}
	s.listed[a] = listedSender{l.Zone, now.Add(l.TTL)}
}

// explainLists says what the lists say of f, which rule r would decide.
func (e *Engine) explainLists(f *flow.Flow, r *rule.Rule) (steps []api.Step, d flow.Decision, decided bool) {
	say := func(what, why string, matched, decides bool) {
		steps = append(steps, api.Step{What: what, Why: why, Matched: matched, Decided: decides})
	}
	hits := e.onLists(f)
	d, decided = e.byList(f, r)
	for _, h := range hits {
		why := fmt.Sprintf("%s is on it: %s.", h.Matched, h.Entry)
		byIt := decided && d.By.ID == h.List && h.Blocks
		switch {
		case !h.Blocks:
			why += " It warns, and blocks nothing."
		case !byIt && !decided:
			why += fmt.Sprintf(" Rule %s names this destination, so it comes before every list.", r.ID)
		}
		say("list "+h.List, why, true, byIt)
	}
	switch {
	case decided && len(hits) == 0:
		say("list "+d.By.ID, fmt.Sprintf("The zone %s lists %s.", d.By.Name, f.Remote.Addr), true, true)
	case len(hits) == 0 && e.looks(f.Direction):
		say("lists", "It is on none of the blocklists that are on.", false, false)
	}
	return steps, d, decided
}
