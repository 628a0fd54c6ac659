package daemon_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"sekisho/app/flow"
	"sekisho/app/prompt"
	"sekisho/app/rule"
	"sekisho/service/bpf"
	"sekisho/service/lab"
)

// sendRow is one way to send: a call of the program send, and what is to be seen of it.
type sendRow struct {
	name     string
	call     string // of service/lab/programs/send
	args     []string
	protocol flow.Protocol
	six      bool
	to       [2]netip.AddrPort // where to; zero: addresses of the row's own
	both     bool              // one process sends to both destinations
	portless bool              // a rule with a port would not cover all of its packets
	nothing  bool              // no receiver could make anything of the packets
}

const attackPort = 7

// Nothing can hold what looks like a part of a connection and is of none: it is refused, and
// offered for the next attempt.
var again = []string{"-tries", "5"}

// Every call that sends.
var sendRows = []sendRow{
	{name: "TCP", call: "tcp", protocol: flow.TCP},
	{name: "TCP over IPv6", call: "tcp", protocol: flow.TCP, six: true},
	{name: "TCP to a v4-mapped address", call: "tcp-mapped", protocol: flow.TCP},
	{name: "TCP fast open by sendto", call: "tcp-fastopen", protocol: flow.TCP},
	{name: "TCP fast open by sendto over IPv6", call: "tcp-fastopen", protocol: flow.TCP, six: true},
	{name: "TCP fast open by connect", call: "tcp-fastopen-connect", protocol: flow.TCP},
	{name: "MPTCP", call: "mptcp", protocol: flow.TCP},
	{name: "MPTCP over IPv6", call: "mptcp", protocol: flow.TCP, six: true},
	{name: "MPTCP fast open", call: "mptcp-fastopen", protocol: flow.TCP},
	{name: "TCP reconnect by AF_UNSPEC", call: "tcp-unspec", protocol: flow.TCP, both: true},
	{name: "TCP bound to a device", call: "tcp", args: []string{"-device", lab.LinkName}, protocol: flow.TCP},
	{name: "TCP with our own reject mark", call: "tcp", args: []string{"-mark", "0x5e000000"}, protocol: flow.TCP, nothing: true},
	{name: "TCP with a mark", call: "tcp", args: []string{"-mark", "0x1"}, protocol: flow.TCP},
	{name: "TCP transparent", call: "tcp", args: []string{"-transparent"}, protocol: flow.TCP},
	{name: "TCP writev", call: "tcp-writev", protocol: flow.TCP},
	{name: "TCP splice", call: "tcp-splice", protocol: flow.TCP},
	{name: "TCP vmsplice", call: "tcp-vmsplice", protocol: flow.TCP},
	{name: "TCP sendfile", call: "tcp-sendfile", protocol: flow.TCP},
	{name: "TCP zerocopy", call: "tcp-zerocopy", protocol: flow.TCP},
	{name: "TCP without a handshake by TCP_REPAIR", call: "tcp-repair", protocol: flow.TCP},

	{name: "UDP connected", call: "udp", protocol: flow.UDP},
	{name: "UDP connected over IPv6", call: "udp", protocol: flow.UDP, six: true},
	{name: "UDP sendto", call: "udp-sendto", protocol: flow.UDP},
	{name: "UDP sendto over IPv6", call: "udp-sendto", protocol: flow.UDP, six: true},
	{name: "UDP sendmsg", call: "udp-sendmsg", protocol: flow.UDP},
	{name: "UDP sendmmsg to several", call: "udp-sendmmsg", protocol: flow.UDP, both: true},
	{name: "UDP sendmmsg to several over IPv6", call: "udp-sendmmsg", protocol: flow.UDP, six: true, both: true},
	{name: "UDP segmentation", call: "udp-segment", protocol: flow.UDP},
	{name: "UDP segmentation by sendto over IPv6", call: "udp-segment-sendto", protocol: flow.UDP, six: true},
	{name: "UDP cork", call: "udp-cork", protocol: flow.UDP},
	{name: "UDP MSG_MORE", call: "udp-more", protocol: flow.UDP},
	{name: "UDP to a v4-mapped address", call: "udp-mapped", protocol: flow.UDP},
	{name: "UDP larger than the link's packets", call: "udp", args: []string{"-size", "5000"}, protocol: flow.UDP},
	{name: "UDP larger than the link's packets over IPv6", call: "udp-sendto", args: []string{"-size", "5000"}, protocol: flow.UDP, six: true},
	{name: "UDP zerocopy", call: "udp-zerocopy", protocol: flow.UDP},
	{name: "UDP splice", call: "udp-splice", protocol: flow.UDP},
	{name: "UDP with a reuseport filter", call: "udp-reuseport", protocol: flow.UDP},
	{name: "UDP reconnect by AF_UNSPEC", call: "udp-unspec", protocol: flow.UDP, both: true},
	{name: "UDP reconnect at once", call: "udp-reconnect", protocol: flow.UDP, both: true},
	{name: "UDP connected, sendto elsewhere", call: "udp-connected-sendto", protocol: flow.UDP, both: true},
	{name: "UDP socket of many destinations", call: "udp-many", protocol: flow.UDP, both: true},
	{name: "UDP bound to a device", call: "udp", args: []string{"-device", lab.LinkName}, protocol: flow.UDP},
	{name: "UDP with a mark", call: "udp-sendto", args: []string{"-mark", "0x1"}, protocol: flow.UDP},
	{name: "UDP from a forged source by IP_TRANSPARENT", call: "udp-sendto", args: []string{"-transparent", "-source", "203.0.113.9:999"}, protocol: flow.UDP},
	{name: "UDP multicast", call: "udp-sendto", protocol: flow.UDP,
		to: [2]netip.AddrPort{netip.MustParseAddrPort("239.1.2.3:7777"), netip.MustParseAddrPort("239.1.2.4:7777")}},
	{name: "UDP broadcast", call: "broadcast", args: []string{"-device", lab.LinkName}, protocol: flow.UDP},
	{name: "mDNS", call: "udp-sendto", protocol: flow.UDP, args: []string{"-source", "0.0.0.0:5353"},
		to: [2]netip.AddrPort{netip.MustParseAddrPort("224.0.0.251:5353"), netip.MustParseAddrPort("224.0.0.250:5353")}},
	{name: "mDNS over IPv6", call: "udp-sendto", protocol: flow.UDP, six: true, args: []string{"-device", lab.LinkName},
		to: [2]netip.AddrPort{netip.MustParseAddrPort("[ff02::fb]:5353"), netip.MustParseAddrPort("[ff02::fa]:5353")}},
	{name: "UDP-Lite", call: "udplite", protocol: flow.UDPLite},
	{name: "UDP-Lite sendto over IPv6", call: "udplite-sendto", protocol: flow.UDPLite, six: true},

	{name: "ping socket", call: "ping", protocol: flow.ICMP},
	{name: "ping socket over IPv6", call: "ping", protocol: flow.ICMPv6, six: true},
	{name: "ping socket connected", call: "ping-connected", protocol: flow.ICMP},
	{name: "raw ICMP", call: "raw-ping", protocol: flow.ICMP},
	{name: "raw ICMPv6", call: "raw-ping", protocol: flow.ICMPv6, six: true},
	{name: "raw ICMP connected", call: "raw-ping-connected", protocol: flow.ICMP},
	{name: "raw with a protocol of its own", call: "raw", protocol: 253},
	{name: "raw with a protocol of its own over IPv6", call: "raw", protocol: 253, six: true},
	{name: "raw GRE", call: "raw", args: []string{"-protocol", "47"}, protocol: flow.GRE},
	{name: "raw IGMP", call: "header-igmp", protocol: flow.IGMP},
	{name: "raw IP in IP", call: "header-ipip", protocol: 4},
	{name: "raw TCP SYN", call: "raw-tcp-syn", protocol: flow.TCP},
	{name: "raw TCP ACK", call: "raw-tcp-ack", args: again, protocol: flow.TCP},
	{name: "raw TCP ACK over IPv6", call: "raw-tcp-ack", args: again, protocol: flow.TCP, six: true},
	{name: "own header, UDP", call: "header-udp", protocol: flow.UDP},
	{name: "own header, UDP over IPv6", call: "header6-udp", protocol: flow.UDP, six: true},
	{name: "own header, UDP from a forged source", call: "header-udp-forged", protocol: flow.UDP},
	{name: "own header, TCP SYN", call: "header-tcp-syn", protocol: flow.TCP},
	{name: "own header, TCP SYN from a forged source", call: "header-tcp-syn-forged", protocol: flow.TCP},
	{name: "own header, TCP ACK", call: "header-tcp-ack", args: again, protocol: flow.TCP},
	{name: "own header, TCP ACK over IPv6", call: "header6-tcp-ack", args: again, protocol: flow.TCP, six: true},
	{name: "own header, TCP SYN and ACK", call: "header-tcp-synack", args: again, protocol: flow.TCP},
	{name: "own header, TCP RST", call: "header-tcp-rst", args: again, protocol: flow.TCP},
	{name: "own header, TCP without flags", call: "header-tcp-null", args: again, protocol: flow.TCP},
	{name: "own header, full of options", call: "header-options", protocol: flow.UDP},
	{name: "own header, six headers of options over IPv6", call: "header6-options", protocol: flow.UDP, six: true},
	{name: "fragments, the first a tiny one", call: "fragments", protocol: flow.UDP, portless: true},
	{name: "fragments over IPv6, the first a tiny one", call: "fragments6", protocol: flow.UDP, six: true, portless: true},

	{name: "io_uring TCP", call: "ring-tcp", protocol: flow.TCP},
	{name: "io_uring TCP over IPv6", call: "ring-tcp", protocol: flow.TCP, six: true},
	{name: "io_uring TCP async", call: "ring-tcp-async", protocol: flow.TCP},
	{name: "io_uring TCP by a kernel thread", call: "ring-tcp-poll", protocol: flow.TCP},
	{name: "io_uring send", call: "ring-send", protocol: flow.UDP},
	{name: "io_uring send async", call: "ring-send-async", protocol: flow.UDP},
	{name: "io_uring send by a kernel thread", call: "ring-send-poll", protocol: flow.UDP},
	{name: "io_uring send to several by a kernel thread", call: "ring-send-poll", protocol: flow.UDP, both: true},
	{name: "io_uring send zerocopy", call: "ring-sendzc", protocol: flow.UDP},
	{name: "io_uring sendmsg", call: "ring-sendmsg", protocol: flow.UDP},
	{name: "io_uring sendmsg async", call: "ring-sendmsg-async", protocol: flow.UDP},
	{name: "io_uring sendmsg by a kernel thread over IPv6", call: "ring-sendmsg-poll", protocol: flow.UDP, six: true},
}

