package ruleset

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// Bases of nft_payload_bases.
const (
	linkLayer = iota
	networkHeader
	transportHeader
	innerHeader
)

func (w *world) payload(a attrs) verdict {
	if a.has(unix.NFTA_PAYLOAD_SREG) {
		w.packet.rewritten = true
		return goOn
	}
	from, n := int(a.u32(unix.NFTA_PAYLOAD_OFFSET)), int(a.u32(unix.NFTA_PAYLOAD_LEN))
	if n > cells*cellLen || from > 1<<16 {
		return stops
	}
	var v value
	switch base := a.u32(unix.NFTA_PAYLOAD_BASE); {
	case w.packet.rewritten:
		v = unknown(n, "what another rule wrote into the packet")
	case base == networkHeader:
		v = part(w.packet.network(), from, n)
	case base == transportHeader:
		v = part(w.packet.transport(), from, n)
	case base == linkLayer && w.bridged:
		v = part([]field{{0, unknown(12, "the frame's addresses")}, {12, known(etherType(w.packet.Family())...)}}, from, n)
	case base == linkLayer && (w.hook == Output || w.packet.In.Index == 0):
		return stops // it has none yet
	case base == linkLayer:
		v = unknown(n, "the frame's header")
	default:
		v = unknown(n, "the packet's content")
	}
	w.regs.store(a.u32(unix.NFTA_PAYLOAD_DREG), v)
	return goOn
}

func (w *world) meta(a attrs) verdict {
	key := a.u32(unix.NFTA_META_KEY)
	if a.has(unix.NFTA_META_SREG) {
		if key == unix.NFT_META_MARK {
			w.setMark(w.regs.load(a.u32(unix.NFTA_META_SREG), 4))
		}
		return goOn
	}
	v, ok := w.metaValue(key)
	if !ok {
		return stops
	}
	w.regs.store(a.u32(unix.NFTA_META_DREG), v)
	return goOn
}

func (w *world) setMark(v value) {
	if !v.isKnown() {
		w.packet.rewritten = true
		return
	}
	w.packet.Mark = binary.NativeEndian.Uint32(v.lo)
	w.packet.Rerouted = w.packet.Rerouted || w.chain.reroutes()
	w.note(Mark, mark(w.packet.Mark))
}

// metaValue is false for what a packet does not have: the rule then does not match.
func (w *world) metaValue(key uint32) (value, bool) {
	p := &w.packet
	switch key {
	case unix.NFT_META_MARK:
		return known(native(p.Mark)...), true
	case unix.NFT_META_NFPROTO:
		return known(byte(p.Family())), true
	case unix.NFT_META_L4PROTO:
		return known(p.Protocol), true
	case unix.NFT_META_PROTOCOL:
		return known(etherType(p.Family())...), true
	case unix.NFT_META_SKUID, unix.NFT_META_SKGID:
		return w.ownerValue(key)
	case unix.NFT_META_PKTTYPE:
		return known(w.packetType()), true
	case unix.NFT_META_NFTRACE, metaSecPath:
		return known(0), true
	case unix.NFT_META_CPU:
		return unknown(4, "the processor"), true
	case unix.NFT_META_LEN:
		return unknown(4, "the packet's length"), true
	case unix.NFT_META_CGROUP:
		return unknown(4, "the control group's class"), true
	case unix.NFT_META_PRANDOM:
		return unknown(4, "a random number"), true
	}
	if w.bridged {
		if v, found := bridgeValue(key, p, w.hook); found {
			return v, true
		}
	}
	if v, ok, found := linkValue(key, p.In, p.Out, w.hook); found {
		return v, ok
	}
	if v, ok := timeValue(key); ok {
		return v, true
	}
	return unknown(16, "a property of the packet"), true
}

// Keys of nft_meta_keys that x/sys lacks.
const (
	metaSecPath = 25
	metaIifKind = 26
	metaOifKind = 27
)

func etherType(f Family) []byte {
	if f == IPv4 {
		return []byte{0x08, 0x00}
	}
	return []byte{0x86, 0xdd}
}

