package daemon_test

import (
	"bytes"
	"context"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"

	"sekisho/app/rule"
	"sekisho/service/lab"
)

// A port that an allowed program has lends another nothing.
func TestSharedSourcePort(t *testing.T) {
	s := newSendScene(t)
	wire := s.Remote.Wire()
	for _, c := range []struct {
		call string
		to   netip.AddrPort
	}{{"tcp", allowed4}, {"tcp", allowed6}, {"udp", allowed4}, {"udp-sendto", allowed6}, {"udplite", allowed4}} {
		t.Run(c.call+" "+c.to.Addr().String(), func(t *testing.T) {
			good, evil := s.Home.Sender("good"), s.Home.Sender("evil")
			s.allowTo(good.Path, netip.AddrPort{}, 0)
			source := netip.AddrPortFrom(netip.IPv4Unspecified(), 4444)
			if c.to.Addr().Is6() {
				source = netip.AddrPortFrom(netip.IPv6Unspecified(), 4444)
			}
			wire.Forget()
			holder := good.Start(t.Context(), "-hold", "700ms", "-source", source.String(), c.call, c.to.String())
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			if _, err := wire.Await(ctx, lab.To(c.to.Addr()).FromPort(4444)); err != nil {
				t.Fatal(err)
			}
			// Not the very same connection: the kernel has that but once.
			other := netip.AddrPortFrom(c.to.Addr().Next(), c.to.Port())
			sent := s.sends(evil, "-payload", "evil", "-source", source.String(), c.call, other.String())
			if wire.Saw(lab.To(other.Addr())) {
				t.Errorf("it left by the other's port: %+v", sent)
			}
			if c.call != "tcp" {
				s.sends(evil, "-payload", "evil", "-source", source.String(), c.call, c.to.String())
				if wire.Saw(func(p lab.Packet) bool { return bytes.Contains(p.Body, []byte("evil")) }) {
					t.Error("it left by the other's port and destination")
				}
			}
			if _, err := holder.Wait(); err != nil {
				t.Error(err)
			}
			if !s.askedAbout(evil.Path, other.Addr()) {
				t.Errorf("nobody was asked: %+v", sent)
			}
		})
	}
}

// Protocols that this kernel has not cannot be sent by. Where one of these fails, the
// kernel has the protocol, and its calls belong into sendRows.
func TestMissingProtocols(t *testing.T) {
	s := newSendScene(t)
	program := s.Home.Sender("program")
	for _, c := range []struct{ call, knownBy string }{{"sctp", "SCTP"}, {"sctp-many", "SCTP"}, {"dccp", "DCCP"}} {
		t.Run(c.call, func(t *testing.T) {
			protocols, err := os.ReadFile("/proc/net/protocols")
			if err != nil {
				t.Fatal(err)
			}
			sent := s.sends(program, c.call, allowed4.String())
			has := bytes.Contains(protocols, []byte("\n"+c.knownBy+" "))
			missing := slices.Contains([]string{"EPROTONOSUPPORT", "ESOCKTNOSUPPORT"}, sent.Errno) && sent.Stage == "socket"
			if has == missing {
				t.Errorf("the kernel has it: %v; %+v", has, sent)
			}
		})
	}
}

// Sockets that have to do with no network are nobody's business, not even of a blocked
// program's.
func TestOtherFamilies(t *testing.T) {
	s := newSendScene(t)
	program := s.Home.Sender("program")
	s.ruleTo(rule.Block, program.Path, netip.AddrPort{}, 0)
	for _, call := range []string{"unix", "vsock"} {
		if sent := s.sends(program, call, allowed4.String()); !sent.OK {
			t.Errorf("%s: %+v", call, sent)
		}
	}
	if sent := s.sends(program, "udp", allowed4.String()); sent.Errno != "EPERM" {
		t.Errorf("but UDP: %+v", sent)
	}
}