// sendCase is a row with a program and destinations of its own.
type sendCase struct {
	sendRow
	program *lab.Sender
	rule    rule.Rule
	runs    []*lab.Sending
	pids    []int // of all its runs until now
	sent    []lab.Sent
}

// cases gives each row a program and two destinations.
func (s *scene) cases(rows []sendRow) []*sendCase {
	var all []*sendCase
	for i, r := range rows {
		c := &sendCase{sendRow: r, program: s.Home.Sender(fmt.Sprintf("row%d", i))}
		for j := range c.to {
			if c.to[j].IsValid() {
				continue
			}
			a := netip.AddrFrom4([4]byte{198, 18, byte(i), byte(1 + j)})
			if r.six {
				a = netip.MustParseAddr(fmt.Sprintf("2001:db8::%x:%x", i, 1+j))
			}
			if r.call == "broadcast" {
				a = []netip.Addr{s.Home.Broadcast(), netip.AddrFrom4([4]byte{255, 255, 255, 255})}[j]
			}
			c.to[j] = netip.AddrPortFrom(a, attackPort)
		}
		all = append(all, c)
	}
	return all
}

// send starts each case's call to the destinations, all at once, and waits for their ends.
func (s *scene) send(all []*sendCase, hold time.Duration, to ...int) {
	s.t.Helper()
	for _, c := range all {
		c.runs, c.sent = nil, nil
		start := func(to ...int) {
			args := append([]string{"-hold", hold.String()}, c.args...)
			args = append(args, c.call)
			for _, j := range to {
				args = append(args, c.to[j].String())
			}
			r := c.program.Start(s.t.Context(), args...)
			c.runs, c.pids = append(c.runs, r), append(c.pids, r.PID())
		}
		if c.both {
			start(to...)
			continue
		}
		for _, j := range to {
			start(j)
		}
	}
	for _, c := range all {
		for _, r := range c.runs {
			sent, err := r.Wait()
			if err != nil {
				s.t.Errorf("%s: %v", c.name, err)
			}
			c.sent = append(c.sent, sent)
		}
	}
}

