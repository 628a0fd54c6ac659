package ruleset

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"
)

// xt is the information of an extension of iptables: a struct of C in the host's order.
type xt []byte

func (x xt) u8(at int) uint8 {
	if at < len(x) {
		return x[at]
	}
	return 0
}

func (x xt) u16(at int) uint16 {
	if at+2 <= len(x) {
		return binary.NativeEndian.Uint16(x[at:])
	}
	return 0
}

func (x xt) u32(at int) uint32 {
	if at+4 <= len(x) {
		return binary.NativeEndian.Uint32(x[at:])
	}
	return 0
}

func (x xt) bytes(at, n int) []byte {
	if at+n <= len(x) {
		return x[at : at+n]
	}
	return make([]byte, n)
}

// addr is union nf_inet_addr.
func (x xt) addr(at int, f Family) netip.Addr {
	n := 4
	if f == IPv6 {
		n = 16
	}
	a, _ := netip.AddrFromSlice(x.bytes(at, n))
	return a
}

// ports relates a port to a range of xt_tcp and xt_udp.
func (x xt) ports(at int, p value) truth {
	return p.within(binary.BigEndian.AppendUint16(nil, x.u16(at)), binary.BigEndian.AppendUint16(nil, x.u16(at+2)))
}

func (t truth) invert(b bool) truth {
	if b {
		return t.not()
	}
	return t
}

func (t truth) and(u truth) truth {
	switch {
	case t == no || u == no:
		return no
	case t == yes && u == yes:
		return yes
	}
	return maybe
}

func (t truth) or(u truth) truth { return t.not().and(u.not()).not() }

// extension is a match of iptables by its name and revision.
type extension struct {
	name string
	rev  uint32
	info xt
}

func extensionOf(a attrs) extension {
	return extension{a.text(unix.NFTA_MATCH_NAME), a.u32(unix.NFTA_MATCH_REV), a[unix.NFTA_MATCH_INFO]}
}

// xtMatch says whether a match of iptables is true of the packet, or why that can't be told.
func (w *world) xtMatch(a attrs) (truth, string) {
	m := extensionOf(a)
	p := &w.packet
	sport, dport := p.port(p.Src.Port(), "the source port"), p.port(p.Dst.Port(), "the destination port")
	switch m.name {
	case "comment":
		return yes, ""
	case "tcp":
		return m.tcp(p, sport, dport), "the source port or the options of TCP"
	case "udp", "udplite":
		return truthOf(p.Protocol == unix.IPPROTO_UDP || p.Protocol == unix.IPPROTO_UDPLITE).
			and(m.info.ports(0, sport).invert(m.info.u8(8)&1 != 0)).and(m.info.ports(4, dport).invert(m.info.u8(8)&2 != 0)), "the source port"
	case "multiport":
		return m.multiport(sport, dport), "the source port"
	case "icmp", "icmp6":
		return m.icmp(p), ""
	case "state":
		return truthOf(xtState(w)&m.info.u32(0) != 0), ""
	case "conntrack":
		return m.conntrack(w)
	case "mark":
		return truthOf(p.Mark&m.info.u32(4) == m.info.u32(0)).invert(m.info.u8(8) != 0), ""
	case "connmark":
		return truthOf(w.tracked() && p.CTMark&m.info.u32(4) == m.info.u32(0)).invert(m.info.u8(8) != 0), ""
	case "owner":
		return m.owner(w)
	case "addrtype":
		return m.addrType(w)
	case "iprange":
		return m.ipRange(p), ""
	case "pkttype":
		return truthOf(uint32(w.packetType()) == m.info.u32(0)).invert(m.info.u32(4) != 0), ""
	case "limit", "hashlimit":
		return maybe, "a limit"
	case "recent":
		return maybe, "whom the kernel saw lately (recent)"
	}
	return maybe, "the match " + m.name + " of iptables"
}

func (m extension) tcp(p *Packet, sport, dport value) truth {
	const srcInv, dstInv, flagsInv, optionInv = 1, 2, 4, 8
	inv := m.info.u8(11)
	t := truthOf(p.Protocol == unix.IPPROTO_TCP).
		and(m.info.ports(0, sport).invert(inv&srcInv != 0)).
		and(m.info.ports(4, dport).invert(inv&dstInv != 0)).
		and(truthOf(p.TCPFlags&m.info.u8(9) == m.info.u8(10)).invert(inv&flagsInv != 0))
	if m.info.u8(8) != 0 {
		t = t.and(maybe)
	}
	return t
}

func (m extension) multiport(sport, dport value) truth {
	const source, destination = 0, 1
	any := func(p value) truth {
		t := no
		for i := 0; i < int(m.info.u8(1)) && i < 15; i++ {
			from := m.info.u16(2 + 2*i)
			to := from
			if m.rev >= 1 && m.info.u8(32+i) != 0 {
				i++
				to = m.info.u16(2 + 2*i)
			}
			t = t.or(p.within(binary.BigEndian.AppendUint16(nil, from), binary.BigEndian.AppendUint16(nil, to)))
		}
		return t
	}
	var t truth
	switch m.info.u8(0) {
	case source:
		t = any(sport)
	case destination:
		t = any(dport)
	default:
		t = any(sport).or(any(dport))
	}
	return t.invert(m.rev >= 1 && m.info.u8(47) != 0)
}

