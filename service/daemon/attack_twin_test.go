package daemon_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"sekisho/app/flow"
	"sekisho/app/rule"
	"sekisho/service/lab"
)

// Two programs that share a port send datagrams that begin alike, at the same time, while
// the service is busy: each is judged as its own sender's.
func TestAttackTwinDatagrams(t *testing.T) {
	a := &attackScene{scene: newScene(t)}
	a.equip()
	for _, c := range []struct {
		name          string
		first, second *lab.Program
	}{
		{"evil first", a.evil, a.good},
		{"good first", a.good, a.evil},
	} {
		t.Run(c.name, func(t *testing.T) {
			a.t = t
			a.n++
			target := netip.AddrPortFrom(a.Remote.AddAddress(fmt.Sprintf("2001:db8::%x", a.n)), 7)
			// Looked at by the service: the kernel knows no verdict for an address yet.
			a.rule(a.good, rule.Allow, rule.Remote{Address: target.Addr()})
			before := a.status().Counters
			if err := syscall.Kill(a.service.PID(), syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			for _, p := range []*lab.Program{c.first, c.second} {
				k := &attack{a: a, target: target, command: a.Home.Command(t.Context(), p.Path, "-target", target.String(), "-good", a.good.Path, "-hold", "20s", "twin").Filtered()}
				k.start().says("done")
				defer func() { _ = k.command.Process.Kill(); _ = k.command.Wait() }()
			}
			if err := syscall.Kill(a.service.PID(), syscall.SIGCONT); err != nil {
				t.Fatal(err)
			}
			of := func(end string) lab.Match {
				return func(p lab.Packet) bool {
					return p.Protocol == flow.UDP && p.Dst == target && bytes.HasSuffix(p.Payload, []byte(end))
				}
			}
			a.eventually("a verdict", func() bool {
				now := a.status().Counters
				return now.Queued > before.Queued || now.Unattributed > before.Unattributed || a.wire.Saw(of("evil"))
			})
			time.Sleep(100 * time.Millisecond) // for both
			if a.wire.Saw(of("evil")) {
				t.Error("evil's datagram left as good's")
			}
		})
	}
}
