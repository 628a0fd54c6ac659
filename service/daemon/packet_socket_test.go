package daemon_test

import (
	"bytes"
	"net"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"sekisho/app/flow"
	"sekisho/app/prompt"
	"sekisho/service/lab"
)

// framed matches packets with a payload, whatever they are.
func framed(payload string) lab.Match {
	return func(p lab.Packet) bool { return bytes.Contains(p.Body, []byte(payload)) }
}

// frame sends by a packet socket and reports what became of it, and whether it was seen.
func (s *scene) frame(w *lab.Wire, program *lab.Sender, call string, to netip.AddrPort) (lab.Sent, bool) {
	s.t.Helper()
	w.Forget()
	sent := s.sends(program, "-device", lab.LinkName, "-payload", "frame-of-"+call, call, to.String())
	seen := func() bool { return w.Saw(framed("frame-of-" + call)) }
	for end := time.Now().Add(100 * time.Millisecond); !seen() && time.Now().Before(end); {
		time.Sleep(5 * time.Millisecond)
	}
	return sent, seen()
}

// Frames of a program without a rule leave by no kind of packet socket; the person is asked,
// and who is allowed sends them.
func TestPacketSocketFrames(t *testing.T) {
	s := newSendScene(t)
	wire := s.Remote.Wire()
	for _, c := range []struct {
		call     string
		to       netip.AddrPort
		protocol flow.Protocol
		untold   bool // what it is can't be read
	}{
		{"frame", elsewhere4, flow.UDP, false},
		{"frame", elsewhere6, flow.UDP, false},
		{"frame-tcp", elsewhere4, flow.TCP, false},
		{"frame-tcp", elsewhere6, flow.TCP, false},
		{"frame-icmp", elsewhere4, flow.ICMP, false},
		{"frame-icmp", elsewhere6, flow.ICMPv6, false},
		{"frame-raw", elsewhere4, flow.UDP, false},
		{"frame-raw", elsewhere6, flow.UDP, false},
		{"frame-lie", elsewhere4, flow.UDP, false},
		{"frame-vlan", elsewhere4, flow.UDP, false},
		{"frame-ring", elsewhere4, flow.UDP, false},
		{"frame-vlans", elsewhere4, 0, true},
		{"frame-cut", elsewhere4, 0, true},
	} {
		t.Run(c.call+" "+c.to.Addr().String(), func(t *testing.T) {
			program := s.Home.Sender("frames")
			sent, seen := s.frame(wire, program, c.call, c.to)
			if seen || sent.OK && c.call != "frame-ring" {
				t.Errorf("undecided: %+v, on the wire: %v", sent, seen)
			}
			if !c.untold {
				s.eventually("the question", func() bool {
					return slices.ContainsFunc(s.asked(), func(p prompt.Prompt) bool {
						f := p.Flow
						return f.Process.Path == program.Path && f.Remote.Addr == c.to.Addr() && f.Protocol == c.protocol &&
							(!c.protocol.HasPorts() || f.Remote.Port == c.to.Port())
					})
				})
			}
			to := c.to
			if c.untold {
				to = netip.AddrPort{} // nothing less than a rule for everything covers it
			} else if !c.protocol.HasPorts() {
				to = netip.AddrPortFrom(to.Addr(), 0)
			}
			s.allowTo(program.Path, to, 0)
			if sent, seen := s.frame(wire, program, c.call, c.to); !sent.OK || !seen {
				// A cut one is none that the wire's reader knows, so what is said counts.
				if c.call != "frame-cut" || !sent.OK {
					t.Errorf("allowed: %+v, on the wire: %v", sent, seen)
				}
			}
			if c.untold {
				return
			}
			if sent, seen := s.frame(wire, program, c.call, netip.AddrPortFrom(c.to.Addr().Next(), 7)); seen {
				t.Errorf("elsewhere: %+v, on the wire: %v", sent, seen)
			}
		})
	}
}

// What takes frames past the network device's hook is refused to all but those that may
// send anything anywhere.
func TestPacketSocketShortcuts(t *testing.T) {
	s := newSendScene(t)
	wire := s.Remote.Wire()
	for _, call := range []string{"frame-bypass", "frame-xdp"} {
		t.Run(call, func(t *testing.T) {
			program := s.Home.Sender("shortcut")
			s.allowTo(program.Path, allowed4, 0)
			if sent, seen := s.frame(wire, program, call, allowed4); seen || sent.Stage != "options" || sent.Errno != "EPERM" {
				t.Errorf("%+v, on the wire: %v", sent, seen)
			}
			s.allowTo(program.Path, netip.AddrPort{}, 0)
			if sent, seen := s.frame(wire, program, call, allowed4); !sent.OK || seen != (call == "frame-bypass") {
				t.Errorf("allowed: %+v, on the wire: %v", sent, seen)
			}
		})
	}
}