func (m extension) icmp(p *Packet) truth {
	const anyType = 0xff
	kind := m.info.u8(0)
	t := truthOf(kind == anyType && m.name == "icmp" || kind == p.echo() && m.info.u8(1) == 0)
	return truthOf(p.Protocol == unix.IPPROTO_ICMP || p.Protocol == unix.IPPROTO_ICMPV6).and(t.invert(m.info.u8(3)&1 != 0))
}

// xtState is the packet's bit of XT_CONNTRACK_STATE, with those of translations.
func xtState(w *world) uint32 {
	const invalid, established, fresh, snat, dnat, untracked = 1, 2, 8, 1 << 6, 1 << 7, 1 << 8
	var s uint32
	switch {
	case w.packet.State == Untracked:
		return untracked
	case !w.tracks || w.packet.State == Invalid:
		return invalid
	case w.packet.State == Established:
		s = established
	default:
		s = fresh
	}
	if w.packet.translated&srcNAT != 0 {
		s |= snat
	}
	if w.packet.translated&dstNAT != 0 {
		s |= dnat
	}
	return s
}

// conntrack is revisions 1 to 3 of xt_conntrack.
func (m extension) conntrack(w *world) (truth, string) {
	const state, proto, origSrc, origDst, status, direction = 1, 2, 4, 8, 64, 1 << 12
	match, invert := m.info.u16(146), m.info.u16(148)
	mask := uint32(m.info.u8(150))
	statusMask := uint32(m.info.u8(151))
	if m.rev >= 2 {
		mask, statusMask = uint32(m.info.u16(150)), uint32(m.info.u16(152))
	}
	t := yes
	is := func(flag uint16, b bool) {
		if match&flag != 0 {
			t = t.and(truthOf(b).invert(invert&flag != 0))
		}
	}
	p := &w.packet
	is(state, xtState(w)&mask != 0)
	if match&^state == 0 {
		return t, ""
	}
	if !w.tracked() {
		return truthOf(match&state != 0).and(t), ""
	}
	is(proto, uint16(p.Protocol) == m.info.u16(136))
	is(origSrc, masked(p.Begin.Addr(), m.info, 0, p.Family()))
	is(origDst, masked(p.End.Addr(), m.info, 32, p.Family()))
	is(status, p.ctStatus()&statusMask != 0)
	is(direction, !p.replies())
	const told = state | proto | origSrc | origDst | status | direction | 1<<13
	if rest := match &^ told; rest != 0 {
		return t.and(maybe), "a property of the connection"
	}
	return t, ""
}

// masked compares an address with one of a struct, which its mask follows.
func masked(a netip.Addr, x xt, at int, f Family) bool {
	got, want, mask := a.AsSlice(), x.addr(at, f).AsSlice(), x.addr(at+16, f).AsSlice()
	for i := range got {
		if got[i]&mask[i] != want[i]&mask[i] {
			return false
		}
	}
	return true
}

func (m extension) owner(w *world) (truth, string) {
	const uid, gid, socket = 1, 2, 4
	o := w.packet.Owner
	match, inv := m.info.u8(16), m.info.u8(17)
	if !o.Known {
		// Without a socket it matches if every condition is turned round.
		return truthOf(match == inv), ""
	}
	t := truthOf(match&socket == 0 || inv&socket == 0)
	if match&uid != 0 {
		t = t.and(truthOf(o.UID >= m.info.u32(0) && o.UID <= m.info.u32(4)).invert(inv&uid != 0))
	}
	if match&gid != 0 {
		t = t.and(truthOf(o.GID >= m.info.u32(8) && o.GID <= m.info.u32(12)).invert(inv&gid != 0))
	}
	return t, ""
}

func (m extension) addrType(w *world) (truth, string) {
	const invertSrc, invertDst, limitIn, limitOut = 1, 2, 4, 8
	flags := m.info.u32(4)
	if m.rev == 0 {
		flags = m.info.u32(4)&1 | m.info.u32(8)&1<<1
	}
	is := func(a netip.Addr, mask uint16, inverted bool) truth {
		if mask == 0 {
			return yes
		}
		kind, ok := w.fib.Type(a)
		if !ok {
			return maybe
		}
		return truthOf(mask&(1<<kind) != 0).invert(inverted)
	}
	t := is(w.packet.Src.Addr(), m.info.u16(0), flags&invertSrc != 0).and(is(w.packet.Dst.Addr(), m.info.u16(2), flags&invertDst != 0))
	if flags&(limitIn|limitOut) != 0 && m.rev > 0 {
		return t.and(maybe), "whether the address is of the interface"
	}
	return t, "the kind of an address"
}

func (m extension) ipRange(p *Packet) truth {
	const src, dst, srcInv, dstInv = 1, 2, 0x10, 0x20
	flags, f := m.info.u8(64), p.Family()
	in := func(a netip.Addr, at int) bool {
		return a.Compare(m.info.addr(at, f)) >= 0 && a.Compare(m.info.addr(at+16, f)) <= 0
	}
	t := yes
	if flags&src != 0 {
		t = t.and(truthOf(in(p.Src.Addr(), 0)).invert(flags&srcInv != 0))
	}
	if flags&dst != 0 {
		t = t.and(truthOf(in(p.Dst.Addr(), 32)).invert(flags&dstInv != 0))
	}
	return t
}
