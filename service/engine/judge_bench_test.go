package engine

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"sekisho/app/flow"
	"sekisho/app/rule"
	"sekisho/service/bpf"
)

// What the engine takes for a packet that a rule decides and the kernel does not know yet,
// without the kernel: identify, name, decide, publish and teach, and its socket's end.
func BenchmarkJudge(b *testing.B) {
	for _, others := range []int{0, 1_000, 10_000} {
		b.Run(fmt.Sprint(others), func(b *testing.B) {
			w := newWorld(b)
			p := w.program("curl")
			rules := []rule.Rule{{Enabled: true, Action: rule.Allow, Direction: rule.Out, Program: rule.Program{Path: p.Path},
				Ports: []rule.PortRange{{From: 443, To: 443}}, Lifetime: rule.Lifetime{Kind: rule.Always}}}
			for i := range others {
				rules = append(rules, rule.Rule{Enabled: true, Action: rule.Allow, Direction: rule.Out, Program: rule.Program{Path: fmt.Sprint("/usr/bin/", i%200)},
					Remote: rule.Remote{Name: fmt.Sprintf("host-%d.example.com", i)}, Lifetime: rule.Lifetime{Kind: rule.Always}})
			}
			file, err := rule.WriteFile(rules)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := w.e.ImportRules(b.Context(), file, true); err != nil {
				b.Fatal(err)
			}
			w.settled()
			b.ReportAllocs()
			var n uint32
			for b.Loop() {
				n++
				var a [4]byte
				binary.BigEndian.PutUint32(a[:], 0x0b000000+n%(1<<24))
				o := w.socket(p)
				h := &held{fate: "held"}
				w.e.Judge(Packet{Owner: o, Protocol: flow.TCP, Local: flow.Endpoint{Port: 40000}, Remote: flow.Endpoint{Addr: netip.AddrFrom4(a), Port: 443}, Held: h})
				if h.fate != "accepted" {
					b.Fatal(h.fate)
				}
				w.e.Closed(bpf.Closed{Cookie: o.Cookie, At: time.Duration(n)})
			}
		})
	}
}

// What the engine takes for a connection that the kernel decided: its beginning and end.
func BenchmarkDecided(b *testing.B) {
	w := newWorld(b)
	p := w.program("curl")
	b.ReportAllocs()
	for b.Loop() {
		o := w.socket(p)
		w.e.Decided(bpf.Flow{Owner: o, Protocol: flow.TCP, Remote: netip.MustParseAddrPort("192.0.2.1:443"), LocalPort: 40000, Verdict: bpf.Allow, At: boottime()})
		w.e.Closed(bpf.Closed{Cookie: o.Cookie, At: boottime()})
	}
}
