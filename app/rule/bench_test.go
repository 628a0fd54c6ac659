package rule

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"sekisho/app/flow"
)

// benchRules are n rules as years of answers leave them: mostly a program and a host,
// some domains, networks and ranges, some for any program.
func benchRules(n int) []Rule {
	rules := make([]Rule, n)
	for i := range rules {
		r := Rule{
			ID: fmt.Sprint(i), Enabled: true, Action: Allow, Direction: Out,
			Program: Program{Path: fmt.Sprintf("/usr/bin/program-%d", i%200)},
			Created: genStart.Add(time.Duration(i) * time.Second),
		}
		switch i % 10 {
		case 0:
			r.Remote.Domain = fmt.Sprintf("domain-%d.example.com", i)
		case 1:
			r.Remote.Network = netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 0}), 24)
		case 2:
			r.Remote.Range = AddrRange{
				netip.AddrFrom4([4]byte{172, byte(i >> 8), byte(i), 3}), netip.AddrFrom4([4]byte{172, byte(i >> 8), byte(i), 200}),
			}
		case 3:
			r.Remote.Address = netip.AddrFrom4([4]byte{203, byte(i >> 8), byte(i), 1})
		case 4:
			r.Program = Program{}
			r.Remote.Name = fmt.Sprintf("any-%d.example.com", i)
		default:
			r.Remote.Name = fmt.Sprintf("host-%d.example.com", i)
			r.Protocol, r.Ports = flow.TCP, []PortRange{{443, 443}}
		}
		rules[i] = r
	}
	return rules
}

func benchQueries(rules []Rule) []Query {
	queries := make([]Query, 64)
	for i := range queries {
		r := rules[i*len(rules)/64]
		q := Query{
			Process:  &flow.Process{Program: flow.Program{Path: r.Program.Path}, UID: 1000, User: "alice"},
			Protocol: flow.TCP,
			Remote:   flow.Endpoint{Addr: netip.MustParseAddr("198.51.100.7"), Port: 443, Name: r.Remote.Name},
		}
		if i%4 == 3 {
			q.Remote.Name = "nobody.knows.example.net" // no rule
		}
		queries[i] = q
	}
	return queries
}

func BenchmarkDecide(b *testing.B) {
	for _, n := range []int{1, 1000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			rules := benchRules(n)
			s, queries, now := NewSet(rules), benchQueries(rules), Clock{Boot: "b"}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				s.Decide(queries[i%len(queries)], now)
			}
		})
	}
}

// BenchmarkDecideCrowded has all 10,000 rules under one program, each of another kind.
func BenchmarkDecideCrowded(b *testing.B) {
	for _, c := range []struct {
		name string
		rule func(i int) Rule
	}{
		{"names", func(i int) Rule { return Rule{Remote: Remote{Name: fmt.Sprintf("h%d.example.com", i)}} }},
		{"domains", func(i int) Rule { return Rule{Remote: Remote{Domain: fmt.Sprintf("d%d.example.com", i)}} }},
		{"networks", func(i int) Rule {
			a := netip.AddrFrom4([4]byte{198, byte(i >> 8), byte(i), 0})
			return Rule{Remote: Remote{Network: netip.PrefixFrom(a, 9+i%24).Masked()}}
		}},
		{"ports", func(i int) Rule { return Rule{Ports: []PortRange{{uint16(i + 1000), uint16(i + 1000)}}} }},
	} {
		b.Run(c.name, func(b *testing.B) {
			rules := make([]Rule, 10_000)
			for i := range rules {
				rules[i] = c.rule(i)
				rules[i].ID, rules[i].Enabled, rules[i].Action = fmt.Sprint(i), true, Block
				rules[i].Program.Path = "/usr/bin/curl"
			}
			s := NewSet(rules)
			q := Query{
				Process:  &flow.Process{Program: flow.Program{Path: "/usr/bin/curl"}},
				Protocol: flow.TCP,
				Remote:   flow.Endpoint{Addr: netip.MustParseAddr("198.51.100.7"), Port: 443, Name: "www.d77.example.com"},
			}
			b.ReportAllocs()
			for b.Loop() {
				s.Decide(q, Clock{Boot: "b"})
			}
		})
	}
}

func BenchmarkNewSet(b *testing.B) {
	rules := benchRules(10_000)
	for b.Loop() {
		NewSet(rules)
	}
}

func BenchmarkWide(b *testing.B) {
	rules := benchRules(10_000)
	s := NewSet(rules)
	p := &flow.Process{Program: flow.Program{Path: "/usr/bin/program-7"}}
	b.ReportAllocs()
	for b.Loop() {
		s.Wide(p, flow.Out, Clock{Boot: "b"})
	}
}
