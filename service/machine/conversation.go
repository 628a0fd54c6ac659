package machine

import (
	"net/netip"

	"golang.org/x/sys/unix"

	"sekisho/service/machine/ruleset"
)

// outgoing follows the first packet out, the answer back, and what follows it.
func (l *look) outgoing(way route) {
	p := l.packet(way)
	first := p
	if p = l.send(p, way, FirstPacket); l.stopped() {
		return
	}
	l.answer(first, p)
	if l.stopped() || p.Protocol != unix.IPPROTO_TCP {
		return
	}
	next := first
	next.TCPFlags, next.CTMark, next.State = ruleset.ACK, l.marks, after(p.State)
	l.send(next, way, NextPacket)
}

// answers makes p the answer to a packet that went as sent: of one that was not tracked it
// is the first that connection tracking sees.
func answers(p *ruleset.Packet, sent ruleset.State) {
	p.Answer, p.State = true, ruleset.Established
	if sent != ruleset.Untracked {
		return
	}
	p.Begin, p.End = p.Src, p.Dst
	if p.State = ruleset.Invalid; p.Protocol == unix.IPPROTO_UDP || p.Protocol == unix.IPPROTO_UDPLITE {
		p.State = ruleset.New
	}
}

// after is what connection tracking makes of what follows a packet that went as sent: rules
// have a look at each whether it is to be tracked.
func after(sent ruleset.State) ruleset.State {
	if sent == ruleset.Untracked {
		return ruleset.New
	}
	return ruleset.Established
}

// send sends a packet out of this machine, and in again if it is for itself.
func (l *look) send(p ruleset.Packet, way route, which string) ruleset.Packet {
	p = l.walk(p, which, ruleset.Output)
	if l.stopped() {
		return p
	}
	if p.Diverted() || p.Rerouted {
		var ok bool
		if way, ok = l.route(routeQuery{to: p.Dst.Addr(), from: p.Src.Addr(), mark: p.Mark, protocol: p.Protocol, port: p.Dst.Port(), uid: l.uid()}); !ok {
			return p
		}
		p.Out, _, _ = l.ways.link(way.out)
	}
	if p = l.walk(p, which, ruleset.Postrouting, ruleset.Egress); l.stopped() || way.kind != unix.RTN_LOCAL {
		return p
	}
	p.In, p.Out = p.Out, ruleset.Link{}
	p = l.walk(p, which, ruleset.Ingress, ruleset.Prerouting, ruleset.Input)
	p.Out = p.In
	return p
}

// answer follows the other end's answer to first, which left this machine as sent.
func (l *look) answer(first, sent ruleset.Packet) {
	p := ruleset.Packet{
		Src: first.Dst, Dst: first.Src, Protocol: first.Protocol, Ephemeral: first.Ephemeral,
		TCPFlags: ruleset.SYN | ruleset.ACK, Begin: first.Begin, End: first.End, CTMark: sent.CTMark,
	}
	answers(&p, sent.State)
	l.marks = sent.CTMark
	if sent.In.Index != 0 { // it is for this machine itself
		p.Out = sent.In
		if p = l.walk(p, Answer, ruleset.Output, ruleset.Postrouting, ruleset.Egress); l.stopped() {
			return
		}
		p.In, p.Out = p.Out, ruleset.Link{}
	} else {
		p.In = sent.Out
	}
	l.walk(p, Answer, ruleset.Ingress, ruleset.Prerouting, ruleset.Input)
}

// incoming follows the first packet in and the answer out.
func (l *look) incoming(way route) {
	out := l.packet(way)
	p := out
	p.Src, p.Dst = netip.AddrPortFrom(out.Dst.Addr(), l.flow.Remote.Port), netip.AddrPortFrom(out.Src.Addr(), l.flow.Local.Port)
	p.Begin, p.End = p.Src, p.Dst
	p.In, p.Out, p.Owner = out.Out, ruleset.Link{}, ruleset.Owner{}
	if p = l.walk(p, FirstPacket, ruleset.Ingress, ruleset.Prerouting, ruleset.Input); l.stopped() {
		return
	}
	a := out
	a.Src, a.Dst, a.Begin, a.End = p.End, p.Begin, p.Begin, p.End
	a.TCPFlags, a.CTMark = ruleset.SYN|ruleset.ACK, p.CTMark
	answers(&a, p.State)
	l.walk(a, Answer, ruleset.Output, ruleset.Postrouting, ruleset.Egress)
}

// passOn follows a packet that goes through this machine.
func (l *look) passOn() {
	f := l.flow
	back, err := l.ways.ask(routeQuery{to: f.Local.Addr})
	way, ok := l.route(routeQuery{to: f.Remote.Addr, protocol: uint8(l.protocol()), port: f.Remote.Port})
	if !ok || err != nil {
		return
	}
	p := l.packet(way)
	p.Owner = ruleset.Owner{}
	p.In, _, _ = l.ways.link(back.out)
	first := p
	if p = l.walk(p, FirstPacket, ruleset.Ingress, ruleset.Prerouting, ruleset.Forward, ruleset.Postrouting, ruleset.Egress); l.stopped() {
		return
	}
	a := first
	a.Src, a.Dst, a.In, a.Out = first.Dst, first.Src, first.Out, first.In
	a.TCPFlags, a.CTMark = ruleset.SYN|ruleset.ACK, p.CTMark
	answers(&a, p.State)
	l.walk(a, Answer, ruleset.Ingress, ruleset.Prerouting, ruleset.Forward, ruleset.Postrouting, ruleset.Egress)
}