func (w *world) ownerValue(key uint32) (value, bool) {
	o := w.packet.Owner
	switch {
	case w.hook == Input && w.packet.In.Index != 0:
		return unknown(4, "whether the packet's socket is found already"), true
	case !o.Known || w.hook == Prerouting || w.hook == Ingress || w.hook == Forward:
		return value{}, false
	case key == unix.NFT_META_SKUID:
		return known(native(o.UID)...), true
	}
	return known(native(o.GID)...), true
}

// packetType is PACKET_HOST, BROADCAST or MULTICAST: set for what comes in.
func (w *world) packetType() byte {
	if w.packet.In.Index == 0 || w.hook == Output {
		return 0
	}
	switch kind, _ := w.fib.Type(w.packet.Dst.Addr()); kind {
	case unix.RTN_BROADCAST:
		return 1
	case unix.RTN_MULTICAST:
		return 2
	}
	return 0
}

// linkValue is about interfaces; an interface that isn't has number 0 and no name. Found
// is false for other keys.
func linkValue(key uint32, in, out Link, h Hook) (v value, ok, found bool) {
	switch h { // each hook is given only one of them, or both
	case Output, Postrouting, Egress:
		in = Link{}
	case Prerouting, Input, Ingress:
		out = Link{}
	}
	l := in
	switch key {
	case unix.NFT_META_OIF, unix.NFT_META_OIFNAME, unix.NFT_META_OIFTYPE, unix.NFT_META_OIFGROUP, metaOifKind:
		l = out
	}
	switch key {
	case unix.NFT_META_IIF, unix.NFT_META_OIF:
		return known(native(uint32(l.Index))...), true, true
	case unix.NFT_META_IIFNAME, unix.NFT_META_OIFNAME:
		return known(ifname(l.Name)...), true, true
	case unix.NFT_META_IIFTYPE, unix.NFT_META_OIFTYPE:
		return known(binary.NativeEndian.AppendUint16(nil, l.Type)...), l.Index != 0, true
	case unix.NFT_META_IIFGROUP, unix.NFT_META_OIFGROUP:
		return known(native(l.Group)...), l.Index != 0, true
	case metaIifKind, metaOifKind:
		return known(ifname(l.Kind)...), l.Index != 0 && l.Kind != "", true
	}
	return value{}, false, false
}

// bridgeValue is about the interfaces of a bridge: rules see its port, which only the
// bridge knows, and the bridge under another key.
func bridgeValue(key uint32, p *Packet, h Hook) (value, bool) {
	in, out := p.In.Name, ""
	if h == Output || h == Postrouting {
		in, out = "", p.Out.Name
	}
	switch key {
	case unix.NFT_META_BRI_IIFNAME:
		return known(ifname(in)...), true
	case unix.NFT_META_BRI_OIFNAME:
		return known(ifname(out)...), true
	case unix.NFT_META_IIF, unix.NFT_META_IIFNAME, unix.NFT_META_OIF, unix.NFT_META_OIFNAME:
		return unknown(unix.IFNAMSIZ, "the bridge's port"), true
	}
	return value{}, false
}

func ifname(s string) []byte {
	b := make([]byte, unix.IFNAMSIZ)
	copy(b, s)
	return b
}

func (w *world) extension(a attrs) verdict {
	const present, tcpOption = 1, 1
	switch {
	case a.has(unix.NFTA_EXTHDR_SREG) || !a.has(unix.NFTA_EXTHDR_DREG):
		return goOn
	case a.u32(unix.NFTA_EXTHDR_OP) == tcpOption:
		w.regs.store(a.u32(unix.NFTA_EXTHDR_DREG), unknown(max(1, int(a.u32(unix.NFTA_EXTHDR_LEN))), "the options of TCP"))
	case a.u32(unix.NFTA_EXTHDR_FLAGS)&present != 0:
		w.regs.store(a.u32(unix.NFTA_EXTHDR_DREG), known(0)) // ordinary packets have none
	default:
		return stops
	}
	return goOn
}
