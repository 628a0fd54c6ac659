package prompt

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"sekisho/app/flow"
)

func TestScopes(t *testing.T) {
	ping := outgoing(firefox())
	ping.Protocol, ping.Remote = flow.ICMP, flow.Endpoint{Addr: netip.MustParseAddr("fe80::1%eth0")}
	nowhere := outgoing(firefox())
	nowhere.Remote = flow.Endpoint{Port: 443}
	oddName := outgoing(firefox())
	oddName.Remote.Name = "a b.example.com"
	for _, c := range []struct {
		name string
		flow flow.Flow
		want []Scope
	}{
		{"outgoing", outgoing(firefox()), []Scope{
			{HostAndPort, "www.example.com", 443}, {Host, "www.example.com", 0}, {Port, "", 443}, {Anything, "", 0},
		}},
		{"incoming: the sender, and our port", incoming(backup()), []Scope{
			{HostAndPort, "192.168.1.20", 8000}, {Host, "192.168.1.20", 0}, {Port, "", 8000}, {Anything, "", 0},
		}},
		{"without ports", ping, []Scope{{Host, "fe80::1", 0}, {Anything, "", 0}}},
		{"to nowhere known", nowhere, []Scope{{Port, "", 443}, {Anything, "", 0}}},
		{"a name that no rule can hold", oddName, []Scope{
			{HostAndPort, "192.0.2.1", 443}, {Host, "192.0.2.1", 0}, {Port, "", 443}, {Anything, "", 0},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := Scopes(c.flow)
			if !slices.Equal(got, c.want) {
				t.Fatalf("%v, want %v", got, c.want)
			}
			if d := DefaultScope(c.flow); d != c.want[0] {
				t.Errorf("default %v, want %v", d, c.want[0])
			}
			for _, s := range got {
				a := answer(s)
				if err := Validate(ask(c.flow), a); err != nil {
					t.Errorf("the offer %v can't be answered with: %v", s, err)
				}
				if !Covers(ask(c.flow), a, Author{}, c.flow) {
					t.Errorf("the offer %v doesn't cover what asked", s)
				}
			}
		})
	}
}

func TestParseScope(t *testing.T) {
	for _, c := range []struct {
		to   string
		port uint16
		want Scope
		err  string
	}{
		{"", 0, Scope{Kind: Anything}, ""},
		{"any", 443, Scope{Kind: Port, Port: 443}, ""},
		{"example.com", 0, Scope{Kind: Host, To: "example.com"}, ""},
		{"*.example.com", 443, Scope{HostAndPort, "*.example.com", 443}, ""},
		{"10.0.0.0/8", 0, Scope{Kind: Host, To: "10.0.0.0/8"}, ""},
		{"lan", 0, Scope{}, "for lan and lists add a rule"},
		{"list:x", 0, Scope{}, "for lan and lists add a rule"},
		{"https://example.com", 0, Scope{}, "give its host name alone"},
	} {
		got, err := ParseScope(c.to, c.port)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%q: error %v, want %q", c.to, err, c.err)
			}
			continue
		}
		if err != nil || got != c.want {
			t.Errorf("%q: %v, %v; want %v", c.to, got, err, c.want)
		}
	}
}

func TestKeyOf(t *testing.T) {
	change := func(f flow.Flow, by func(f *flow.Flow)) flow.Flow {
		p := *f.Process
		f.Process = &p
		by(&f)
		return f
	}
	f := outgoing(firefox())
	for _, c := range []struct {
		name string
		a, b flow.Flow
		same bool
	}{
		{"another process, address and local port", f, change(f, func(f *flow.Flow) {
			f.ID, f.Process.PID, f.Remote.Addr, f.Local.Port = "f9", 99, netip.MustParseAddr("192.0.2.2"), 50001
		}), true},
		{"the name in another spelling", f, change(f, func(f *flow.Flow) { f.Remote.Name = "www.example.COM" }), true},
		{"another name", f, change(f, func(f *flow.Flow) { f.Remote.Name = "example.com" }), false},
		{"another port", f, change(f, func(f *flow.Flow) { f.Remote.Port = 80 }), false},
		{"another protocol", f, change(f, func(f *flow.Flow) { f.Protocol = flow.UDP }), false},
		{"another user", f, change(f, func(f *flow.Flow) { f.Process.UID = 1001 }), false},
		{"another script", outgoing(backup()), change(outgoing(backup()), func(f *flow.Flow) { f.Process.Script = "/x.py" }), false},
		{"the other direction", f, change(f, func(f *flow.Flow) { f.Direction = flow.In }), false},
		{"another sender's port", incoming(backup()), change(incoming(backup()), func(f *flow.Flow) { f.Remote.Port++ }), true},
		{"other code typed", outgoing(typed()), change(outgoing(typed()), func(f *flow.Flow) { f.Process.PID++ }), false},
		{"another of no name", outgoing(&flow.Process{}), outgoing(&flow.Process{ProcessID: flow.ProcessID{PID: 9}}), false},
	} {
		if got := KeyOf(c.a) == KeyOf(c.b); got != c.same {
			t.Errorf("%s: joined %v, want %v", c.name, got, c.same)
		}
	}
}