// Frames that carry no IP, the DHCP client's, and those of programs that are not filtered
// leave untouched.
func TestPacketSocketsThatPass(t *testing.T) {
	s := newSendScene(t)
	wire := s.Remote.Wire()
	program := s.Home.Sender("passes")
	if sent := s.sends(program, "-device", lab.LinkName, "frame-other", allowed4.String()); !sent.OK {
		t.Errorf("no IP: %+v", sent)
	}
	if sent, seen := s.frame(wire, program, "frame-dhcp", allowed4); !sent.OK || !seen {
		t.Errorf("DHCP: %+v, on the wire: %v", sent, seen)
	}
	wire.Forget()
	outside := program.Run(s.Home.Command(t.Context(), program.Path, "-device", lab.LinkName, "-payload", "outside", "frame", elsewhere4.String()))
	if sent, err := outside.Wait(); err != nil || !sent.OK {
		t.Errorf("outside: %+v, %v", sent, err)
	}
	s.eventually("the frame from outside", func() bool { return wire.Saw(framed("outside")) })
	if len(s.asked()) != 0 {
		t.Errorf("somebody was asked: %+v", s.asked())
	}
	settings, err := s.api.Settings(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	settings.DisabledPresets = append(settings.DisabledPresets, "dhcp")
	if err := s.api.SetSettings(t.Context(), settings); err != nil {
		t.Fatal(err)
	}
	if sent, seen := s.frame(wire, program, "frame-dhcp", allowed4); sent.OK || seen {
		t.Errorf("DHCP without its preset: %+v, on the wire: %v", sent, seen)
	}
}

// A device that comes later is covered; a service that is dead, and one that is back, refuse
// all the same; a hook that somebody takes away is put back; --cleanup takes everything away.
func TestPacketSocketsWhateverHappens(t *testing.T) {
	s := newSendScene(t)
	program := s.Home.Sender("frames")
	send := func(device string) lab.Sent {
		t.Helper()
		return s.sends(program, "-device", device, "frame", elsewhere4.String())
	}
	refused := func(when, device string) {
		t.Helper()
		if sent := send(device); sent.OK {
			t.Errorf("%s: it left by %s", when, device)
		}
	}
	addDevice := func(name string) {
		t.Helper()
		err := s.Home.Do(func() error {
			a := netlink.NewLinkAttrs()
			a.Name, a.Flags = name, net.FlagUp
			return netlink.LinkAdd(&netlink.Veth{LinkAttrs: a, PeerName: "peer-of-" + name})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	covered := len(s.devicePins())
	addDevice("later0")
	// A device that has just come may refuse by itself: its hook is what is waited for.
	s.within(500*time.Millisecond, "the new device's hook", func() bool { return len(s.devicePins()) > covered && !send("later0").OK })
	s.service.Kill()
	refused("killed", lab.LinkName)
	refused("killed", "later0")
	s.service.Start()
	refused("started again", lab.LinkName)
	refused("started again", "later0")

	s.detachDevices()
	s.within(2500*time.Millisecond, "the hook again", func() bool { return !send(lab.LinkName).OK })
	s.eventually("what is said of it", func() bool { return s.problem("network device") })
	for _, pin := range s.devicePins() {
		if err := os.Remove(pin); err != nil {
			t.Fatal(err)
		}
	}
	refused("pins deleted", lab.LinkName)
	time.Sleep(1500 * time.Millisecond)
	s.service.Kill()
	refused("pins deleted, then killed", lab.LinkName)
	s.service.Start()

	s.service.Kill()
	out, err := s.Home.Command(t.Context(), lab.Build(t, "app/sekishod"), "--cleanup", "--state", s.service.State).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Fatalf("%s, %v", out, err)
	}
	for _, device := range []string{lab.LinkName, "later0"} {
		if sent := send(device); !sent.OK {
			t.Errorf("cleaned up: %+v", sent)
		}
	}
	s.service.Start() // for the end of the test
}
