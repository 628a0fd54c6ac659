package daemon_test

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"testing"
	"time"

	"sekisho/app/flow"
	"sekisho/app/prompt"
	"sekisho/app/rule"
	"sekisho/service/lab"
	"sekisho/store"
)

// conversations begins one of each kind.
func (s *countScene) conversations(permit func(rule.Program)) []*conversation {
	s.t.Helper()
	var all []*conversation
	for _, network := range []string{"tcp", "udp"} {
		for _, d := range []flow.Direction{flow.Out, flow.In} {
			c := s.converse(network, d, permit)
			s.t.Cleanup(c.stop)
			all = append(all, c)
		}
	}
	return all
}

// goOn wants all to talk still.
func goOn(all []*conversation, wire *lab.Wire) {
	for _, c := range all {
		wire.Forget()
		c.s.eventually("the conversation goes on", func() bool { return !c.last(wire).IsZero() })
	}
}

// What a rule for a span allowed ends with the span.
func TestSpanEndsConnections(t *testing.T) {
	s := newCountScene(t)
	wire := s.Remote.Wire()
	ends := map[string]time.Time{} // by script
	all := s.conversations(func(p rule.Program) {
		r, err := s.service.Ctl(t.Context(), "rule", "add", "--program", p.Path, "--script", p.Script,
			"--action", "allow", "--direction", "both", "--for", "4s")
		if err != nil || r.Code != 0 {
			t.Fatalf("%+v, %v", r, err)
		}
		rules, err := s.api.Rules(t.Context())
		if err != nil || len(rules) == 0 {
			t.Fatalf("%+v, %v", rules, err)
		}
		for _, r := range rules {
			ends[r.Program.Script] = r.Lifetime.Until
		}
	})
	for _, c := range all {
		end := ends[c.home.file]
		time.Sleep(time.Until(end) + 300*time.Millisecond)
		c.ended("a span", wire, end)
		if early := end.Sub(c.last(wire)); early > time.Second {
			t.Errorf("%s %s ended %v before its span", c.network, c.direction, early)
		}
	}
}

// What a rule until a program quits allowed to its children ends when it quits.
func TestQuitEndsConnections(t *testing.T) {
	s := newCountScene(t)
	wire := s.Remote.Wire()
	// The parent asks, and waits for its end; its child talks.
	parent := fmt.Sprintf(`
import os
open(sys.argv[0] + '.on', 'w').close()
u = socket.socket(type=socket.SOCK_DGRAM); u.sendto(b'x', (%q, 1))
if os.fork():
    while os.path.exists(sys.argv[0] + '.on'): time.sleep(0.002)
    os._exit(0)
`, s.Remote.Addr4)
	for _, network := range []string{"tcp", "udp"} {
		for _, d := range []flow.Direction{flow.Out, flow.In} {
			c := s.begin(network, d, func(rule.Program) {}, parent)
			var who *flow.Process
			s.eventually("the parent's question", func() bool {
				for _, p := range s.waiting() {
					if p.Flow.Remote.Port == 1 {
						who = p.Flow.Process
					}
				}
				return who != nil
			})
			s.allow(rule.Rule{
				Direction: rule.Both, Program: rule.Program{Path: who.Path, Script: who.Script},
				Lifetime: rule.Lifetime{Kind: rule.Quit, Process: who.ProcessID},
			})
			c.talks()
			if err := os.Remove(c.home.file + ".on"); err != nil {
				t.Fatal(err)
			}
			if err := c.home.Wait(); err != nil {
				t.Fatal(err)
			}
			at := time.Now()
			time.Sleep(300 * time.Millisecond)
			c.ended("quit", wire, at)
			_ = c.remote.Process.Kill()
			_ = c.remote.Wait()
		}
	}
}

// waiting lists the prompts that wait for an answer.
func (s *scene) waiting() []prompt.Prompt {
	s.t.Helper()
	all, err := s.api.Prompts(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return slices.DeleteFunc(all, func(p prompt.Prompt) bool { return p.State != prompt.Waiting })
}

// What a rule allowed that ended while no service ran is over when it runs again; what
// others allowed goes on.
func TestEndedMeanwhileEndsConnections(t *testing.T) {
	s := newCountScene(t)
	wire := s.Remote.Wire()
	for how, end := range map[string]func(*rule.Rule){
		"boot": func(r *rule.Rule) { r.Lifetime = rule.Lifetime{Kind: rule.Boot, Boot: "another"} },
		"a span": func(r *rule.Rule) {
			r.Created = time.Now().Add(-time.Hour).UTC()
			r.Lifetime = rule.Lifetime{Kind: rule.Until, Until: r.Created.Add(time.Minute)}
		},
		"quit": func(r *rule.Rule) { r.Lifetime = rule.Lifetime{Kind: rule.Quit, Boot: "another"} },
	} {
		t.Run(how, func(t *testing.T) {
			s.t = t
			permit := func(p rule.Program) { s.allow(rule.Rule{Direction: rule.Both, Program: p}) }
			stays := s.converse("tcp", flow.Out, permit)
			t.Cleanup(stays.stop)
			all := s.conversations(permit)
			s.service.Kill()
			s.edit(func(r *rule.Rule) {
				if r.Program.Script != stays.home.file {
					end(r)
				}
			})
			goOn(all[:1], wire)
			s.service.Start()
			at := time.Now()
			time.Sleep(300 * time.Millisecond)
			for _, c := range all {
				c.ended(how, wire, at)
			}
			goOn([]*conversation{stays}, wire)
		})
	}
}

// edit changes rules on the disk, while no service runs.
func (s *scene) edit(change func(*rule.Rule)) {
	s.t.Helper()
	db, _, err := store.Open(s.service.State, store.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		s.t.Fatal(err)
	}
	rules, err := db.Rules()
	for i := range rules {
		change(&rules[i])
	}
	if err == nil {
		_, err = db.PutRules(rules)
	}
	if err := errors.Join(err, db.Close()); err != nil {
		s.t.Fatal(err)
	}
}
