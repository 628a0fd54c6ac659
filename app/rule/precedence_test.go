package rule

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sekisho/app/flow"
)

// The documented order, criterion by criterion: in each row every rule wins over the
// one after it. All match the same flow.
func TestPrecedence(t *testing.T) {
	quit := Lifetime{Kind: Quit, Boot: "b", Process: flow.ProcessID{PID: 7, Start: 70}}
	process := func(p Program) Rule { return Rule{Program: p} }
	remote := func(s string) Rule {
		r, err := ParseRemote(s)
		if err != nil {
			t.Fatal(err)
		}
		return Rule{Remote: r}
	}
	ports := func(s string) Rule {
		p, err := ParsePorts(s)
		if err != nil {
			t.Fatal(err)
		}
		return Rule{Ports: p}
	}
	const script, path, parent, unit = "/s/t/backup.py", "/usr/bin/python3", "/usr/bin/bash", "cron.service"
	const pkg, app = "python3", "org.python.Python"
	sum := genSums[0]
	for _, row := range []struct {
		by    Criterion
		rules []Rule
	}{
		{ByProgram, []Rule{
			process(Program{Script: script, Path: path, SHA256: sum}),
			process(Program{Script: script, Path: path}),
			process(Program{Script: script}),
			process(Program{Path: path, SHA256: sum, Unit: unit}),
			process(Program{Path: path, SHA256: sum}),
			process(Program{Path: path, Unit: unit, Parent: parent}),
			process(Program{Path: path, Unit: unit}),
			process(Program{Path: path, Parent: parent}),
			{Program: Program{Path: path}, Lifetime: quit},
			process(Program{Path: path}),
			process(Program{SHA256: sum}),
			process(Program{App: app, Folder: "/s"}),
			process(Program{App: app}),
			process(Program{Folder: "/s/t", Unit: unit}),
			process(Program{Folder: "/s", Unit: unit}),
			process(Program{Folder: "/s/t"}),
			process(Program{Folder: "/s"}),
			process(Program{Unit: unit, Parent: parent}),
			process(Program{Unit: unit}),
			process(Program{Parent: parent}),
			{Lifetime: quit},
			process(Program{}),
		}},
		{ByDestination, []Rule{
			remote("www.example.com"), remote("*.www.example.com"), remote("*.example.com"), remote("*.com"),
			remote("10.0.0.4-10.0.0.6"), remote("10.0.0.0/29"), remote("10.0.0.0-10.0.0.8"),
			remote("10.0.0.0/24"), remote("10.0.0.0/8"), remote("0.0.0.0/0"), remote("lan"), remote("any"),
		}},
		{ByDestination, []Rule{remote("10.0.0.5/32"), remote("*.www.example.com")}},
		{ByDestination, []Rule{remote("10.0.0.5-10.0.0.5"), remote("*.www.example.com")}},
		{ByPorts, []Rule{ports("443"), ports("442-443"), ports("80,440-443"), ports("1-65535"), ports("any")}},
		{ByProtocol, []Rule{{Protocol: flow.TCP}, {}}},
		{ByUser, []Rule{{User: "alice"}, {}}},
		{ByDirection, []Rule{{Direction: Out}, {Direction: Both}}},
		{ByBlock, []Rule{{Action: Block}, {Action: Allow}}},
		{ByAge, []Rule{{Created: genStart.Add(time.Second)}, {Created: genStart}}},
		{ByAge, []Rule{{ID: "10"}, {ID: "9"}}},
		{ByAge, []Rule{{ID: "b"}, {ID: "a"}}},
	} {
		for i := range row.rules {
			r := &row.rules[i]
			r.Enabled = true
			if r.Action == 0 {
				r.Action = Allow
			}
			if r.ID == "" {
				r.ID = fmt.Sprint(i)
			}
		}
		q := Query{
			Process: &flow.Process{
				ProcessID: quit.Process, User: "alice",
				Program: flow.Program{Path: path, Script: script, Package: pkg, App: app, Unit: unit, SHA256: sum},
				Parents: []flow.Ancestor{{Path: parent}},
			},
			Protocol: flow.TCP, LAN: true,
			Remote: flow.Endpoint{Addr: netip.MustParseAddr("10.0.0.5"), Port: 443, Name: "www.example.com"},
		}
		now := Clock{Boot: "b"}
		for i := range row.rules[1:] {
			a, b := row.rules[i], row.rules[i+1]
			// Every criterion below the row's speaks for b.
			if row.by != ByAge {
				b.Created = genStart.Add(time.Hour)
				if row.by != ByBlock {
					b.Action = Block
				}
			}
			t.Run(fmt.Sprintf("%s/%d", row.by, i), func(t *testing.T) {
				for _, rules := range [][]Rule{{a, b}, {b, a}} {
					s := NewSet(rules)
					got, ok := s.Decide(q, now)
					if !ok || got.ID != a.ID {
						t.Fatalf("decided by %+v\nwant %+v", got, a)
					}
					why := s.Explain(q, now)
					if !why[0].Won || why[1].By != row.by {
						t.Errorf("won by %q, want %q", why[1].By, row.by)
					}
				}
			})
		}
	}
}

