package daemon_test

import (
	"context"
	"net/netip"
	"testing"
	"time"
)

// What comes to a socket that is on its way from one process to another since before the
// service came: nobody can be asked about it.
func TestAttackHearsInFlight(t *testing.T) {
	for _, kind := range []string{"tcp", "udp"} {
		t.Run(kind, func(t *testing.T) {
			var k *attack
			var now func()
			var at netip.AddrPort
			var a *attackScene
			send := func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				c, err := a.Remote.Dial(ctx, kind, at.String())
				if err != nil {
					return
				}
				defer c.Close()
				_, err = c.Write([]byte("evil"))
				a.must(err)
			}
			a = newOlderScene(t, func(before *attackScene) {
				a = before
				at = netip.AddrPortFrom(a.Home.Addr4, 8999)
				k = a.command(at, a.evil.Path, "-target", at.String(), "-wait", "-kind", kind, "hear-in-flight")
				now = k.startWaiting()
				send()
			})
			a.passes("first")
			send()
			now()
			k.says("heard 1") // of before
			a.must(k.command.Wait())
		})
	}
}
