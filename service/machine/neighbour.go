package machine

import (
	"net/netip"

	"golang.org/x/sys/unix"

	"sekisho/service/machine/ruleset"
)

// discover follows the packets by which IPv6 finds the next hop, and is found by it. They
// pass the packet filters like any others, and people forget them.
func (l *look) discover(way route) {
	p := l.packet(way)
	hop := l.flow.Remote.Addr
	if way.gateway.IsValid() {
		hop = way.gateway
	}
	known := l.ways.hopState(way.out, hop)
	if p.Out.Type != unix.ARPHRD_ETHER || known == unix.NUD_PERMANENT || known == unix.NUD_NOARP {
		return // nobody is asked
	}
	const solicit, advertise = 135, 136
	own := p.Src.Addr()
	for _, m := range []struct {
		from, to netip.Addr
		kind     uint8
		leaves   bool
	}{
		{own, solicited(hop), solicit, true}, {hop, own, advertise, false},
		{hop, solicited(own), solicit, false}, {own, hop, advertise, true},
	} {
		packet := ruleset.Packet{
			Src: netip.AddrPortFrom(m.from, 0), Dst: netip.AddrPortFrom(m.to, 0), Protocol: unix.IPPROTO_ICMPV6,
			ICMPType: m.kind, State: ruleset.Untracked, // the kernel tracks none of them
		}
		if m.leaves {
			packet.Out = p.Out
			l.walk(packet, Neighbour, ruleset.Output, ruleset.Postrouting, ruleset.Egress)
		} else {
			packet.In = p.Out
			l.walk(packet, Neighbour, ruleset.Ingress, ruleset.Prerouting, ruleset.Input)
		}
		if l.to.Outcome != Passes {
			return
		}
	}
}

// solicited is the group that a neighbour listens to for its address (RFC 4291, 2.7.1).
func solicited(a netip.Addr) netip.Addr {
	b := netip.MustParseAddr("ff02::1:ff00:0").As16()
	from := a.As16()
	copy(b[13:], from[13:])
	return netip.AddrFrom16(b)
}