// An exact name and an exact address are of equal weight: block wins.
func TestPrecedenceNameAndAddress(t *testing.T) {
	name := Rule{ID: "1", Enabled: true, Action: Allow, Remote: Remote{Name: "example.com"}}
	addr := Rule{ID: "2", Enabled: true, Action: Block, Remote: Remote{Address: netip.MustParseAddr("192.0.2.1")}}
	q := Query{Remote: flow.Endpoint{Addr: netip.MustParseAddr("192.0.2.1"), Name: "example.com"}}
	for _, swap := range []bool{false, true} {
		if swap {
			name.Action, addr.Action = Block, Allow
		}
		got, _ := NewSet([]Rule{name, addr}).Decide(q, Clock{})
		if got.Action != Block {
			t.Errorf("allowed by %+v", got)
		}
	}
}

// The order of the rules in a file has no say.
func TestOrderOfRulesHasNoSay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules := genRules(t, 12)
		mixed := rapid.Permutation(rules).Draw(t, "mixed")
		q, now := genQuery(t, genProcess(t)), genClock(t)
		a, _ := NewSet(rules).Decide(q, now)
		b, _ := NewSet(mixed).Decide(q, now)
		if (a == nil) != (b == nil) || a != nil && a.ID != b.ID {
			t.Fatalf("%+v and %+v", a, b)
		}
	})
}

// A Set keeps no memory of the caller's, and the caller's stays as it is.
func TestSetCopies(t *testing.T) {
	rules := []Rule{{
		ID: "1", Enabled: true, Action: Allow, Ports: []PortRange{{443, 443}, {80, 80}}, Remote: Remote{Name: "Example.COM."},
	}}
	before := slices.Clone(rules[0].Ports)
	s := NewSet(rules)
	if !slices.Equal(rules[0].Ports, before) || rules[0].Remote.Name != "Example.COM." {
		t.Errorf("NewSet changed %+v", rules[0])
	}
	rules[0].Ports[0], rules[0].Ports[1] = PortRange{1, 1}, PortRange{1, 1}
	q := Query{Protocol: flow.TCP, Remote: flow.Endpoint{Port: 443, Name: "example.com"}}
	if _, ok := s.Decide(q, Clock{}); !ok {
		t.Error("a change outside reached into the Set")
	}
	if r, ok := s.Rule("1"); !ok || r.Remote.Name != "example.com" {
		t.Errorf("by id: %+v, %v", r, ok)
	}
	if _, ok := s.Rule("2"); ok || s.Len() != 1 {
		t.Error("a rule that isn't there")
	}
}

func TestDecideAllocatesNothing(t *testing.T) {
	rules := benchRules(1000)
	s, queries, now := NewSet(rules), benchQueries(rules), Clock{Boot: "b"}
	n := testing.AllocsPerRun(100, func() {
		for _, q := range queries {
			s.Decide(q, now)
			s.Wide(q.Process, q.Direction, now)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}
