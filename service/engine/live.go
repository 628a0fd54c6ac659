package engine

import (
	"time"

	"sekisho/app/flow"
	"sekisho/app/prompt"
	"sekisho/service/bpf"
)

// Bounds of what is kept of flows that live.
const (
	maxLive   = 200_000
	maxRecent = 256 // blocked flows that status and the tray show
)

// Decided takes a flow that the kernel decided by itself.
func (e *Engine) Decided(k bpf.Flow) {
	process := e.identify(k.Owner)
	f := flow.Flow{
		Time: e.wall(k.At), Direction: flow.Out, Protocol: k.To.Protocol, Process: process,
		Remote: flow.Endpoint{Addr: k.To.Addr, Port: k.To.Port}, Cookie: k.Owner.Cookie, State: flow.Open,
	}
	verdict := flow.Block
	if k.Verdict == bpf.Allow {
		verdict = flow.Allow
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.name(&f)
	if old, ok := e.live[keyOf(&f)]; ok && old.Decision.Verdict == verdict {
		return // shown when its first packet was judged
	}
	// The same path says what decided, for showing; the verdict is the kernel's.
	d := e.decide(&f, k.Owner)
	e.count(d)
	if d.Verdict != verdict {
		d = flow.Decision{Verdict: verdict, By: flow.By{Kind: flow.ByMode, Name: string(e.mode.Mode)}}
		if k.Owner.Foreign && verdict == flow.Block {
			d.By = flow.By{Kind: flow.ByLimit, Name: "other-namespace"}
		}
	}
	f.Decision = d
	e.use(d)
	e.publish(&f)
}

// wall turns a moment on CLOCK_BOOTTIME into one on the wall clock.
func (e *Engine) wall(at time.Duration) time.Time {
	now := e.c.Clock()
	return now.Wall.Add(at - now.Since)
}

// publish shows a flow that has its decision.
func (e *Engine) publish(f *flow.Flow) {
	k := keyOf(f)
	if old, ok := e.live[k]; ok && old.Decision == f.Decision {
		return // more packets of a flow that is shown already
	}
	if f.ID == "" {
		f.ID = e.newID()
	}
	if f.Decision.Verdict == flow.Block {
		f.State = flow.Closed
		f.Ended = f.Time
	}
	if _, open := e.c.Kernel.Traffic(f.Cookie); !open && f.State == flow.Open {
		f.State, f.Ended = flow.Closed, time.Now() // its program did not wait
	} else if f.Cookie != 0 && len(e.live) < maxLive {
		if _, ok := e.live[k]; !ok {
			e.byCookie[f.Cookie] = append(e.byCookie[f.Cookie], k)
		}
		shown := *f
		e.live[k] = &shown
	}
	e.note(f)
}

// note writes a flow into the history and tells those who follow.
func (e *Engine) note(f *flow.Flow) {
	if len(e.activity) < maxUnsaved {
		e.activity = append(e.activity, *f)
	} else {
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

// Closed takes the end of a socket.
func (e *Engine) Closed(c bpf.Closed) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for w := range e.waiting.ofSocket[c.Cookie] {
		e.gaveUp(w)
	}
	for _, k := range e.byCookie[c.Cookie] {
		f := e.live[k]
		delete(e.live, k)
		if f == nil || f.State == flow.Closed {
			continue
		}
		f.State, f.Ended = flow.Closed, e.wall(c.At)
		if len(e.byCookie[c.Cookie]) == 1 { // else it is not known what belongs to which
			f.Bytes = c.Bytes
		}
		e.note(f)
	}
	delete(e.byCookie, c.Cookie)
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
	need := false
	for _, f := range flows {
		need = need || f.Local.Port == 0 && f.Cookie != 0
	}
	if !need {
		return
	}
	all, err := e.c.Sockets.Locals()
	if err != nil {
		e.c.Log.Debug("local ends are not known", "err", err)
		return
	}
	for i := range flows {
		if a, ok := all[flows[i].Cookie]; ok && !flows[i].Local.Addr.IsValid() {
			flows[i].Local = flow.Endpoint{Addr: a.Addr(), Port: a.Port()}
		}
	}
}

// endForbidden ends the live flows that are blocked now.
func (e *Engine) endForbidden() {
	end := map[uint64]bool{}
	for _, f := range e.live {
		if f.State == flow.Closed || f.Decision.Verdict != flow.Allow {
			continue
		}
		d := e.decide(f, bpf.Owner{})
		if d.Verdict == flow.Waiting && f.Decision.By.Kind == flow.ByRule {
			// What allowed it is gone, and nothing else does.
			d = flow.Decision{Verdict: flow.Block, By: flow.By{Kind: flow.ByLimit, Name: limitRuleEnded}}
		}
		if d.Verdict == flow.Block {
			end[f.Cookie] = true
			f.Decision = d
		}
	}
	if len(end) == 0 {
		return
	}
	go func() { // sockets are listed and closed one by one
		n, err := e.c.Sockets.End(func(c uint64) bool { return end[c] })
		if err != nil {
			e.c.Log.Warn("a forbidden connection goes on", "err", err)
		}
		e.c.Log.Info("ended what is forbidden now", "connections", n)
	}()
}

// measure fills in the traffic of flows that live. A socket that talks to several is left
// out: what belongs to which is not known.
func (e *Engine) measure(flows []flow.Flow) {
	for i := range flows {
		if c := flows[i].Cookie; len(e.byCookie[c]) == 1 {
			if b, ok := e.c.Kernel.Traffic(c); ok {
				flows[i].Bytes = b
			}
		}
	}
}

// tellTraffic tells those who follow what went through the flows that live since they
// were told last.
func (e *Engine) tellTraffic() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.followed) == 0 {
		return
	}
	one := make([]flow.Flow, 1)
	for _, f := range e.live {
		if f.State != flow.Open {
			continue
		}
		one[0] = *f
		if e.measure(one); one[0].Bytes != f.Bytes {
			f.Bytes = one[0].Bytes
			e.tellFlow(f)
		}
	}
}
