package engine

import (
	"time"

	"sekisho/app/flow"
	"sekisho/service/bpf"
	"sekisho/service/traffic"
)

// A flow goes on while the service ends and begins again: it stays the same flow in the
// history, the kernel has counted on, and what it told meanwhile waits in its ring.

// takeUp makes the flows live that an earlier run left open; goesOn says whether the kernel
// kept its part since then. Else they are over: with the machine, or with what was counted.
// It is called with mu held, before the first of the kernel's events is read.
func (e *Engine) takeUp(goesOn bool) {
	open, err := e.c.Store.OpenFlows()
	if err != nil {
		e.c.Log.Warn("flows of an earlier run stay open in the history", "err", err)
		return
	}
	var known time.Time // what is last known of that run
	for i := range open {
		if known.Before(open[i].Time) {
			known = open[i].Time
		}
	}
	for i := range open {
		f := &open[i]
		if p, ok := e.c.Processes.Find(f.Process.ProcessID); ok && p.ExecID == f.Process.ExecID && p.UID == f.Process.UID {
			f.Process = p
		}
		if l := e.takeUpOne(f, goesOn); l != nil {
			e.taken = append(e.taken, f.Cookie)
			continue
		}
		f.State, f.Ended = flow.Closed, known
		e.note(f)
	}
}

func (e *Engine) takeUpOne(f *flow.Flow, goesOn bool) *traffic.Live {
	if !goesOn {
		return nil
	}
	l := e.live.Put(f)
	if l == nil || !l.Arriving() {
		return l
	}
	if _, there := e.c.Kernel.OwnerOfSocket(f.Cookie); !there { // else it is seen when it is recalled
		l.Listener = f.Cookie // it was accepted: a listener would be there
	}
	return l
}

// endMissing ends what was taken up and has no socket any more, after all that the kernel
// told was read.
func (e *Engine) endMissing() {
	e.drain()
	e.mu.Lock()
	taken := e.taken
	e.taken = nil
	e.mu.Unlock()
	for _, cookie := range taken {
		if _, there := e.c.Kernel.OwnerOfSocket(cookie); !there {
			e.Closed(bpf.Closed{Cookie: cookie, Several: true})
		}
	}
}

// teachTaken tells the kernel in time what is decided of those flows that ask for it with
// each packet: nobody reads the queue yet that would hold it. It is called with mu held.
func (e *Engine) teachTaken() error {
	for _, cookie := range e.taken {
		o, there := e.c.Kernel.OwnerOfSocket(cookie)
		if !there {
			continue
		}
		o.Cookie = cookie
		for l := range e.live.Of(cookie) {
			if l.Protocol == flow.TCP || l.State != flow.Open || o.Process != l.Process.ProcessID || o.ExecID != l.Process.ExecID {
				continue
			}
			f := l.Flow
			if f.Decision = e.decide(&f, o); f.Decision.Verdict != flow.Allow {
				continue
			}
			if err := e.teachFlow(&f, o); err != nil {
				return err
			}
		}
	}
	return nil
}
