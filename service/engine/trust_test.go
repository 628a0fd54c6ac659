package engine

import (
	"testing"

	"sekisho/app/flow"
	"sekisho/app/rule"
)

// With trust on, programs of packages may connect, and others, and what comes in, are asked
// about; a rule still wins.
func TestTrust(t *testing.T) {
	for _, c := range []struct {
		name     string
		off      bool
		nobodys  bool // no package installed it
		in       bool
		script   bool
		blocked  bool
		modified bool // since it was installed
		want     string
		ofAnyone bool // others than root could have put it there
	}{
		{name: "a packaged program", want: "accepted"},
		{name: "switched off", off: true, want: "held"},
		{name: "of no package", nobodys: true, want: "held"},
		{name: "what comes in", in: true, want: "held"},
		{name: "a changed file", modified: true, want: "held"},
		{name: "a script", script: true, want: "held"},
		{name: "a file of anyone's", ofAnyone: true, want: "held"},
		{name: "a rule blocks it", blocked: true, want: "refused"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.e.c.Trust = rule.Trust{Interpreter: func(string) bool { return false }, RootsOwn: func(string) bool { return !c.ofAnyone }}
			s, err := w.e.Settings(t.Context())
			if err != nil || s.Trust {
				t.Fatalf("on by itself: %+v, %v", s, err)
			}
			s.Trust = !c.off
			if err := w.e.SetSettings(t.Context(), s); err != nil {
				t.Fatal(err)
			}
			p := w.program("client")
			if !c.nobodys {
				p.Package, w.packages.of[p.Path] = "mail-client", "mail-client"
			}
			w.packages.modified[p.Executable] = c.modified
			if c.script {
				p.Script = "/home/ann/evil"
			}
			if c.blocked {
				w.rule(rule.Rule{Action: rule.Block, Program: rule.Program{Path: p.Path}}, "192.0.2.1")
			}
			o := w.socket(p)
			q := to(o, flow.TCP, "192.0.2.1:25")
			if c.in {
				q = from(o, flow.TCP, "192.0.2.1:5000", 80)
			}
			h := w.send(q)
			if c.want == "held" {
				w.asked(1)
			}
			w.is(h, c.want)
			if c.want == "accepted" {
				if by := w.live(o.Cookie)[0].Decision.By; by != (flow.By{Kind: flow.ByTrust, Name: "mail-client"}) {
					t.Errorf("by %+v", by)
				}
				s.Trust = false // switched off, it ends nothing, but is asked about again
				if err := w.e.SetSettings(t.Context(), s); err != nil {
					t.Fatal(err)
				}
				h := w.send(to(w.socket(p), flow.TCP, "192.0.2.1:25"))
				w.asked(1)
				w.is(h, "held")
			}
		})
	}
}
