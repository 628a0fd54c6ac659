package daemon_test

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sekisho/app/flow"
	"sekisho/app/rule"
	"sekisho/service/lab"
)

// What goes on from an allowed destination to another is not what was allowed.
func TestSourceRoute(t *testing.T) {
	s := newSendScene(t)
	if err := s.Home.Sysctl("net/ipv6/conf/all/seg6_enabled", "1"); err != nil {
		t.Fatal(err)
	}
	wire := s.Remote.Wire()
	for _, c := range []struct {
		name    string
		via, to netip.AddrPort
	}{{"LSRR", allowed4, elsewhere4}, {"segment routing", allowed6, elsewhere6}} {
		for _, call := range []string{"udp", "udp-sendto", "tcp", "ping"} {
			t.Run(c.name+" "+call, func(t *testing.T) {
				program := s.Home.Sender("sender")
				straight := netip.AddrPortFrom(c.to.Addr().Next(), c.to.Port())
				s.allowTo(program.Path, netip.AddrPortFrom(c.via.Addr(), 0), 0)
				s.allowTo(program.Path, netip.AddrPortFrom(straight.Addr(), 0), 0)
				s.sends(program, call, straight.String())
				s.eventually("what takes no route", func() bool { return wire.Saw(lab.To(straight.Addr())) })
				sent := s.sends(program, "-via", c.via.Addr().String(), call, c.to.String())
				if sent.Stage == "options" {
					t.Fatalf("%+v", sent)
				}
				for _, p := range wire.Packets(nil) {
					if !p.Leaving && (p.Dst.Addr() == c.via.Addr() || p.Dst.Addr() == c.to.Addr()) {
						t.Errorf("left: %v %v > %v", p.Protocol, p.Src, p.Dst)
					}
				}
			})
		}
	}
}

// Headers that lie: what a packet claims to be does not get it through.
func TestLyingHeaders(t *testing.T) {
	s := newSendScene(t)
	wire := s.Remote.Wire()
	for _, c := range []struct {
		name, call string
		to         []netip.AddrPort
	}{
		{"a later fragment with the ports of what is allowed", "fragment-rest", []netip.AddrPort{allowed4}},
		{"a later fragment over IPv6 with the ports of what is allowed", "fragment6-rest", []netip.AddrPort{allowed6}},
	} {
		t.Run(c.name, func(t *testing.T) {
			program := s.Home.Sender("sender")
			s.allowTo(program.Path, allowed4, flow.UDP)
			s.allowTo(program.Path, allowed6, flow.UDP)
			wire.Forget()
			args := []string{c.call}
			for _, a := range c.to {
				args = append(args, a.String())
			}
			sent := s.sends(program, args...)
			// The link would carry anything; a frame that is no IP packet is one, too.
			time.Sleep(50 * time.Millisecond)
			for _, p := range wire.Packets(func(p lab.Packet) bool { return !p.Leaving && bytes.Contains(p.Body, []byte("sekisho")) }) {
				t.Errorf("left: %v %v > %v %x; %+v", p.Protocol, p.Src, p.Dst, p.Body, sent)
			}
			s.allowTo(program.Path, netip.AddrPort{}, 0)
			s.sends(program, args...)
			time.Sleep(50 * time.Millisecond)
			if !wire.Saw(func(p lab.Packet) bool { return !p.Leaving && bytes.Contains(p.Body, []byte("sekisho")) }) {
				t.Error("with everything allowed it did not leave either")
			}
		})
	}
}

// Where all but one port is allowed, that port stays closed, however it is wrapped up.
func TestWrappedUpPort(t *testing.T) {
	s := newSendScene(t)
	wire := s.Remote.Wire()
	for _, c := range []struct {
		call string
		to   netip.AddrPort
	}{
		{"header6-udp", elsewhere6}, {"header6-options", elsewhere6}, {"fragments6", elsewhere6},
		{"fragments", elsewhere4}, {"header-options", elsewhere4}, {"udp", elsewhere4},
	} {
		t.Run(c.call, func(t *testing.T) {
			program := s.Home.Sender("sender")
			s.ruleTo(rule.Allow, program.Path, netip.AddrPort{}, 0)
			s.ruleTo(rule.Block, program.Path, c.to, 0)
			other := netip.AddrPortFrom(c.to.Addr(), 8)
			s.sends(program, c.call, other.String())
			wire.Forget()
			s.sends(program, c.call, c.to.String())
			for _, p := range wire.Packets(lab.To(c.to.Addr())) {
				if first := len(p.Body) >= 8 && p.Dst.Port() == c.to.Port() || bytes.Contains(p.Body, []byte{0x9c, 0x40, 0, 7}); first {
					t.Errorf("left: %v %v > %v %x", p.Protocol, p.Src, p.Dst, p.Body)
				}
			}
		})
	}
}

