package engine

import (
	"net/netip"
	"time"

	"sekisho/app/flow"
	"sekisho/app/prompt"
	"sekisho/app/rule"
	"sekisho/service/bpf"
	"sekisho/service/traffic"
)

// Bounds of what is kept of flows that live.
const (
	maxLive   = 200_000
	maxRecent = 256 // blocked flows that status and the tray show
)

// Decided takes a flow that the kernel decided by itself, or refused since nothing could
// hold it while somebody is asked.
func (e *Engine) Decided(k bpf.Flow) {
	p := Packet{
		Owner: k.Owner, Direction: k.Direction, Protocol: k.Protocol,
		Local:  flow.Endpoint{Port: k.LocalPort},
		Remote: flow.Endpoint{Addr: k.Remote.Addr(), Port: k.Remote.Port()},
	}
	if k.Verdict == bpf.Ask {
		p.Owner.Cookie = 0 // the next attempt has another socket
		if k.Direction == flow.Out {
			p.Local = flow.Endpoint{}
		}
		e.judge(p)
		return
	}
	f := flowOf(p, e.identify(k.Owner))
	f.Time = e.c.Clock.Wall(k.At)
	verdict := flow.Block
	if k.Verdict == bpf.Allow {
		verdict = flow.Allow
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.name(&f)
	if old := e.live.Get(traffic.KeyOf(&f)); old != nil && old.Decision.Verdict == verdict {
		return // shown when its first packet was judged
	}
	// The same path says what decided, for showing; the verdict is the kernel's.
	d := e.decide(&f, k.Owner)
	e.count(d)
	if d.Verdict != verdict {
		d = e.unexplained(&f, k.Owner, verdict)
	}
	f.Decision = d
	e.use(d)
	if r := e.retryFor(&f); r != nil && r.decision == d {
		e.teach(&f, k.Owner) // the rest of this very flow
		e.usedRetry(&f)
	}
	e.publishTold(&f)
}

// unexplained is what decided f in the kernel, where it would be decided otherwise now.
func (e *Engine) unexplained(f *flow.Flow, o bpf.Owner, v flow.Verdict) flow.Decision {
	switch {
	case o.Foreign && v == flow.Block:
		return flow.Decision{Verdict: v, By: flow.By{Kind: flow.ByLimit, Name: limitNamespace}}
	case v == flow.Allow && f.Remote.Addr.Unmap().IsLoopback() && e.presetOn(rule.PresetLoopback):
		return flow.Decision{Verdict: v, By: flow.By{Kind: flow.ByPreset, Name: rule.PresetLoopback}}
	}
	return flow.Decision{Verdict: v, By: flow.By{Kind: flow.ByMode, Name: string(e.mode.Mode)}}
}

// publish shows a flow that has its decision.
func (e *Engine) publish(f *flow.Flow) { e.show(f, false) }

// publishTold is publish for a flow that the kernel told of: of its end it tells after that.
func (e *Engine) publishTold(f *flow.Flow) { e.show(f, true) }

func (e *Engine) show(f *flow.Flow, told bool) {
	old := e.live.Get(traffic.KeyOf(f))
	if old != nil && old.Decision == f.Decision {
		return // more packets of a flow that is shown already
	}
	if f.ID == "" {
		f.ID = e.newID()
	}
	if f.Decision.Verdict == flow.Block {
		f.State = flow.Closed
		f.Ended = f.Time
	}
	over := false
	if !told && f.State == flow.Open {
		_, open := e.c.Kernel.OwnerOfSocket(f.Cookie)
		over = !open // its program did not wait
	}
	if (over || e.live.Put(f) == nil) && f.State == flow.Open { // nothing will tell of its end
		f.State, f.Ended = flow.Closed, time.Now()
	}
	e.learn(f)
	e.note(f)
}

// note writes a flow into the history and tells those who follow.
func (e *Engine) note(f *flow.Flow) {
	if !e.activity.add(f) {
		e.counters.NotSaved++
	}
	if f.Decision.Verdict == flow.Block {
		e.recent = append(e.recent, *f)
		if len(e.recent) > maxRecent {
			e.recent = append(e.recent[:0], e.recent[maxRecent/2:]...)
		}
	}
	e.tellFlow(f)
}

// Accepted takes a connection that a program accepted: it has a socket of its own now.
func (e *Engine) Accepted(a bpf.Accepted) {
	arrived := flowOf(Packet{
		Owner: a.Owner, Direction: flow.In, Protocol: flow.TCP, Local: flow.Endpoint{Port: a.LocalPort},
		Remote: flow.Endpoint{Addr: a.Remote.Addr(), Port: a.Remote.Port()},
	}, e.identify(a.Owner))
	arrived.Time = e.c.Clock.Wall(a.At)
	e.mu.Lock()
	defer e.mu.Unlock()
	k := traffic.KeyOf(&arrived)
	if e.live.Get(k) != nil {
		return
	}
	k.Cookie = a.Listener
	l := e.live.Accept(k, a.Owner.Cookie)
	if l == nil { // it arrived before we were there, or waited for long
		e.name(&arrived)
		arrived.Decision = e.decide(&arrived, a.Owner)
		if arrived.Decision.Verdict != flow.Allow {
			arrived.Decision = flow.Decision{Verdict: flow.Allow, By: flow.By{Kind: flow.ByLimit, Name: limitBefore}}
		}
		e.publishTold(&arrived)
		if l = e.live.Get(traffic.KeyOf(&arrived)); l == nil {
			return
		}
	}
	if l.State == flow.Open {
		e.activity.add(&l.Flow) // with its own socket, by which a later run finds it
	}
	if d := e.decide(&l.Flow, bpf.Owner{}); d.Verdict == flow.Block {
		l.Decision.Verdict, l.State, l.Ended = flow.Allow, flow.Open, time.Time{}
		e.endForbidden()
	}
}

// Closed takes the end of a socket.
func (e *Engine) Closed(c bpf.Closed) {
	e.mu.Lock()
	for w := range e.waiting.ofSocket[c.Cookie] {
		if !w.refused {
			e.gaveUp(w)
		}
	}
	closed := e.keepArrived(e.live.Close(c.Cookie))
	e.mu.Unlock()
	if len(closed) == 0 {
		return
	}
	if err := traffic.Last(e.c.Kernel, c, closed); err != nil {
		e.c.Log.Debug("what went through a socket stays in the kernel", "err", err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	at := time.Now() // where nobody knows when it was
	if c.At != 0 {
		at = e.c.Clock.Wall(c.At)
	}
	for _, l := range closed {
		e.noteEnd(l, at)
	}
}

// noteEnd notes the end of a flow that is in the table no more.
func (e *Engine) noteEnd(l *traffic.Live, at time.Time) {
	e.forgetExact(l)
	if l.State == flow.Closed {
		return
	}
	l.State, l.Ended = flow.Closed, at
	e.note(&l.Flow)
}

// forgetExact clears what the kernel knows of a flow alone, whose socket is gone.
func (e *Engine) forgetExact(l *traffic.Live) {
	if forThisFlow(l.Decision) || l.Process.Path == "" || e.byNetwork(&l.Flow) || e.wantsSender(&l.Flow) || e.forItself(l.Decision) {
		socket := l.Cookie
		if l.Listener != 0 {
			socket = l.Listener
		}
		if err := e.c.Kernel.ForgetExact(bpf.OfSocket(socket, l.Process.ProcessID, l.Process.ExecID), traffic.Peer(&l.Flow)); err != nil {
			e.c.Log.Debug("an old decision stays in the kernel", "err", err)
		}
	}
}

// Exited takes the end of a process: questions that it asked are nobody's any more, and
// rules that held until it quits are over.
func (e *Engine) Exited(id flow.ProcessID) {
	e.mu.Lock()
	for _, q := range e.prompts {
		if q.Flow.Process != nil && q.Flow.Process.ProcessID == id {
			q.ended = true
			if q.State == prompt.Missed || q.State == prompt.GaveUp {
				e.miss(q, prompt.Ended)
			}
		}
	}
	e.mu.Unlock()
	e.endQuit(id)
}

// locals fills in the local ends that only the socket knows.
func (e *Engine) locals(flows []flow.Flow) {
	of := map[uint64]bool{}
	for _, f := range flows {
		if !f.Local.Addr.IsValid() && f.Cookie != 0 {
			of[f.Cookie] = true
		}
	}
	if len(of) == 0 {
		return
	}
	all, err := e.c.Sockets.Locals(of)
	if err != nil {
		e.c.Log.Debug("some local ends are not known", "err", err)
	}
	for i := range flows {
		if a, ok := all[flows[i].Cookie]; ok && !flows[i].Local.Addr.IsValid() {
			flows[i].Local = flow.Endpoint{Addr: a.Addr(), Port: a.Port()}
		}
	}
}

// measured is how many flows are measured before others get their turn.
const measured = 1024

// tellTraffic tells those who follow what went through the flows that live since they
// were told last.
func (e *Engine) tellTraffic() {
	e.mu.Lock()
	followed := len(e.followed) > 0
	var all []*traffic.Live
	if followed {
		all = e.live.All()
	}
	e.mu.Unlock()
	e.measure(all, func(l *traffic.Live) { e.tellFlow(&l.Flow) })
}

// measure brings what went through flows up to date, and calls f with mu held for those
// that have changed. Each takes a system call, which is made without mu.
func (e *Engine) measure(all []*traffic.Live, f func(*traffic.Live)) {
	type one struct {
		live   *traffic.Live
		cookie uint64
		peer   bpf.Peer
		now    flow.Traffic
		ok     bool
	}
	part := make([]one, 0, min(len(all), measured))
	for len(all) > 0 {
		n := min(len(all), measured)
		part = part[:0]
		e.mu.Lock()
		for _, l := range all[:n] {
			if !l.Gone() && l.State == flow.Open {
				part = append(part, one{live: l, cookie: l.Cookie, peer: traffic.Peer(&l.Flow)})
			}
		}
		e.mu.Unlock()
		for i := range part {
			part[i].now, part[i].ok = e.c.Kernel.Traffic(part[i].cookie, part[i].peer)
		}
		now := time.Now()
		e.mu.Lock()
		for _, p := range part {
			if p.ok && !p.live.Gone() && p.live.Set(p.now, now) {
				f(p.live)
			}
		}
		e.mu.Unlock()
		all = all[n:]
	}
}

// endStale ends the flows that are over though nobody says so.
func (e *Engine) endStale(now time.Time) {
	e.mu.Lock()
	several := e.live.Several()
	e.mu.Unlock()
	e.measure(several, func(*traffic.Live) {})
	e.mu.Lock()
	stale := e.live.Stale(now)
	for _, l := range stale {
		e.live.Remove(l)
		e.noteEnd(l, now)
	}
	e.mu.Unlock()
	for _, l := range stale {
		if err := e.c.Kernel.ForgetPeers(l.Cookie, []bpf.Peer{traffic.Peer(&l.Flow)}); err != nil {
			e.c.Log.Debug("what is over stays in the kernel", "err", err)
			return
		}
	}
}

// recallLive shows the connections that were there before the service was: it takes over
// from an earlier run, or begins on a machine that is in use. It ends those of them that
// rules forbid, or that rules allowed which have ended meanwhile.
func (e *Engine) recallLive() {
	was := e.takeLapsed()
	var all []Socket
	type place struct {
		netns uint64
		port  uint16
	}
	listening := map[place]bool{}
	_, err := e.c.Sockets.End(func(s Socket) bool {
		switch {
		case s.Remote.Port() != 0:
			all = append(all, s)
		case s.Protocol == flow.TCP:
			listening[place{s.Netns, s.Local.Port()}] = true
		}
		return false
	})
	if err != nil {
		e.c.Log.Warn("some connections from before are not shown", "err", err)
	}
	for _, s := range all {
		o, ok := e.c.Kernel.OwnerOfSocket(s.Cookie)
		if !ok {
			continue
		}
		p := Packet{Owner: o, Protocol: s.Protocol, Local: endpoint(s.Local), Remote: endpoint(s.Remote)}
		p.Owner.Cookie = s.Cookie
		if s.Protocol == flow.TCP && listening[place{s.Netns, s.Local.Port()}] {
			p.Direction = flow.In
		}
		e.recalled(flowOf(p, e.identify(o)), o, was)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.endForbidden()
}

func endpoint(a netip.AddrPort) flow.Endpoint {
	return flow.Endpoint{Addr: a.Addr().Unmap(), Port: a.Port()}
}

func addrPort(e flow.Endpoint) netip.AddrPort { return netip.AddrPortFrom(e.Addr, e.Port) }

func (e *Engine) recalled(f flow.Flow, o bpf.Owner, was *rule.Set) {
	e.mu.Lock()
	defer e.mu.Unlock()
	l := e.live.Get(traffic.KeyOf(&f))
	if l == nil && f.Direction == flow.Out { // its listener may be gone
		in := f
		in.Direction = flow.In
		l = e.live.Get(traffic.KeyOf(&in))
	}
	if l != nil && l.Arriving() {
		l.Listener = f.Cookie // it has been accepted
	}
	if l != nil || e.waiting.ofSocket[f.Cookie] != nil {
		return
	}
	e.name(&f)
	if f.Decision = e.decide(&f, o); f.Decision.Verdict != flow.Allow {
		f.Decision = e.allowedBefore(&f, was)
	}
	e.publish(&f)
	if l := e.live.Get(traffic.KeyOf(&f)); l != nil && f.Direction == flow.In {
		l.Listener = f.Cookie // it has been accepted
	}
}