// reached matches what gets to a case's destination from Home.
func (c *sendCase) reached(j int) lab.Match {
	return func(p lab.Packet) bool {
		return p.Dst.Addr() == c.to[j].Addr() && !p.Leaving
	}
}

// arrived matches what the call is to bring to a case's destination.
func (c *sendCase) arrived(j int) lab.Match {
	return func(p lab.Packet) bool {
		if !c.reached(j)(p) {
			return false
		}
		fragment := p.Dst.Port() == 0 && (slices.Contains(c.args, "-size") || c.portless)
		return fragment || p.Protocol == c.protocol && (c.protocol != flow.TCP && c.protocol != flow.UDP || p.Dst.Port() == c.to[j].Port())
	}
}

// Every call, three times: undecided, allowed to one destination, blocked.
func TestProtocols(t *testing.T) {
	s := newSendScene(t)
	all := s.cases(sendRows)
	wire := s.Remote.Wire()
	t.Run("undecided", func(t *testing.T) { s.undecided(t, all, wire) })
	wire.Forget()
	t.Run("allowed there only", func(t *testing.T) { s.allowedThereOnly(t, all, wire) })
	wire.Forget()
	t.Run("nothing is left", func(t *testing.T) { s.nothingLeft(t, all) })
	t.Run("blocked", func(t *testing.T) { s.blocked(t, all, wire) })
	if n := wire.Lost(); n != 0 {
		t.Errorf("%d packets were not recorded", n)
	}
}

