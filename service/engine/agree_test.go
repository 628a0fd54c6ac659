package engine

import (
	"fmt"
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"sekisho/app/api"
	"sekisho/app/flow"
	"sekisho/app/rule"
	"sekisho/service/bpf"
)

// What the kernel decides by itself is what the rules say, in both directions, on loopback
// and elsewhere, after whatever changes.
func TestKernelAgreesWithTheRules(t *testing.T) {
	decided := map[string]int{}
	rapid.Check(t, func(r *rapid.T) {
		w := newWorld(t)
		programs := []*flow.Process{w.program("one"), w.program("two")}
		for _, p := range programs {
			w.e.prove(p) // so that nothing has to be read while packets are compared
		}
		owners := []bpf.Owner{
			w.socket(programs[0]), w.socket(programs[1]), w.socket(programs[0]), {Kernel: true}, {Forwarded: true, Executable: bpf.ForwardedExecutable},
		}
		w.on(rapid.SampledFrom([]*fakeNetworks{{}, {out: rule.NetworkHome}, {out: rule.NetworkPublic}, {out: rule.NetworkHome, vpn: rule.NetworkPublic}}).Draw(r, "networks"))
		if rapid.Bool().Draw(r, "a network was named") {
			w.e.networks.known = map[string]knownNetwork{"gateway:1": {Profile: rule.NetworkHome}}
		}
		w.e.NetworksChanged()
		if rapid.IntRange(0, 3).Draw(r, "preset off") == 0 {
			s, _ := w.e.Settings(t.Context())
			s.DisabledPresets = []string{rule.PresetLoopback}
			if err := w.e.SetSettings(t.Context(), s); err != nil {
				r.Fatal(err)
			}
		}
		for range 4 {
			for range rapid.IntRange(0, 2).Draw(r, "rules") {
				w.randomRule(r, programs)
			}
			mode := rapid.SampledFrom([]api.Mode{api.ModeAllow, api.ModeBlock, api.ModeAsk, api.ModeLockdown}).Draw(r, "mode")
			if err := w.e.SetMode(t.Context(), mode, 0); err != nil {
				r.Fatal(err)
			}
			for range 12 {
				p := randomPacket(r, owners)
				w.send(p) // whatever becomes of it, the next one must be decided alike
				f := flowOf(p, w.e.identify(p.Owner))
				got := w.kernel.decide(&f, p.Owner)
				w.e.mu.Lock()
				want := w.e.decide(&f, p.Owner)
				w.e.mu.Unlock()
				decided[fmt.Sprint(got, f.Direction, f.Remote.Addr.IsLoopback())]++
				if got == bpf.Allow && want.Verdict != flow.Allow || got == bpf.Block && want.Verdict != flow.Block {
					r.Fatalf("the kernel says %v, %+v is decided for\n%+v of %+v\nin mode %s by %+v", got, want, p, f.Process.Path, mode, w.e.set.Rules())
				}
				if p.Owner.Kernel && w.e.byNetwork(&f) {
					continue
				}
				if want.Verdict != flow.Waiting && got != bpf.Allow && got != bpf.Block {
					r.Fatalf("the kernel was not told %+v of %+v", want, p)
				}
			}
		}
		w.settled()
		w.e.letGo()
	})
	for _, want := range []string{"1 out false", "2 out false", "1 in false", "2 in false", "1 out true", "2 out true", "1 in true", "2 in true"} {
		if decided[want] == 0 {
			t.Errorf("never %s: the test proves nothing of it: %v", want, decided)
		}
	}
}

func (w *world) randomRule(t *rapid.T, programs []*flow.Process) {
	r := rule.Rule{
		Enabled: true, Action: rapid.SampledFrom([]rule.Action{rule.Allow, rule.Block}).Draw(t, "action"),
		Direction: rapid.SampledFrom([]rule.Direction{rule.Out, rule.In, rule.Both}).Draw(t, "direction"),
	}
	r.Program.Path = rapid.SampledFrom([]string{"", programs[0].Path, programs[1].Path, flow.KernelPath, flow.ForwardedPath}).Draw(t, "path")
	to := rapid.SampledFrom([]string{"any", "any", "127.0.0.0/8", "127.0.0.1", "192.0.2.0/24", "192.0.2.1", "0.0.0.0/0", "localhost"}).Draw(t, "to")
	r.Remote, _ = rule.ParseRemote(to)
	if rapid.Bool().Draw(t, "port") {
		r.Ports = []rule.PortRange{{From: 80, To: 80}}
	}
	if r.Program.Path == "" && rapid.IntRange(0, 3).Draw(t, "user") == 0 {
		r.User = "1000"
	}
	r.Network = rapid.SampledFrom([]string{"", "", "", rule.NetworkHome, rule.NetworkPublic}).Draw(t, "network")
	if _, err := w.e.AddRule(w.Context(), r, 0); err != nil {
		t.Fatal(err)
	}
}

func randomPacket(t *rapid.T, owners []bpf.Owner) Packet {
	o := rapid.SampledFrom(owners).Draw(t, "owner")
	addr := netip.MustParseAddr(rapid.SampledFrom([]string{"127.0.0.1", "127.0.0.2", "192.0.2.1", "192.0.2.2", "198.51.100.1"}).Draw(t, "remote"))
	port := rapid.SampledFrom([]uint16{80, 81}).Draw(t, "port")
	p := Packet{
		Owner: o, Direction: rapid.SampledFrom([]flow.Direction{flow.Out, flow.In}).Draw(t, "direction"),
		Protocol: rapid.SampledFrom([]flow.Protocol{flow.TCP, flow.UDP}).Draw(t, "protocol"),
		Local:    flow.Endpoint{Addr: addr, Port: 4000}, Remote: flow.Endpoint{Addr: addr, Port: port},
	}
	if !o.Forwarded {
		p.Link = 1 + int(o.Cookie%2) // a socket stays on one link
	}
	if p.Direction == flow.In {
		p.Local.Port, p.Remote.Port = port, 4000
		if p.Owner.Cookie != 0 {
			p.Owner.Cookie += 100 * uint64(port) // a socket has one port
		}
	}
	return p
}
