package daemon_test

import (
	"fmt"
	"testing"
)

// A socket lends nothing: whoever sends is judged, whoever made it, used it before, still
// lives, and however it was passed on.
func TestAttackPassedSockets(t *testing.T) {
	a := newAttackScene(t)
	a.passes("first")
	for _, how := range []string{"scm", "pidfd", "child"} {
		for _, kind := range []string{"tcp", "udp", "udp-connected", "raw", "ping"} {
			for _, used := range []bool{false, true} {
				if used && (kind == "tcp" || kind == "ping") {
					continue // a connection is used by whoever has it, and pings look alike
				}
				for _, orphan := range []bool{false, true} {
					t.Run(fmt.Sprintf("%s %s used=%v orphan=%v", how, kind, used, orphan), func(t *testing.T) {
						a.t = t
						k := a.plan("-how", how, "-kind", kind, fmt.Sprintf("-used=%v", used), fmt.Sprintf("-orphan=%v", orphan), "passed").start()
						if used {
							k.comes(1)
						}
						k.asks(a.evil.Path)
					})
				}
			}
		}
	}
}

// Several processes that send on one socket at the same moment: none gets the other's
// verdict between the call and the packet.
func TestAttackSharedSocketRace(t *testing.T) {
	a := newAttackScene(t)
	for _, c := range []struct {
		name   string
		kind   string
		agents int
		comes  int // of good's datagrams, on a socket that evil made
	}{
		{"two on a datagram socket", "udp", 1, 100},
		{"three on a datagram socket", "udp", 2, 100},
		{"two on a connected one", "udp-connected", 1, 0},
		{"two on a raw one", "raw", 1, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			a.t = t
			k := a.plan("-kind", c.kind, "-n", "20000", "-agents", fmt.Sprint(c.agents), "shared").start()
			k.says("done")
			k.comes(c.comes)
			k.asks(a.evil.Path)
		})
	}
}

// A datagram that evil began and good completes is not good's.
func TestAttackHalfADatagram(t *testing.T) {
	a := newAttackScene(t)
	a.plan("corked").start().asks(a.evil.Path)
}
