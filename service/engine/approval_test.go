package engine

import (
	"os"
	"testing"

	"sekisho/app/flow"
	"sekisho/app/prompt"
	"sekisho/app/rule"
)

// other makes another file at a program's path, and a process that runs it.
func (w *world) other(p *flow.Process, modified bool) *flow.Process {
	w.Helper()
	if err := os.WriteFile(p.Path, []byte("another"), 0o700); err != nil {
		w.Fatal(err)
	}
	exe := flow.Executable{Inode: uint64(1000 + len(w.processes.all)), Device: 1}
	w.kernel.files[p.Path] = exe
	w.packages.mu.Lock()
	w.packages.modified[exe] = modified
	w.packages.mu.Unlock()
	w.pids++
	q := *p
	q.ProcessID, q.Executable = flow.ProcessID{PID: w.pids, Start: uint64(w.pids)}, exe
	w.processes.all[q.ProcessID] = &q
	return &q
}

// passes sends a packet, which nobody is asked about.
func (w *world) passes(p *flow.Process, remote string) {
	w.Helper()
	h := w.send(to(w.socket(p), flow.TCP, remote))
	w.until("a verdict", func() bool { return h.String() != "held" })
	if s := h.String(); s != "accepted" && s != "passed" {
		w.Fatalf("the packet was %s", s)
	}
}

// What becomes of a rule for a path when another file is there.
func TestAnotherFileAtThePath(t *testing.T) {
	for _, c := range []struct {
		name          string
		before, after string // packages
		modified      bool
		keeps         bool
	}{
		{"its package's update", "editor", "editor", false, true},
		{"modified since", "editor", "editor", true, false},
		{"another package's", "editor", "malware", false, false},
		{"no package's any more", "editor", "", false, false},
		{"a package's by now", "", "editor", false, false},
		{"of no package", "", "", false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			p := w.program("editor")
			p.Package = c.before
			w.packages.of[p.Path] = c.before
			w.rule(rule.Rule{Action: rule.Allow, Program: rule.Program{Path: p.Path}}, "")
			w.passes(p, "198.51.100.1:443")

			w.packages.mu.Lock()
			w.packages.of[p.Path] = c.after
			w.packages.mu.Unlock()
			q := w.other(p, c.modified)
			q.Package = c.after
			h := w.send(to(w.socket(q), flow.TCP, "198.51.100.1:443"))
			if c.keeps {
				w.is(h, "accepted")
				w.passes(q, "198.51.100.2:443")
				return
			}
			asked := w.asked(1)[0]
			if !asked.Flow.Process.Replaced {
				t.Error("nobody says that it was replaced")
			}
			// Allowed once more, it is what the rule is about.
			w.answer(asked, rule.Allow, rule.Always, prompt.Scope{Kind: prompt.Anything})
			w.is(h, "accepted")
			w.passes(q, "198.51.100.2:443")
			// The one before still is.
			w.passes(p, "198.51.100.3:443")
		})
	}
}

// A file that only counts because it was there first must be what its package installed.
func TestFirstFileIsModified(t *testing.T) {
	w := newWorld(t)
	p := w.program("editor")
	p.Package = "editor"
	w.packages.of[p.Path] = "editor"
	w.packages.modified[p.Executable] = true
	file, err := rule.WriteFile([]rule.Rule{{Enabled: true, Action: rule.Allow, Program: rule.Program{Path: p.Path}, Lifetime: rule.Lifetime{Kind: rule.Always}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.e.ImportRules(t.Context(), file, false); err != nil {
		t.Fatal(err)
	}
	w.e.completeApproved()
	h := w.send(to(w.socket(p), flow.TCP, "198.51.100.1:443"))
	asked := w.asked(1)[0]
	if !asked.Flow.Process.Replaced || asked.Flow.Process.Integrity != flow.Modified {
		t.Errorf("asked about %+v", asked.Flow.Process.Program)
	}
	w.answer(asked, rule.Allow, rule.Always, prompt.Scope{Kind: prompt.Anything})
	w.is(h, "accepted")
	w.e.completeApproved() // a person saw that it was modified
	w.passes(p, "198.51.100.2:443")
}

// Trust is for what its package installed.
func TestTrustAsksForIntegrity(t *testing.T) {
	for _, modified := range []bool{false, true} {
		w := newWorld(t)
		w.e.c.Trust = rule.Trust{Interpreter: func(string) bool { return false }, RootsOwn: func(string) bool { return true }}
		p := w.program("editor")
		w.processes.all[p.ProcessID].Package = "editor"
		w.packages.of[p.Path] = "editor"
		w.packages.modified[p.Executable] = modified
		s, err := w.e.Settings(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		s.Trust = true
		if err := w.e.SetSettings(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		h := w.send(to(w.socket(p), flow.TCP, "198.51.100.1:443"))
		if modified {
			w.asked(1)
			w.is(h, "held")
		} else {
			w.is(h, "accepted")
		}
	}
}
