package engine

import (
	"testing"
	"time"

	"sekisho/app/api"
	"sekisho/app/flow"
	"sekisho/app/prompt"
	"sekisho/app/rule"
	"sekisho/service/bpf"
)

// foreign is a socket of p where nothing can hold a packet.
func (w *world) foreign(p *flow.Process) bpf.Owner {
	o := w.socket(p)
	o.Foreign = true
	return o
}

// Where nothing can be held, an undecided program is refused and asked about, and what is
// answered is for its next attempt.
func TestRefusedIsAsked(t *testing.T) {
	for _, incoming := range []bool{false, true} {
		w := newWorld(t)
		p := w.program("inside")
		packet := func(o bpf.Owner) Packet {
			if incoming {
				return from(o, flow.TCP, guest, 8000)
			}
			return to(o, flow.TCP, "192.0.2.1:443")
		}
		for range 3 { // it tries again and again
			w.is(w.send(packet(w.foreign(p))), "not held")
		}
		q := w.asked(1)[0]
		if q.Flows != 1 || q.Flow.Process.Path != p.Path {
			t.Fatalf("asked about %+v", q)
		}
		w.e.Closed(bpf.Closed{Cookie: w.cookies}) // it gave up, as anybody does who is refused
		w.asked(1)
		w.answer(q, rule.Allow, rule.Always, prompt.DefaultScope(q.Flow))
		w.is(w.send(packet(w.foreign(p))), "passed")
		w.asked(0)
		all := w.history()
		if f := all[0]; f.Decision != (flow.Decision{Verdict: flow.Block, By: flow.By{Kind: flow.ByLimit, Name: limitNotHeld}}) || f.State != flow.Closed {
			t.Errorf("the attempt that was refused: %+v", f)
		}
		if f := all[len(all)-1]; f.Decision.Verdict != flow.Allow || f.Decision.By.Kind != flow.ByRule {
			t.Errorf("the attempt that passed: %+v", f)
		}
	}
}

func TestRefusedOnce(t *testing.T) {
	w := newWorld(t)
	p := w.program("inside")
	w.is(w.send(to(w.foreign(p), flow.UDP, "192.0.2.1:53")), "not held")
	q := w.asked(1)[0]
	w.answer(q, rule.Allow, rule.Once, prompt.DefaultScope(q.Flow))
	w.rule(rule.Rule{Action: rule.Block, Program: rule.Program{Path: "/other"}}, "") // whatever else changes
	w.is(w.send(to(w.foreign(p), flow.UDP, "192.0.2.2:53")), "not held")
	w.asked(1)
	o := w.foreign(p)
	w.is(w.send(to(o, flow.UDP, "192.0.2.1:53")), "passed")
	w.is(w.send(to(o, flow.UDP, "192.0.2.1:53")), "passed") // the same flow goes on
	w.is(w.send(to(w.foreign(p), flow.UDP, "192.0.2.1:53")), "not held")
	w.asked(2)
	if l := w.live(o.Cookie); len(l) != 1 || l[0].Decision.By.Kind != flow.ByAnswer {
		t.Errorf("live: %+v", l)
	}
	w.e.Closed(bpf.Closed{Cookie: o.Cookie})
	if n := len(w.kernel.exacts); n != 0 {
		t.Errorf("%d decisions are left in the kernel", n)
	}
}

// An answer for once does not outlive a change that says otherwise.
func TestRefusedOnceIsOverruled(t *testing.T) {
	for name, change := range map[string]func(w *world, p *flow.Process){
		"by a rule": func(w *world, p *flow.Process) {
			w.rule(rule.Rule{Action: rule.Block, Program: rule.Program{Path: p.Path}}, "192.0.2.0/24")
		},
		"by lockdown": func(w *world, _ *flow.Process) {
			if err := w.e.SetMode(w.Context(), api.ModeLockdown, 0); err != nil {
				w.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			p := w.program("inside")
			w.send(to(w.foreign(p), flow.TCP, "192.0.2.1:443"))
			q := w.asked(1)[0]
			w.answer(q, rule.Allow, rule.Once, prompt.DefaultScope(q.Flow))
			change(w, p)
			for range 2 {
				if h := w.send(to(w.foreign(p), flow.TCP, "192.0.2.1:443")); h.String() == "passed" {
					t.Error("it passed by an answer that was given before")
				}
			}
			w.asked(0)
		})
	}
}

func TestRefusedOnceEnds(t *testing.T) {
	w := newWorld(t)
	p := w.program("inside")
	w.send(to(w.foreign(p), flow.TCP, "192.0.2.1:443"))
	q := w.asked(1)[0]
	w.answer(q, rule.Allow, rule.Once, prompt.DefaultScope(q.Flow))
	w.e.mu.Lock()
	for _, r := range w.e.retries {
		r.until = time.Now().Add(-time.Second)
	}
	w.e.mu.Unlock()
	w.e.endRetries()
	w.is(w.send(to(w.foreign(p), flow.TCP, "192.0.2.1:443")), "not held")
	w.asked(1)
}

// Blocked once is not asked again for a while, however often it tries.
func TestRefusedBlockedOnce(t *testing.T) {
	w := newWorld(t)
	p := w.program("inside")
	w.send(to(w.foreign(p), flow.TCP, "192.0.2.1:443"))
	q := w.asked(1)[0]
	w.answer(q, rule.Block, rule.Once, prompt.DefaultScope(q.Flow))
	for range 3 {
		w.send(to(w.foreign(p), flow.TCP, "192.0.2.1:443"))
	}
	other := w.send(to(w.socket(w.program("other")), flow.TCP, "192.0.2.1:443"))
	w.asked(1)
	w.is(other, "held")
}
