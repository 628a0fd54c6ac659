package daemon_test

import (
	"testing"

	"sekisho/app/prompt"
	"sekisho/app/rule"
)

// An answer that doesn't fit into a datagram comes over TCP, and counts as well: a rule for
// the name then holds for the program that asked, and for no other.
func TestNamesOverTCP(t *testing.T) {
	s := newScene(t)
	s.DNS.Set("example.lab", s.target.Addr())
	s.DNS.Truncate("example.lab")
	program := s.Home.Program("asker")
	run := program.Start(t.Context(), "-echo", "dns+tcp", "example.lab:7")
	p := s.prompts(1)[0]
	if p.Flow.Remote.Name != "example.lab" {
		t.Fatalf("name: %q", p.Flow.Remote.Name)
	}
	overTCP := false
	for _, q := range s.DNS.Queries("example.lab") {
		overTCP = overTCP || q.TCP
	}
	if !overTCP {
		t.Fatal("nobody asked over TCP")
	}
	r := s.answer(p, rule.Allow, rule.Always, prompt.Scope{Kind: prompt.Host, To: "example.lab"})
	if r == nil || r.Remote.Name != "example.lab" {
		t.Fatalf("rule: %+v", r)
	}
	for range 2 {
		if out, err := run.Wait(); err != nil {
			t.Fatalf("%+v, %v", out, err)
		}
		run = program.Start(t.Context(), "-echo", "dns+tcp", "example.lab:7")
	}
	other := s.Home.Program("other")
	blocked := other.Start(t.Context(), "dns+tcp", "example.lab:7")
	p = s.prompts(1)[0]
	if p.Flow.Process.Path != other.Path || p.Flow.Remote.Name != "example.lab" {
		t.Errorf("asked about %s to %q", p.Flow.Process.Path, p.Flow.Remote.Name)
	}
	s.answer(p, rule.Block, rule.Once, prompt.DefaultScope(p.Flow))
	if out, _ := blocked.Wait(); len(out) != 1 || out[0].OK {
		t.Errorf("%+v", out)
	}
}