// What no rule allows and nobody answers for does not leave, whatever call sends it, and is
// shown as what it is, of the program that it is of.
func (s *scene) undecided(t *testing.T, all []*sendCase, wire *lab.Wire) {
	s.send(all, 500*time.Millisecond, 0)
	asked := s.asked()
	for _, c := range all {
		t.Run(c.name, func(t *testing.T) {
			c.checkSilent(t, wire, 0)
			c.checkAsked(t, asked, 0)
		})
	}
	if n := s.status().Counters.Unattributed; n != 0 {
		t.Errorf("%d flows were not attributed", n)
	}
}

// What a rule allows for one destination gets there, whatever call sends it, and what the
// same call sends to another does not.
func (s *scene) allowedThereOnly(t *testing.T, all []*sendCase, wire *lab.Wire) {
	for _, c := range all {
		to := netip.AddrPortFrom(c.to[0].Addr(), 0)
		if c.protocol.HasPorts() && !c.portless {
			to = c.to[0]
		}
		c.rule = s.ruleTo(rule.Allow, c.program.Path, to, c.protocol)
	}
	s.send(all, 500*time.Millisecond, 0, 1)
	asked := s.asked()
	for _, c := range all {
		t.Run(c.name, func(t *testing.T) {
			if !wire.Saw(c.arrived(0)) && !c.nothing {
				t.Errorf("what is allowed did not arrive: %+v", c.sent)
			}
			c.checkSilent(t, wire, 1)
			c.checkAsked(t, asked, 1)
		})
	}
}

