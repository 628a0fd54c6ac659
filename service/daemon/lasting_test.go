package daemon_test

import (
	"testing"
	"time"

	"sekisho/app/prompt"
	"sekisho/app/rule"
)

// "Always" survives a restart and a kill.
func TestAlwaysSurvives(t *testing.T) {
	s := newScene(t)
	program := s.Home.Program("asker")
	run := program.Start(t.Context(), "tcp", s.target.String())
	p := s.prompts(1)[0]
	r := s.answer(p, rule.Allow, rule.Always, prompt.DefaultScope(p.Flow))
	if out, err := run.Wait(); err != nil {
		t.Fatalf("%+v, %v", out, err)
	}
	for _, again := range []struct {
		how  string
		stop func()
	}{{"stop", s.service.Stop}, {"kill -9", s.service.Kill}} {
		again.stop()
		s.service.Start()
		rules, err := s.api.Rules(t.Context())
		if err != nil || len(rules) != 1 || rules[0].ID != r.ID {
			t.Fatalf("rules after %s: %+v, %v", again.how, rules, err)
		}
		if out, err := program.Run(t.Context(), "tcp", s.target.String()); err != nil {
			t.Fatalf("after %s: %+v, %v", again.how, out, err)
		}
	}
}

// A rule for an address and a port holds at once and while no service runs, used or not.
func TestUnusedRuleHoldsWithoutService(t *testing.T) {
	s := newScene(t)
	program := s.Home.Program("allowed")
	_, err := s.api.AddRule(t.Context(), rule.Rule{
		Enabled: true, Action: rule.Allow, Program: rule.Program{Path: program.Path},
		Remote: rule.Remote{Address: s.target.Addr()}, Ports: []rule.PortRange{{From: 7, To: 7}},
	}, 0)
	if err != nil {
		t.Fatal(err)
	}
	s.service.Kill()
	for _, mode := range []string{"tcp", "udp", "udp-unconnected"} {
		if out, err := program.Run(t.Context(), "-timeout", "5s", "-echo", mode, s.target.String()); err != nil {
			t.Errorf("%s: %+v, %v", mode, out, err)
		}
	}
}

// Hits are counted, shown and kept.
func TestHits(t *testing.T) {
	s := newScene(t)
	program := s.Home.Program("allowed")
	s.rule(program, rule.Allow, rule.Remote{})
	for n := range uint64(2) {
		if out, err := program.Run(t.Context(), "-count", "5", "tcp", s.target.String()); err != nil {
			t.Fatalf("%+v, %v", out, err)
		}
		for when, wait := range map[string]time.Duration{"at once": 0, "later": 2500 * time.Millisecond} {
			time.Sleep(wait)
			s.eventually("hits "+when, func() bool {
				rules, err := s.api.Rules(t.Context())
				return err == nil && len(rules) == 1 && rules[0].Hits == 5*(n+1) && !rules[0].LastUsed.IsZero()
			})
		}
		s.service.Restart()
	}
}

// "Until it quits" ends with the program, "once" with the connection, a span with time.
func TestLifetimesEnd(t *testing.T) {
	for _, c := range []struct {
		kind rule.LifetimeKind
		span time.Duration
		left int // rules while it holds
	}{{rule.Quit, 0, 1}, {rule.Once, 0, 0}, {rule.Until, 2 * time.Second, 1}} {
		t.Run(string(c.kind), func(t *testing.T) {
			s := newScene(t)
			program := s.Home.Program("asker")
			// The second connection of the same process, half a second later.
			run := program.Start(t.Context(), "-count", "2", "-every", "500ms", "tcp", s.target.String())
			p := s.prompts(1)[0]
			a := prompt.Answer{Action: rule.Allow, Lifetime: c.kind, For: c.span, Scope: prompt.DefaultScope(p.Flow)}
			if _, err := s.api.Answer(t.Context(), p.ID, a); err != nil {
				t.Fatal(err)
			}
			if rules, err := s.api.Rules(t.Context()); err != nil || len(rules) != c.left {
				t.Fatalf("rules: %+v, %v", rules, err)
			}
			if c.kind == rule.Once { // the second one asks again
				s.answer(s.prompts(1)[0], rule.Block, rule.Once, prompt.DefaultScope(p.Flow))
			}
			out, _ := run.Wait()
			if len(out) != 2 || !out[0].OK || out[1].OK != (c.kind != rule.Once) {
				t.Fatalf("%+v", out)
			}
			s.eventually("the rule's end", func() bool {
				rules, err := s.api.Rules(t.Context())
				return err == nil && len(rules) == 0
			})
			run = program.Start(t.Context(), "tcp", s.target.String())
			s.answer(s.prompts(1)[0], rule.Block, rule.Once, prompt.DefaultScope(p.Flow))
			if out, _ := run.Wait(); len(out) != 1 || out[0].OK {
				t.Fatalf("afterwards: %+v", out)
			}
		})
	}
}
