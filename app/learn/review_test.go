package learn

import (
	"errors"
	"testing"

	"sekisho/app/flow"
	"sekisho/app/rule"
)

func TestReview(t *testing.T) {
	notes := notesOf(t,
		seen("/usr/bin/a", flow.Out, flow.TCP, "a.com=203.0.113.1", 443),
		seen("/usr/bin/b", flow.Out, flow.TCP, "b.com=203.0.113.2", 443),
		seen("/usr/bin/c", flow.Out, flow.TCP, "c.com=203.0.113.3", 443),
		seen("/usr/bin/d", flow.In, flow.TCP, "203.0.113.3", 22),
		seen("/usr/bin/perl", flow.Out, flow.TCP, "e.com=203.0.113.4", 443))
	proposals, _ := Propose(notes, Options{Interpreter: func(p string) bool { return p == "/usr/bin/perl" }})
	if len(proposals) != 5 {
		t.Fatalf("%v", text(proposals))
	}
	v := NewReview(proposals)
	if len(v.Rules()) != 0 || len(v.Asked()) != 5 {
		t.Fatalf("before any answer: %d rules, %d asked", len(v.Rules()), len(v.Asked()))
	}
	if err := v.Answer(proposals[1].ID, Dropped); err != nil {
		t.Fatal(err)
	}
	wider := proposals[2].Rule
	wider.Remote, wider.Origin = rule.Remote{Domain: "c.com"}, rule.FromEditor
	if err := v.Change(proposals[2].ID, wider); err != nil {
		t.Fatal(err)
	}
	v.AcceptUpTo(OneHost)
	rules := v.Rules()
	if len(rules) != 2 || rules[0].Program.Path != "/usr/bin/a" || rules[1].Remote.Domain != "c.com" || rules[1].Origin != rule.FromLearn {
		t.Errorf("%+v", rules)
	}
	asked := v.Asked()
	if len(asked) != 3 || asked[0].Path != "/usr/bin/b" || asked[1].Path != "/usr/bin/d" || asked[2].Path != "/usr/bin/perl" {
		t.Errorf("asked: %+v", asked)
	}
	states := map[Answer]int{}
	v.Each(func(_ Proposal, a Answer) { states[a]++ })
	if states[Accepted] != 2 || states[Dropped] != 1 || states[Open] != 2 {
		t.Errorf("%v", states)
	}
	var unknown *UnknownError
	if err := v.Answer("none", Accepted); !errors.As(err, &unknown) || unknown.ID != "none" {
		t.Errorf("%v", err)
	}
	var operand *rule.OperandError
	if err := v.Change(proposals[0].ID, rule.Rule{Action: rule.Allow, Program: rule.Program{Path: "relative"}}); !errors.As(err, &operand) {
		t.Errorf("%v", err)
	}
}
