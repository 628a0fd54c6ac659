package engine

import (
	"net/netip"
	"time"

	"sekisho/app/api"
	"sekisho/app/flow"
	"sekisho/app/rule"
	"sekisho/service/bpf"
	"sekisho/service/traffic"
)

// ending is what ends flows that are forbidden now: one at a time, and again if something
// changed meanwhile.
type ending struct{ runs, again bool }

// endForbidden ends the live flows that are blocked now. The kernel blocks them already
// where it can; here connections are cut, which it lets go on. It is called with mu held,
// and does its work without.
func (e *Engine) endForbidden() {
	e.end.again = true
	if e.end.runs {
		return
	}
	e.end.runs = true
	e.aside.do(e.endAll)
}

func (e *Engine) endAll() {
	for {
		e.mu.Lock()
		if !e.end.again {
			e.end.runs = false
			e.mu.Unlock()
			return
		}
		e.end.again = false
		all := e.live.All()
		e.mu.Unlock()
		e.cut(e.forbidden(all))
	}
}

// judged is how many live flows are decided again before others get their turn.
const judged = 2048

// forbidden finds those of flows that are blocked now, and says so in them.
func (e *Engine) forbidden(all []*traffic.Live) *cuts {
	c := newCuts(e.c.Kernel.OwnerOfSocket)
	for len(all) > 0 {
		n := min(len(all), judged)
		e.mu.Lock()
		for _, l := range all[:n] {
			if l.Gone() || l.State == flow.Closed || l.Decision.Verdict != flow.Allow {
				continue
			}
			if d, ends := e.ends(&l.Flow); ends {
				l.Decision = d
				e.countList(d)
				c.add(l)
			}
		}
		e.mu.Unlock()
		all = all[n:]
	}
	return c
}

// ends reports whether a flow that was allowed is blocked now, and by what.
func (e *Engine) ends(f *flow.Flow) (flow.Decision, bool) {
	d := e.decide(f, bpf.Owner{})
	was := f.Decision.By
	switch {
	case d.Verdict != flow.Allow && e.tooEarly(f):
		return d, false
	case d.Verdict == flow.Waiting && was.Kind == flow.ByRule:
		// What allowed it is gone, and nothing else does.
		return flow.Decision{Verdict: flow.Block, By: flow.By{Kind: flow.ByLimit, Name: limitRuleEnded}}, true
	case d.Verdict != flow.Block:
		return d, false
	case was == (flow.By{Kind: flow.ByLimit, Name: limitBefore}):
		// It was there first: a rule or a list about it ends it, not that nothing says anything.
		return d, d.By.Kind == flow.ByRule || d.By.Kind == flow.ByList || e.mode.Mode == api.ModeLockdown
	}
	return d, true
}

// lapsed is those of rules that have ended, as if they had not: it tells what they allowed.
func lapsed(rules []rule.Rule, ended []string, now rule.Clock) []rule.Rule {
	is := map[string]bool{}
	for _, id := range ended {
		is[id] = true
	}
	var was []rule.Rule
	for _, r := range rules {
		if !is[r.ID] {
			continue
		}
		if r.Lifetime.Kind == rule.Quit && r.Lifetime.Process != (flow.ProcessID{}) {
			r.Lifetime.Boot = now.Boot // for that process still
		} else {
			r.Lifetime = rule.Lifetime{Kind: rule.Always}
		}
		was = append(was, r)
	}
	return was
}

// takeLapsed is the rules that ended while no service ran.
func (e *Engine) takeLapsed() *rule.Set {
	e.mu.Lock()
	defer e.mu.Unlock()
	was := rule.NewSet(e.lapsed)
	e.lapsed = nil
	return was
}

// allowedBefore is what let through a flow that was there before the service, and that
// nothing lets through now: one of the rules that were, or nobody knows. It is called with
// mu held.
func (e *Engine) allowedBefore(f *flow.Flow, was *rule.Set) flow.Decision {
	if r, ok := was.Decide(e.query(f), e.c.Clock()); ok && r.Action == rule.Allow {
		return decidedBy(r)
	}
	return flow.Decision{Verdict: flow.Allow, By: flow.By{Kind: flow.ByLimit, Name: limitBefore}}
}

