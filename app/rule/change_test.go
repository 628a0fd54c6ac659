package rule

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sekisho/app/flow"
)

func TestChanges(t *testing.T) {
	curl := func(id string, a Action, change func(r *Rule)) Rule {
		r := Rule{ID: id, Enabled: true, Action: a, Program: Program{Path: "/usr/bin/curl"}}
		if change != nil {
			change(&r)
		}
		return r
	}
	port := func(n uint16) func(*Rule) { return func(r *Rule) { r.Ports = []PortRange{{n, n}} } }
	q := Query{
		Process:  &flow.Process{UID: 1000, User: "alice", Program: flow.Program{Path: "/usr/bin/curl"}},
		Protocol: flow.TCP,
		Remote:   flow.Endpoint{Addr: netip.MustParseAddr("192.0.2.1"), Port: 25, Name: "mail.example.com"},
	}
	for _, c := range []struct {
		name  string
		rules []Rule
		want  string
	}{
		{"no rule", nil, "add /usr/bin/curl any any -> new"},
		{"a rule that says as little", []Rule{curl("1", Block, nil)}, "switch-off 1 -> nothing; add /usr/bin/curl mail.example.com any -> new"},
		{"a rule for the port", []Rule{curl("1", Block, port(25)), curl("2", Allow, nil)}, "switch-off 1 -> 2; add /usr/bin/curl mail.example.com any -> new"},
		{"one that is off", []Rule{curl("1", Block, nil), curl("2", Allow, func(r *Rule) { r.Enabled = false; port(25)(r) })},
			"switch-on 2 -> 2; switch-off 1 -> nothing; add /usr/bin/curl mail.example.com any -> new"},
		{"one for another port", []Rule{curl("1", Block, nil), curl("2", Allow, port(587))},
			"edit 2 (ports: 25, not 587) -> 2; switch-off 1 -> nothing; add /usr/bin/curl mail.example.com any -> new"},
		{"two that block", []Rule{curl("1", Block, port(25)), curl("2", Block, nil), {ID: "3", Enabled: true, Action: Allow}},
			"switch-off 1 2 -> 3; add /usr/bin/curl mail.example.com any -> new"},
		{"one as narrow as can be", []Rule{curl("1", Block, func(r *Rule) { port(25)(r); r.Remote.Name, r.Protocol, r.User = "mail.example.com", flow.TCP, "1000" })},
			"switch-off 1 -> nothing"},
		{"it is so already", []Rule{curl("1", Allow, nil)}, ""},
	} {
		got := changesText(NewSet(c.rules).Changes(q, Clock{Wall: time.Unix(1, 0)}, Allow))
		if got != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.name, got, c.want)
		}
	}
}

func changesText(changes []Change) string {
	var all []string
	for _, c := range changes {
		s := string(c.Do)
		for _, r := range c.Rules {
			if r.ID == "" {
				s += fmt.Sprintf(" %s %s %s", ByProgram.of(r), ByDestination.of(r), ByPorts.of(r))
				continue
			}
			s += " " + r.ID
		}
		if c.Check != nil {
			s += fmt.Sprintf(" (%s: %s, not %s)", c.Check.Operand, c.Check.Has, c.Check.Want)
		}
		then := "nothing"
		if c.Then != nil {
			if then = c.Then.ID; then == "" {
				then = "new"
			}
		}
		all = append(all, s+" -> "+then)
	}
	return strings.Join(all, "; ")
}

// TestChangesHold does what is proposed, to random rules, and sees that it is decided so.
func TestChangesHold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules := genRules(t, 12)
		q, now := genQuery(t, genProcess(t)), genClock(t)
		want := rapid.SampledFrom([]Action{Allow, Block}).Draw(t, "want")
		s := NewSet(rules)
		for _, c := range s.Changes(q, now, want) {
			if c.Do == Edit { // what it is to be is the person's choice
				continue
			}
			got, ok := NewSet(changed(s, c)).Decide(q, now)
			switch {
			case ok && got.Action != want:
				t.Fatalf("after %s: %s", changesText([]Change{c}), got.Action)
			case ok != (c.Then != nil), ok && c.Then.ID != "" && got.ID != c.Then.ID:
				t.Fatalf("after %s: rule %+v decides", changesText([]Change{c}), got)
			}
		}
	})
}

func changed(s *Set, c Change) []Rule {
	var rules []Rule
	for i := range s.Rules() {
		r := s.Rules()[i]
		for _, x := range c.Rules {
			if x == &s.Rules()[i] {
				r.Enabled = c.Do == SwitchOn
			}
		}
		rules = append(rules, r)
	}
	if c.Do == Add {
		r := *c.Rules[0]
		r.ID = "\uffff"
		rules = append(rules, r)
	}
	return rules
}
