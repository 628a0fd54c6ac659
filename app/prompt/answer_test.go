package prompt

import (
	"errors"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"sekisho/app/flow"
	"sekisho/app/rule"
)

func answer(s Scope) Answer {
	return Answer{Action: rule.Allow, Lifetime: rule.Always, Scope: s, Generation: 3}
}

func TestRule(t *testing.T) {
	site := Scope{HostAndPort, "www.example.com", 443}
	lasting := func(k rule.LifetimeKind, span time.Duration) rule.Lifetime {
		l, err := rule.NewLifetime(k, span, now, flow.ProcessID{})
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	quits := func(pid uint32, start uint64) rule.Lifetime {
		return rule.Lifetime{Kind: rule.Quit, Boot: "b-1", Process: flow.ProcessID{PID: pid, Start: start}}
	}
	web := []rule.PortRange{{From: 443, To: 443}}
	browser := rule.Program{Path: "/usr/lib/firefox/firefox"}
	for _, c := range []struct {
		name   string
		flow   flow.Flow
		answer Answer
		author Author
		want   rule.Rule
	}{
		{
			"this host on this port, always", outgoing(firefox()), answer(site), Author{Name: "alice"},
			rule.Rule{
				Action: rule.Allow, Program: browser, Remote: rule.Remote{Name: "www.example.com"},
				Ports: web, Protocol: flow.TCP, Lifetime: lasting(rule.Always, 0), By: "alice",
			},
		},
		{
			"one's own only", outgoing(firefox()), answer(Scope{Kind: Anything}), Author{"alice", true},
			rule.Rule{
				Action: rule.Allow, Program: browser, User: "1000", Lifetime: lasting(rule.Always, 0), By: "alice",
			},
		},
		{
			"all of this host, an hour", outgoing(firefox()),
			Answer{Action: rule.Block, Lifetime: rule.Until, For: time.Hour, Scope: Scope{Kind: Host, To: "www.example.com"}}, Author{},
			rule.Rule{
				Action: rule.Block, Program: browser, Remote: rule.Remote{Name: "www.example.com"},
				Lifetime: lasting(rule.Until, time.Hour),
			},
		},
		{
			"a domain of the person's own", outgoing(firefox()), answer(Scope{Kind: Host, To: "*.Example.com"}), Author{},
			rule.Rule{
				Action: rule.Allow, Program: browser, Remote: rule.Remote{Domain: "example.com"}, Lifetime: lasting(rule.Always, 0),
			},
		},
		{
			"any host on this port, until restart", outgoing(firefox()),
			Answer{Action: rule.Allow, Lifetime: rule.Boot, Scope: Scope{Kind: Port, Port: 443}}, Author{},
			rule.Rule{Action: rule.Allow, Program: browser, Ports: web, Protocol: flow.TCP, Lifetime: lasting(rule.Boot, 0)},
		},
		{
			"until Firefox quits, not one of its children", outgoing(firefox()),
			Answer{Action: rule.Allow, Lifetime: rule.Quit, Scope: Scope{Kind: Anything}}, Author{},
			rule.Rule{Action: rule.Allow, Program: browser, Lifetime: quits(20, 200)},
		},
		{
			"a script, until it quits, not what started it", outgoing(backup()),
			Answer{Action: rule.Allow, Lifetime: rule.Quit, Scope: Scope{Kind: Anything}}, Author{},
			rule.Rule{
				Action: rule.Allow, Program: rule.Program{Path: "/usr/bin/python3", Script: "/home/alice/backup.py"}, Lifetime: quits(31, 310),
			},
		},
		{
			"typed code, until it quits", outgoing(typed()),
			Answer{Action: rule.Allow, Lifetime: rule.Quit, Scope: Scope{Kind: Anything}}, Author{},
			rule.Rule{Action: rule.Allow, Program: rule.Program{Path: "/usr/bin/python3"}, Lifetime: quits(32, 320)},
		},
		{
			"incoming", incoming(backup()), answer(Scope{HostAndPort, "192.168.1.20", 8000}), Author{},
			rule.Rule{
				Action: rule.Allow, Direction: rule.In, Program: rule.Program{Path: "/usr/bin/python3", Script: "/home/alice/backup.py"},
				Remote:   rule.Remote{Address: netip.MustParseAddr("192.168.1.20")},
				Protocol: flow.TCP, Ports: []rule.PortRange{{From: 8000, To: 8000}}, Lifetime: lasting(rule.Always, 0),
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Rule(ask(c.flow), c.answer, now, c.author)
			if err != nil {
				t.Fatal(err)
			}
			c.want.Enabled, c.want.Origin, c.want.Created = true, rule.FromAnswer, now.Wall
			if !reflect.DeepEqual(*got, c.want) {
				t.Errorf("got  %+v\nwant %+v", *got, c.want)
			}
			r, ok := rule.NewSet([]rule.Rule{*got}).Decide(rule.QueryOf(&c.flow, false), now)
			if !ok || r.Action != c.answer.Action {
				t.Error("the rule doesn't decide the flow that it was asked for")
			}
		})
	}
}

func TestOnceLeavesNoRule(t *testing.T) {
	odd := firefox()
	odd.Path = "/tmp/a\nb\xff" // a file's name may be what no rule can hold
	for _, p := range []*flow.Process{firefox(), backup(), typed(), odd, {}} {
		a := Answer{Action: rule.Block, Lifetime: rule.Once, Scope: Scope{Kind: Anything}}
		if r, err := Rule(ask(outgoing(p)), a, now, Author{}); r != nil || err != nil {
			t.Errorf("%q: %+v, %v", p.Path, r, err)
		}
		if !Covers(ask(outgoing(p)), a, Author{}, outgoing(p)) {
			t.Errorf("%q: does not cover what asked", p.Path)
		}
	}
}

func TestValidateRefuses(t *testing.T) {
	odd := firefox()
	odd.Path = "/tmp/a\nb"
	started := typed()
	started.Start = 0
	for _, c := range []struct {
		name    string
		process *flow.Process
		change  func(a *Answer)
		is      error
		want    string
	}{
		{"another generation", firefox(), func(a *Answer) { a.Generation = 2 }, ErrChanged, ""},
		{"no action", firefox(), func(a *Answer) { a.Action = 0 }, nil, "want allow or block"},
		{"no lifetime", firefox(), func(a *Answer) { a.Lifetime = "" }, nil, "want always, once"},
		{"a span for always", firefox(), func(a *Answer) { a.For = time.Hour }, nil, "a span is for until alone"},
		{"no span", firefox(), func(a *Answer) { a.Lifetime = rule.Until }, nil, "want 1s to 3650d"},
		{"typed code, always", typed(), func(*Answer) {}, ErrInlineCode, ""},
		{"typed code, an hour", typed(), func(a *Answer) { a.Lifetime, a.For = rule.Until, time.Hour }, ErrInlineCode, ""},
		{"typed code, until restart", typed(), func(a *Answer) { a.Lifetime = rule.Boot }, ErrInlineCode, ""},
		{"typed code of an unknown process", started, func(a *Answer) { a.Lifetime = rule.Quit }, ErrUnknownProgram, ""},
		{"an unknown program, always", &flow.Process{}, func(*Answer) {}, ErrUnknownProgram, ""},
		{"no process, always", nil, func(*Answer) {}, ErrUnknownProgram, ""},
		{"a program that no rule can name", odd, func(*Answer) {}, nil, "program.path: has the control character"},
		{"another host", firefox(), func(a *Answer) { a.Scope.To = "example.com" }, ErrElsewhere, ""},
		{"another port", firefox(), func(a *Answer) { a.Scope.Port = 80 }, ErrElsewhere, ""},
		{"a network without the address", firefox(), func(a *Answer) { a.Scope.To = "10.0.0.0/8" }, ErrElsewhere, ""},
		{"no scope", firefox(), func(a *Answer) { a.Scope = Scope{} }, nil, "want host-port, host, port or any"},
		{"a scope without its host", firefox(), func(a *Answer) { a.Scope.To = "" }, nil, "its host or port doesn't fit"},
		{"a scope with too much", firefox(), func(a *Answer) { a.Scope.Kind = Anything }, nil, "its host or port doesn't fit"},
		{"the local network", firefox(), func(a *Answer) { a.Scope.To = "lan" }, nil, "for lan and lists add a rule"},
		{"no host name", firefox(), func(a *Answer) { a.Scope.To = "a b" }, nil, "is not a host name"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := answer(Scope{HostAndPort, "www.example.com", 443})
			c.change(&a)
			p := ask(outgoing(c.process))
			err := Validate(p, a)
			if err == nil || c.is != nil && !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want %v %q", err, c.is, c.want)
			}
			if r, err := Rule(p, a, now, Author{}); err == nil || r != nil {
				t.Errorf("a rule came of it: %+v, %v", r, err)
			}
		})
	}
	if err := Validate(ask(outgoing(firefox())), Answer{Action: rule.Allow, Lifetime: rule.Always, Scope: Scope{Kind: Anything}}); err != nil {
		t.Errorf("an answer to whatever is asked now: %v", err)
	}
}