// A server that calls back while our connection waits does not make it one.
func TestSimultaneousOpen(t *testing.T) {
	for _, family := range []string{"IPv4", "IPv6"} {
		t.Run(family, func(t *testing.T) {
			s := newSendScene(t)
			home, remote := netip.AddrPortFrom(s.Home.Addr4, 4001), netip.AddrPortFrom(s.Remote.Addr4, 4002)
			if family == "IPv6" {
				home, remote = netip.AddrPortFrom(s.Home.Addr6, 4001), netip.AddrPortFrom(s.Remote.Addr6, 4002)
			}
			wire := s.Remote.Wire()
			try := func(program *lab.Sender) lab.Sent {
				server := s.Remote.Sender("server")
				back := server.Run(s.Remote.Command(t.Context(), server.Path, "-timeout", "900ms", "-source", remote.String(), "tcp-until", home.String()))
				sent := s.sends(program, "-timeout", "900ms", "-payload", "evil", "-source", home.String(), "tcp-until", remote.String())
				if _, err := back.Wait(); err != nil {
					t.Error(err)
				}
				return sent
			}
			evil := s.Home.Sender("evil")
			sent := try(evil)
			for _, p := range wire.Packets(lab.To(remote.Addr())) {
				if p.Src == home && !p.RST {
					t.Errorf("left: SYN %v ACK %v %q; %+v", p.SYN, p.ACK, p.Payload, sent)
				}
			}
			if !s.askedAbout(evil.Path, remote.Addr()) {
				t.Errorf("nobody was asked: %+v", sent)
			}
			good := s.Home.Sender("good")
			s.allowTo(good.Path, remote, flow.TCP)
			if sent := try(good); !sent.OK {
				t.Errorf("allowed: %+v", sent)
			}
		})
	}
}

// A further subflow of an MPTCP connection is its program's, and judged like any other.
func TestMPTCPSubflows(t *testing.T) {
	s := newSendScene(t)
	s.Remote.OfferMPTCP(elsewhere4.Addr())
	s.Home.JoinMPTCP()
	wire := s.Remote.Wire()
	program := s.Home.Sender("program")
	s.allowTo(program.Path, allowed4, flow.TCP)
	if sent := s.sends(program, "-hold", "1s", "mptcp", allowed4.String()); !sent.OK {
		t.Fatalf("%+v", sent)
	}
	if wire.Saw(lab.To(elsewhere4.Addr())) {
		t.Error("a subflow went where nothing is allowed")
	}
	if !s.askedAbout(program.Path, elsewhere4.Addr()) {
		t.Errorf("nobody was asked about the subflow; %+v", s.asked())
	}
	s.allowTo(program.Path, elsewhere4, flow.TCP)
	if sent := s.sends(program, "-hold", "1s", "mptcp", allowed4.String()); !sent.OK {
		t.Fatalf("%+v", sent)
	}
	if !wire.Saw(lab.SYN(elsewhere4)) {
		t.Error("an allowed subflow did not leave")
	}
}

// A socket that an allowed program made lends its heir nothing, used before or not.
func TestLentSockets(t *testing.T) {
	s := newSendScene(t)
	wire := s.Remote.Wire()
	for _, c := range []struct {
		call string
		to   netip.AddrPort
	}{
		{"lend-udp", allowed4}, {"lend-udp", allowed6}, {"lend-udplite", allowed4}, {"lend-ping", allowed4}, {"lend-ping", allowed6}, {"lend-raw", allowed4},
		{"share-udp", allowed4}, {"share-ping", allowed4}, {"share-raw", allowed4},
	} {
		t.Run(c.call+" "+c.to.Addr().String(), func(t *testing.T) {
			good, evil := s.Home.Sender("good"), s.Home.Sender("evil")
			s.allowTo(good.Path, netip.AddrPortFrom(c.to.Addr(), 0), 0)
			wire.Forget()
			borrowed := func(p lab.Packet) bool { return bytes.Contains(p.Body, []byte("evil")) && !p.Leaving }
			sent := s.sends(good, "-heir", evil.Path, c.call, c.to.String())
			if n := len(wire.Packets(borrowed)); n != 0 {
				t.Errorf("%d packets of the heir left; %+v", n, sent)
			}
			if !s.askedAbout(evil.Path, c.to.Addr()) {
				t.Errorf("nobody was asked about the heir; %+v", sent)
			}
			s.allowTo(evil.Path, netip.AddrPortFrom(c.to.Addr(), 0), 0)
			s.sends(good, "-heir", evil.Path, c.call, c.to.String())
			if !wire.Saw(borrowed) {
				t.Error("an allowed heir's packets did not leave")
			}
		})
	}
}

// Two packets that are alike are still of two programs.
func TestPacketsAlike(t *testing.T) {
	s := newSendScene(t)
	wire := s.Remote.Wire()
	good, evil := s.Home.Sender("good"), s.Home.Sender("evil")
	// The kernel learns of single addresses only as they come up: this the service decides.
	network := rule.Rule{Enabled: true, Action: rule.Allow, Program: rule.Program{Path: good.Path}, Remote: rule.Remote{Network: netip.MustParsePrefix("198.18.0.0/16")}}
	if _, err := s.api.AddRule(t.Context(), network, 0); err != nil {
		t.Fatal(err)
	}
	pid := s.service.PID()
	if err := unix.Kill(pid, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	first := evil.Start(t.Context(), "-hold", "1s", "header-udp", allowed4.String())
	time.Sleep(200 * time.Millisecond)
	to := allowed4.String()
	second := good.Start(t.Context(), "-hold", "1s", "header-udp", to, to, to)
	time.Sleep(200 * time.Millisecond)
	if err := unix.Kill(pid, unix.SIGCONT); err != nil {
		t.Fatal(err)
	}
	for _, r := range []*lab.Sending{first, second} {
		if sent, err := r.Wait(); err != nil {
			t.Errorf("%+v, %v", sent, err)
		}
	}
	if n := len(wire.Packets(lab.Datagram(allowed4))); n > 3 {
		t.Errorf("%d packets left, one of them by the other's permission", n)
	}
	// Whose a packet is can be told, or it is counted that it cannot.
	if !s.askedAbout(evil.Path, allowed4.Addr()) && s.status().Counters.Unattributed == 0 {
		t.Error("nobody was asked about the other")
	}
}