// A program that is blocked sends nothing, whatever call it tries, and nobody is asked.
func (s *scene) blocked(t *testing.T, all []*sendCase, wire *lab.Wire) {
	for _, c := range all {
		if err := s.api.RemoveRule(t.Context(), c.rule.ID); err != nil {
			t.Fatal(err)
		}
		s.ruleTo(rule.Block, c.program.Path, netip.AddrPort{}, 0)
	}
	before := s.status().Counters.Prompts
	s.send(all, 0, 0, 1)
	for _, c := range all {
		t.Run(c.name, func(t *testing.T) {
			c.checkSilent(t, wire, 0)
			c.checkSilent(t, wire, 1)
		})
	}
	if n := s.status().Counters.Prompts - before; n != 0 {
		t.Errorf("%d questions about blocked programs", n)
	}
}

// checkSilent: nothing has reached the case's destination.
func (c *sendCase) checkSilent(t *testing.T, wire *lab.Wire, j int) {
	t.Helper()
	for _, p := range wire.Packets(c.reached(j)) {
		t.Errorf("left: %v %v > %v %q", p.Protocol, p.Src, p.Dst, p.Payload)
	}
}

// Whatever a program sends by, nothing of it is left in the kernel when it has ended.
func (s *scene) nothingLeft(t *testing.T, all []*sendCase) {
	sockets, err := ebpf.LoadPinnedMap(fmt.Sprintf("/proc/%d/root%s/sockets", s.service.PID(), bpf.Pins(bpf.Tag(s.service.State))), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer sockets.Close()
	var left []string
	look := func() bool {
		left = nil
		var cookie uint64
		var value []byte
		for i := sockets.Iterate(); i.Next(&cookie, &value); {
			left = append(left, whose(all, value))
		}
		return len(left) == 0
	}
	for end := time.Now().Add(5 * time.Second); !look(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("sockets of programs that have ended are kept: %q", left)
		}
	}
}

// whose names the row that a socket's entry is of: the entry has its process's number.
func whose(all []*sendCase, value []byte) string {
	for _, c := range all {
		for _, pid := range c.pids {
			if bytes.Contains(value, binary.NativeEndian.AppendUint32(nil, uint32(pid))) {
				return c.name
			}
		}
	}
	return fmt.Sprintf("%x", value)
}

func (c *sendCase) checkAsked(t *testing.T, asked []prompt.Prompt, j int) {
	t.Helper()
	want := c.to[j]
	if !c.protocol.HasPorts() {
		want = netip.AddrPortFrom(want.Addr(), 0)
	}
	found := false
	for _, p := range asked {
		f := p.Flow
		to := netip.AddrPortFrom(f.Remote.Addr, f.Remote.Port)
		if f.Direction == flow.In { // an answer to a broadcast, from somebody
			continue
		}
		its := f.Process.Path == c.program.Path && slices.ContainsFunc(c.runs, func(r *lab.Sending) bool { return r.PID() == int(f.Process.PID) })
		if f.Remote.Addr != want.Addr() && !its {
			continue
		}
		right := its && f.Remote.Addr == want.Addr() && f.Protocol == c.protocol
		if right && to == want {
			found = true
		} else if !right || !c.portless {
			t.Errorf("shown as %v to %v of %q, pid %d", f.Protocol, to, f.Process.Path, f.Process.PID)
		}
	}
	if !found && !c.nothing {
		t.Errorf("nobody was asked; it ended with %+v", c.sent)
	}
}
