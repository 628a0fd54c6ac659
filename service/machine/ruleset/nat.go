package ruleset

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"
)

// nat changes an address as the rule says; the packet then leaves the chain.
func (w *world) nat(e *expression) verdict {
	const dnat = 1
	switch {
	case e.name == "masq":
		w.packet.translated |= srcNAT
	case e.name == "redir":
		w.redirect(w.natPort(e.attrs, unix.NFTA_REDIR_REG_PROTO_MIN))
	case e.u32(unix.NFTA_NAT_TYPE) == dnat:
		w.divert(w.natAddr(e.attrs), w.natPort(e.attrs, unix.NFTA_NAT_REG_PROTO_MIN))
	default:
		w.resource(w.natAddr(e.attrs))
	}
	return verdict{code: verdictAccept}
}

func (w *world) natAddr(a attrs) netip.Addr {
	if !a.has(unix.NFTA_NAT_REG_ADDR_MIN) {
		return netip.Addr{}
	}
	n := 4
	if w.packet.Family() == IPv6 {
		n = 16
	}
	v := w.regs.load(a.u32(unix.NFTA_NAT_REG_ADDR_MIN), n)
	addr, _ := netip.AddrFromSlice(v.lo)
	return addr
}

func (w *world) natPort(a attrs, kind uint16) uint16 {
	if !a.has(kind) {
		return 0
	}
	return binary.BigEndian.Uint16(w.regs.load(a.u32(kind), 2).lo)
}

// redirect sends the packet to this machine itself.
func (w *world) redirect(port uint16) {
	addr := w.packet.Dst.Addr()
	if w.hook == Output {
		addr = netip.AddrFrom4([4]byte{127, 0, 0, 1})
		if w.packet.Family() == IPv6 {
			addr = netip.IPv6Loopback()
		}
	}
	w.divert(addr, port)
}

// divert sends the packet elsewhere; what is zero stays as it is.
func (w *world) divert(addr netip.Addr, port uint16) {
	p := &w.packet
	if !addr.IsValid() {
		addr = p.Dst.Addr()
	}
	if port == 0 {
		port = p.Dst.Port()
	}
	p.Dst = netip.AddrPortFrom(addr, port)
	p.translated |= dstNAT
	w.note(Translate, p.Dst.String())
}

// resource has the packet come from another address.
func (w *world) resource(addr netip.Addr) {
	p := &w.packet
	p.translated |= srcNAT
	if addr.IsValid() {
		p.Src = netip.AddrPortFrom(addr, p.Src.Port())
		w.note(Translate, addr.String())
	}
}
