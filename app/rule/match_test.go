package rule

import (
	"net/netip"
	"testing"

	"sekisho/app/flow"
)

var (
	python = flow.Program{Path: "/usr/bin/python3", Script: "/home/a/backup.py"}
	alice  = &flow.Process{
		ProcessID: flow.ProcessID{PID: 7, Start: 70}, Program: python, UID: 1000, User: "alice",
		Parents: []flow.Ancestor{
			{ProcessID: flow.ProcessID{PID: 6, Start: 60}, Path: "/usr/bin/bash"},
			{ProcessID: flow.ProcessID{PID: 1, Start: 1}, Path: "/usr/lib/systemd/systemd"},
		},
	}
	inline = &flow.Process{Program: flow.Program{Path: python.Path, Script: python.Script, Inline: true}}
	other  = &flow.Process{Program: flow.Program{Path: python.Path, Script: "/home/a/other.py"}}
	bare   = &flow.Process{Program: flow.Program{Path: python.Path}}
)

func quitsWith(pid uint32, start uint64) Rule {
	return Rule{Lifetime: Lifetime{Kind: Quit, Boot: "b", Process: flow.ProcessID{PID: pid, Start: start}}}
}

func TestMatches(t *testing.T) {
	web := flow.Endpoint{Addr: netip.MustParseAddr("192.0.2.1"), Port: 443, Name: "www.example.com"}
	out := Query{Process: alice, Protocol: flow.TCP, Remote: web, LocalPort: 50000}
	in := Query{
		Process: alice, Direction: flow.In, Protocol: flow.TCP,
		Remote: flow.Endpoint{Addr: netip.MustParseAddr("192.168.1.20"), Port: 443}, LocalPort: 8000, LAN: true,
	}
	of := func(p *flow.Process) Query { q := out; q.Process = p; return q }
	to := func(e flow.Endpoint) Query { q := out; q.Remote = e; return q }
	by := func(p flow.Protocol) Query { q := out; q.Protocol = p; return q }
	at := func(s string) flow.Endpoint { return flow.Endpoint{Addr: netip.MustParseAddr(s), Port: 443} }
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
	for _, c := range []struct {
		name string
		rule Rule
		q    Query
		want bool
	}{
		{"anything", Rule{}, out, true},
		{"anything, of nobody", Rule{}, of(nil), true},
		{"an incoming flow by an outgoing rule", Rule{}, in, false},
		{"an outgoing flow by an incoming rule", Rule{Direction: In}, out, false},
		{"both, in", Rule{Direction: Both}, in, true},
		{"both, out", Rule{Direction: Both}, out, true},

		{"path", Rule{Program: Program{Path: python.Path}}, out, true},
		{"path, any script", Rule{Program: Program{Path: python.Path}}, of(other), true},
		{"path, inline", Rule{Program: Program{Path: python.Path}}, of(inline), true},
		{"path of another", Rule{Program: Program{Path: "/usr/bin/python3.11"}}, out, false},
		{"path of nobody", Rule{Program: Program{Path: python.Path}}, of(nil), false},
		{"script", Rule{Program: Program{Script: python.Script}}, out, true},
		{"script and path", Rule{Program: Program{Path: python.Path, Script: python.Script}}, out, true},
		{"script by another interpreter", Rule{Program: Program{Path: "/usr/bin/pypy", Script: python.Script}}, out, false},
		{"other script", Rule{Program: Program{Script: python.Script}}, of(other), false},
		{"no script", Rule{Program: Program{Script: python.Script}}, of(bare), false},
		{"inline is no script", Rule{Program: Program{Script: python.Script}}, of(inline), false},
		{"parent", Rule{Program: Program{Parent: "/usr/bin/bash"}}, out, true},
		{"parent, further up", Rule{Program: Program{Parent: "/usr/lib/systemd/systemd"}}, out, true},
		{"itself is no parent", Rule{Program: Program{Parent: python.Path}}, out, false},
		{"unknown unit", Rule{Program: Program{Unit: "cron.service"}}, out, false},
		{"unknown checksum", Rule{Program: Program{SHA256: genSums[0]}}, out, false},

		{"user by name", Rule{User: "alice"}, out, true},
		{"user by number", Rule{User: "1000"}, out, true},
		{"other user", Rule{User: "bob"}, out, false},
		{"other number", Rule{User: "1001"}, out, false},
		{"root by number", Rule{User: "0"}, of(other), true},
		{"root, but nobody is known", Rule{User: "0"}, of(nil), false},
		{"root by name, but no name is known", Rule{User: "root"}, of(other), false},

		{"name", remote("www.example.com"), out, true},
		{"name in capitals, with a dot", remote("www.example.com"), to(flow.Endpoint{Name: "WWW.example.COM."}), true},
		{"name above", remote("example.com"), out, false},
		{"no name", remote("www.example.com"), to(at("192.0.2.1")), false},
		{"domain", remote("*.example.com"), out, true},
		{"domain itself", remote("*.www.example.com"), out, true},
		{"domain, not by its tail alone", remote("*.ww.example.com"), out, false},
		{"domain, tail of a label", remote("*.xample.com"), out, false},
		{"address", remote("192.0.2.1"), out, true},
		{"address, mapped", remote("192.0.2.1"), to(at("::ffff:192.0.2.1")), true},
		{"address with a zone", remote("fe80::1"), to(at("fe80::1%eth0")), true},
		{"other address", remote("192.0.2.2"), out, false},
		{"network", remote("192.0.2.0/31"), out, true},
		{"network, mapped", remote("192.0.2.0/31"), to(at("::ffff:192.0.2.1")), true},
		{"network beside", remote("192.0.2.2/31"), out, false},
		{"all of IPv4 has no IPv6", remote("0.0.0.0/0"), to(at("2001:db8::1")), false},
		{"range, its first", remote("192.0.2.1-192.0.2.9"), out, true},
		{"range, its last", remote("192.0.2.0-192.0.2.1"), out, true},
		{"range beside", remote("192.0.2.2-192.0.2.9"), out, false},
		{"range of another family", remote("::-ffff::"), out, false},
		{"lan", Rule{Direction: Both, Remote: Remote{LAN: true}}, in, true},
		{"not lan", remote("lan"), out, false},

		{"port", ports("443"), out, true},
		{"port in a range", ports("400-500"), out, true},
		{"other port", ports("80,8000-8999"), out, false},
		{"port, incoming: the local one", Rule{Direction: In, Ports: []PortRange{{8000, 8000}}}, in, true},
		{"port, incoming: not the remote one", Rule{Direction: In, Ports: []PortRange{{443, 443}}}, in, false},
		{"port, where there are none", ports("443"), by(flow.ICMP), false},
		{"protocol", Rule{Protocol: flow.TCP}, out, true},
		{"other protocol", Rule{Protocol: flow.UDP}, out, false},
		{"protocol not known", Rule{Protocol: flow.UDP}, by(0), false},

		{"until it quits", quitsWith(7, 70), out, true},
		{"until its shell quits", quitsWith(6, 60), out, true},
		{"until another quits", quitsWith(8, 80), out, false},
		{"until it quits, its number reused", quitsWith(7, 71), out, false},
		{"until all quit", quitsWith(0, 0), out, true},

		{"another package", Rule{Program: Program{Package: "python3"}}, out, false},
		{"no app", Rule{Program: Program{App: "org.python"}}, out, false},
		{"a list that it is on", Rule{Remote: Remote{List: "urlhaus"}}, func() Query { q := out; q.Lists = []string{"ads", "urlhaus"}; return q }(), true},
		{"a list that it is not on", Rule{Remote: Remote{List: "urlhaus"}}, out, false},
		{"a network profile", Rule{Network: "Home"}, Query{Process: out.Process, Network: "home"}, true},
		{"another network profile", Rule{Network: "home"}, Query{Process: out.Process, Network: "public"}, false},
		{"one of several network profiles", Rule{Network: "work, home"}, Query{Process: out.Process, Network: "home"}, true},
		{"the beginning of a profile's name", Rule{Network: "homely"}, Query{Process: out.Process, Network: "home"}, false},
		{"an unknown network", Rule{Network: "home"}, out, false},
		{"profiles that say nothing", Rule{Network: ","}, out, false},
		{"two destinations", Rule{Remote: Remote{LAN: true, Name: "www.example.com"}}, out, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := c.rule
			r.ID, r.Enabled, r.Action = "1", true, Allow
			now := Clock{Boot: "b"}
			if got := r.Matches(c.q, now); got != c.want {
				t.Errorf("matches: %v, want %v", got, c.want)
			}
			if _, got := NewSet([]Rule{r}).Decide(c.q, now); got != c.want {
				t.Errorf("decides: %v, want %v", got, c.want)
			}
			r.Enabled = false
			if _, got := NewSet([]Rule{r}).Decide(c.q, now); got || r.Matches(c.q, now) {
				t.Error("decides while switched off")
			}
		})
	}
}