func TestCovers(t *testing.T) {
	other := func(by func(f *flow.Flow)) flow.Flow {
		f := outgoing(firefox())
		f.ID = "f9"
		by(&f)
		return f
	}
	site, host, port, all := Scope{HostAndPort, "www.example.com", 443}, Scope{Kind: Host, To: "www.example.com"}, Scope{Kind: Port, Port: 443}, Scope{Kind: Anything}
	for _, c := range []struct {
		name     string
		lifetime rule.LifetimeKind
		author   Author
		flow     flow.Flow
		// by site, host, port, all
		want [4]bool
	}{
		{"the same", rule.Always, Author{}, other(func(*flow.Flow) {}), [4]bool{true, true, true, true}},
		{"another port", rule.Always, Author{}, other(func(f *flow.Flow) { f.Remote.Port = 80 }), [4]bool{false, true, false, true}},
		{"another host", rule.Once, Author{}, other(func(f *flow.Flow) { f.Remote.Name = "example.org" }), [4]bool{false, false, true, true}},
		{"another protocol", rule.Once, Author{}, other(func(f *flow.Flow) { f.Protocol = flow.UDP }), [4]bool{false, true, false, true}},
		{"the other direction", rule.Always, Author{}, incoming(firefox()), [4]bool{}},
		{"another program", rule.Always, Author{}, outgoing(backup()), [4]bool{}},
		{"another user, by an administrator", rule.Always, Author{}, other(func(f *flow.Flow) { f.Process.UID = 0 }), [4]bool{true, true, true, true}},
		{"another user, by a person for their own", rule.Always, Author{OwnOnly: true}, other(func(f *flow.Flow) { f.Process.UID = 0 }), [4]bool{}},
		{"a sibling, until it quits", rule.Quit, Author{}, other(func(f *flow.Flow) { f.Process.PID = 77 }), [4]bool{true, true, true, true}},
		{"another Firefox, until it quits", rule.Quit, Author{}, other(func(f *flow.Flow) { f.Process.PID, f.Process.Parents = 77, nil }), [4]bool{}},
		{"nobody", rule.Once, Author{}, outgoing(nil), [4]bool{}},
	} {
		for i, s := range []Scope{site, host, port, all} {
			a := Answer{Action: rule.Allow, Lifetime: c.lifetime, Scope: s}
			if got := Covers(ask(outgoing(firefox())), a, c.author, c.flow); got != c.want[i] {
				t.Errorf("%s, %s: covered %v, want %v", c.name, s.Kind, got, c.want[i])
			}
			// The next such flow is decided by the rule as this one was by the answer.
			r, err := Rule(ask(outgoing(firefox())), a, now, c.author)
			if err != nil {
				t.Fatal(err)
			}
			if r != nil && r.Matches(rule.QueryOf(&c.flow, false), now) != c.want[i] {
				t.Errorf("%s, %s: the rule says otherwise", c.name, s.Kind)
			}
		}
	}
}

// Typed code and processes without a name are settled by themselves alone, and a script is
// not settled by what its interpreter was typed.
func TestCoversNoOtherCode(t *testing.T) {
	all := Answer{Action: rule.Allow, Lifetime: rule.Once, Scope: Scope{Kind: Anything}}
	again := typed()
	again.PID++
	for _, c := range []struct {
		name     string
		asked, f *flow.Process
		want     bool
	}{
		{"itself", typed(), typed(), true},
		{"other typed code", typed(), again, false},
		{"a script by typed code", typed(), backup(), false},
		{"typed code by a script", backup(), typed(), false},
		{"a script by itself", backup(), backup(), true},
		{"one without a name by another", &flow.Process{ProcessID: flow.ProcessID{PID: 1}}, &flow.Process{ProcessID: flow.ProcessID{PID: 2}}, false},
		{"a program by one without a name", &flow.Process{}, firefox(), false},
	} {
		if got := Covers(ask(outgoing(c.asked)), all, Author{}, outgoing(c.f)); got != c.want {
			t.Errorf("%s: covered %v, want %v", c.name, got, c.want)
		}
	}
}
