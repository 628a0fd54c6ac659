package engine

import (
	"net/netip"
	"testing"
	"time"

	"sekisho/app/api"
	"sekisho/app/flow"
	"sekisho/app/rule"
	"sekisho/service/bpf"
	"sekisho/service/names"
)

// What a machine says to itself passes and is shown; a rule that names it decides.
func TestLoopback(t *testing.T) {
	for _, c := range []struct {
		name      string
		to        string // of a blocking rule for the program; "-": no rule
		kernel    bpf.Verdict
		out, in   string
		elsewhere string // to another machine
	}{
		{"no rule", "-", bpf.Allow, "passed", "passed", "held"},
		{"a rule for anything", "", bpf.Allow, "passed", "passed", "blocked"},
		{"another network", "10.0.0.0/8", bpf.Allow, "passed", "passed", "held"},
		{"the local network", "lan", bpf.Allow, "passed", "passed", "held"},
		{"the address", "127.0.0.1", bpf.Depends, "refused", "refused", "held"},
		{"another address", "127.0.0.2", bpf.Depends, "accepted", "accepted", "held"},
		{"the network", "127.0.0.0/8", bpf.Depends, "refused", "refused", "held"},
		{"everything", "0.0.0.0/0", bpf.Depends, "refused", "refused", "refused"},
		{"a range", "127.0.0.0-127.0.0.9", bpf.Depends, "refused", "refused", "held"},
		{"localhost", "localhost", bpf.Depends, "refused", "refused", "held"},
		{"a name that nobody looked up", "web.example", bpf.Allow, "passed", "passed", "held"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			p := w.program("server")
			if c.to != "-" {
				w.rule(rule.Rule{Action: rule.Block, Direction: rule.Both, Program: rule.Program{Path: p.Path}}, c.to)
			}
			if w.kernel.control.Loopback != c.kernel {
				t.Errorf("the kernel was told %v, want %v", w.kernel.control.Loopback, c.kernel)
			}
			out, in := to(w.socket(p), flow.TCP, "127.0.0.1:80"), from(w.socket(p), flow.TCP, "127.0.0.1:5000", 80)
			w.is(w.send(out), c.out)
			w.is(w.send(in), c.in)
			h := w.send(to(w.socket(p), flow.TCP, "192.0.2.1:80"))
			if c.elsewhere == "held" {
				w.asked(1)
			}
			w.is(h, c.elsewhere)
			for i, f := range w.history()[:2] {
				want := flow.By{Kind: flow.ByPreset, Name: rule.PresetLoopback}
				if c.out == "refused" {
					want = flow.By{Kind: flow.ByRule, ID: "1"}
				}
				if f.Decision.By.Kind == flow.ByPreset {
					want.ID = f.Decision.By.ID
				}
				if f.Decision.By != want || f.Direction != flow.Direction(i) {
					t.Errorf("history: %+v", f)
				}
			}
		})
	}
}

func TestLoopbackWithoutThePreset(t *testing.T) {
	w := newWorld(t)
	s, err := w.e.Settings(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.DisabledPresets = []string{rule.PresetLoopback}
	if err := w.e.SetSettings(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if w.kernel.control.Loopback != bpf.Ask {
		t.Errorf("the kernel was told %v", w.kernel.control.Loopback)
	}
	p := w.program("server")
	h := w.send(to(w.socket(p), flow.TCP, "127.0.0.1:80"))
	w.asked(1)
	w.is(h, "held")
	w.rule(rule.Rule{Action: rule.Allow, Program: rule.Program{Path: p.Path}}, "")
	w.is(h, "accepted")
	w.is(w.send(to(w.socket(p), flow.TCP, "127.0.0.1:80")), "passed")
}

// A name can be made to lead here: from then on rules with names are asked.
func TestLoopbackByName(t *testing.T) {
	w := newWorld(t)
	p := w.program("browser")
	w.rule(rule.Rule{Action: rule.Block, Program: rule.Program{Path: p.Path}}, "web.example")
	w.is(w.send(to(w.socket(p), flow.TCP, "127.0.0.1:80")), "passed")
	here := []netip.Addr{netip.MustParseAddr("127.0.0.1")}
	w.e.NamesChanged(p.Key(), w.names.Learn(p.Key(), names.Answer{Question: "web.example", Addrs: here, TTL: time.Hour}, time.Now()))
	w.is(w.send(to(w.socket(p), flow.TCP, "127.0.0.1:80")), "refused")
	w.is(w.send(to(w.socket(w.program("other")), flow.TCP, "127.0.0.1:80")), "accepted")
}

func TestLoopbackInLockdown(t *testing.T) {
	w := newWorld(t)
	p := w.program("server")
	w.rule(rule.Rule{Action: rule.Block, Direction: rule.Both}, "127.0.0.1")
	if err := w.e.SetMode(t.Context(), api.ModeLockdown, 0); err != nil {
		t.Fatal(err)
	}
	w.is(w.send(to(w.socket(p), flow.TCP, "127.0.0.1:80")), "passed")
	w.is(w.send(from(w.socket(p), flow.TCP, "127.0.0.1:5000", 80)), "passed")
}