// cuts are flows that are to end, as their sockets are found.
type cuts struct {
	sockets map[uint64]*traffic.Live      // connections
	ends    map[ends][]*traffic.Live      // connections that may have a socket that we don't know yet
	peers   map[traffic.Key]*traffic.Live // datagrams
	others  []*traffic.Live               // what has no connection that could be cut
	done    map[*traffic.Live]bool
	// listens says where sockets listen, and owner whose a socket is: an address may be
	// another machine's in each network namespace.
	listens map[uint64]uint64
	owner   func(cookie uint64) (bpf.Owner, bool)
}

// ends are those of a connection that arrived.
type ends struct {
	local  uint16
	remote netip.AddrPort
}

func endsOf(l *traffic.Live) ends {
	return ends{l.Local.Port, netip.AddrPortFrom(l.Remote.Addr, l.Remote.Port)}
}

func newCuts(owner func(cookie uint64) (bpf.Owner, bool)) *cuts {
	return &cuts{
		sockets: map[uint64]*traffic.Live{}, ends: map[ends][]*traffic.Live{}, peers: map[traffic.Key]*traffic.Live{},
		done: map[*traffic.Live]bool{}, listens: map[uint64]uint64{}, owner: owner,
	}
}

func (c *cuts) len() int { return len(c.sockets) + len(c.ends) + len(c.others) }

func (c *cuts) add(l *traffic.Live) {
	remote := netip.AddrPortFrom(l.Remote.Addr, l.Remote.Port)
	switch {
	case l.Protocol != flow.TCP:
		c.others = append(c.others, l)
		c.peers[traffic.Key{Cookie: l.Cookie, Remote: remote, Protocol: l.Protocol}] = l
	case l.Arriving(): // its cookie is the listener's
		c.ends[endsOf(l)] = append(c.ends[endsOf(l)], l)
	default:
		c.sockets[l.Cookie] = l
	}
}

// has reports whether s is to be closed. A socket that is connected to nobody goes on: the
// kernel judges each of its packets.
func (c *cuts) has(s Socket) bool {
	if s.Remote.Port() == 0 {
		c.listens[s.Cookie] = s.Netns
		return false
	}
	remote := netip.AddrPortFrom(s.Remote.Addr().Unmap(), s.Remote.Port())
	var l *traffic.Live
	if s.Protocol == flow.TCP {
		if l = c.sockets[s.Cookie]; l == nil {
			l = c.arrived(s, c.ends[ends{s.Local.Port(), remote}])
		}
	} else {
		l = c.peers[traffic.Key{Cookie: s.Cookie, Remote: remote, Protocol: s.Protocol}]
	}
	if l != nil {
		c.done[l] = true
	}
	return l != nil
}

// arrived finds which of flows came to s. In another network namespace than ours it is
// certain only by where the listener is, or by whose s is if that is gone.
func (c *cuts) arrived(s Socket, flows []*traffic.Live) *traffic.Live {
	for _, l := range flows {
		netns, listens := c.listens[l.Cookie]
		if listens && netns == s.Netns || !listens && s.Netns == 0 {
			return l
		}
		if o, ok := c.owner(s.Cookie); ok && !listens && l.Process.ProcessID == o.Process {
			return l
		}
	}
	return nil
}

// over lists what is over once the sockets that were found are closed: their programs may
// keep the descriptors for long. What has no connection is over as far as it is shown;
// a connection that was not found may go on.
func (c *cuts) over(closed bool) []*traffic.Live {
	all := c.others
	if closed {
		for l := range c.done {
			if l.Protocol == flow.TCP {
				all = append(all, l)
			}
		}
	}
	return all
}

// cut closes what is forbidden.
func (e *Engine) cut(c *cuts) {
	if c.len() == 0 {
		return
	}
	n, err := e.c.Sockets.End(c.has)
	if err != nil {
		e.c.Log.Warn("a forbidden connection goes on", "err", err)
	}
	e.c.Log.Info("ended what is forbidden now", "connections", n)
	over := c.over(err == nil)
	e.measure(over, func(*traffic.Live) {})
	e.mu.Lock()
	defer e.mu.Unlock()
	now := time.Now()
	for _, l := range over {
		if !l.Gone() && l.State == flow.Open {
			l.State, l.Ended = flow.Closed, now
			e.note(&l.Flow)
		}
	}
}
