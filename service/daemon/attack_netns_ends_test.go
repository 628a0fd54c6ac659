package daemon_test

import (
	"testing"
	"time"

	"sekisho/app/api"
	"sekisho/app/flow"
	"sekisho/app/rule"
)

// A connection of a container ends as one at home does: with a block, in lockdown, when its
// rule ends while no service runs. What is allowed still goes on.
func TestChangeTakesHoldElsewhere(t *testing.T) {
	s := newCountScene(t)
	box := s.AddHost("box")
	home := s.Home
	wire := s.Remote.Wire()
	permit := func(p rule.Program) { s.allow(rule.Rule{Direction: rule.Both, Program: p}) }
	ruleOf := func(c *conversation) rule.Rule {
		rules, err := s.api.Rules(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rules {
			if r.Program.Script == c.home.file && r.Action == rule.Allow {
				return r
			}
		}
		t.Fatal("no rule")
		return rule.Rule{}
	}
	for _, how := range []struct {
		name   string
		forbid func(c *conversation) error
	}{
		{"a new block", func(c *conversation) error {
			_, err := s.api.AddRule(t.Context(), rule.Rule{
				Enabled: true, Action: rule.Block, Direction: rule.Both, Program: rule.Program{Path: s.python, Script: c.home.file},
				Remote: rule.Remote{Address: s.Remote.Addr4},
			}, 0)
			return err
		}},
		{"ended meanwhile", func(c *conversation) error {
			r := ruleOf(c)
			s.service.Kill()
			s.edit(func(x *rule.Rule) {
				if x.ID == r.ID {
					x.Lifetime = rule.Lifetime{Kind: rule.Boot, Boot: "another"}
				}
			})
			s.service.Start()
			return nil
		}},
		{"lockdown", func(*conversation) error { return s.api.SetMode(t.Context(), api.ModeLockdown, 0) }},
	} {
		for _, network := range []string{"tcp", "udp"} {
			for _, d := range []flow.Direction{flow.Out, flow.In} {
				if err := s.api.SetMode(t.Context(), api.ModeAsk, 0); err != nil {
					t.Fatal(err)
				}
				s.Home = box
				s.holdsHere(permit)
				c := s.converse(network, d, permit)
				stays := s.converse(network, d, permit)
				s.Home = home
				if err := how.forbid(c); err != nil {
					t.Fatal(err)
				}
				at := time.Now()
				if how.name != "lockdown" {
					goOn([]*conversation{stays}, wire)
				}
				time.Sleep(time.Until(at.Add(300 * time.Millisecond)))
				c.ended(how.name, wire, at)
				c.stop()
				stays.stop()
			}
		}
	}
}

// holdsHere waits until packets of a program wait where it runs.
func (s *countScene) holdsHere(permit func(rule.Program)) {
	s.t.Helper()
	k := s.talkAtHome(permit, s.place(false, false, 0), `
while True:
    try:
        socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', (ADDRESS, 9))
        break
    except PermissionError: time.sleep(0.02)
`)
	if err := k.Wait(); err != nil {
		s.t.Fatal(err)
	}
}
