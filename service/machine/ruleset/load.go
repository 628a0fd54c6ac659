package ruleset

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"syscall"

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

func ifname(s string) []byte {
	b := make([]byte, unix.IFNAMSIZ)
	copy(b, s)
	return b
}

// Keys of nft_ct_keys.
const (
	ctState = iota
	ctDirection
	ctStatus
	ctMark
	ctSecmark
	ctExpiration
	ctHelper
	ctL3Protocol
	ctSrc
	ctDst
	ctProtocol
	ctProtoSrc
	ctProtoDst
	ctZone  = 17
	ctSrcIP = 19
	ctDstIP = 20
	ctSrc6  = 21
	ctDst6  = 22
)

func (w *world) ct(a attrs) verdict {
	key := a.u32(unix.NFTA_CT_KEY)
	if a.has(unix.NFTA_CT_SREG) {
		if v := w.regs.load(a.u32(unix.NFTA_CT_SREG), 4); key == ctMark && w.tracked() && v.isKnown() {
			w.packet.CTMark = binary.NativeEndian.Uint32(v.lo)
		}
		return goOn
	}
	if key == ctState {
		w.regs.store(a.u32(unix.NFTA_CT_DREG), known(native(w.stateBits())...))
		return goOn
	}
	if !w.tracked() {
		return stops
	}
	v, ok := w.ctValue(key, a)
	if !ok {
		return stops
	}
	w.regs.store(a.u32(unix.NFTA_CT_DREG), v)
	return goOn
}

func (w *world) tracked() bool { return w.tracks && w.packet.State != Untracked }

// stateBits are those of NF_CT_STATE_BIT: a packet that no one has looked at is invalid.
func (w *world) stateBits() uint32 {
	const invalid, established, fresh, untracked = 1, 2, 8, 64
	switch {
	case w.packet.State == Untracked:
		return untracked
	case !w.tracks:
		return invalid
	case w.packet.State == Established:
		return established
	}
	return fresh
}

func (w *world) ctValue(key uint32, a attrs) (value, bool) {
	p := &w.packet
	begin, end := p.Begin, p.End
	if a.has(unix.NFTA_CT_DIRECTION) && a.number(unix.NFTA_CT_DIRECTION) == 1 {
		begin, end = end, begin
	}
	switch key {
	case ctDirection:
		return known(byte(both01(p.Answer))), true
	case ctStatus:
		return known(native(p.ctStatus())...), true
	case ctMark:
		return known(native(p.CTMark)...), true
	case ctHelper, ctExpiration:
		return value{}, false
	case ctL3Protocol:
		return known(byte(p.Family())), true
	case ctProtocol:
		return known(p.Protocol), true
	case ctSrc, ctSrcIP, ctSrc6:
		return known(begin.Addr().AsSlice()...), true
	case ctDst, ctDstIP, ctDst6:
		return known(end.Addr().AsSlice()...), true
	case ctProtoSrc:
		return p.port(begin.Port(), "the source port"), true
	case ctProtoDst:
		return p.port(end.Port(), "the destination port"), true
	case ctZone:
		return known(0, 0), true
	}
	return unknown(16, "a property of the connection"), true
}

func both01(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Bits of nf_conntrack's status.
const (
	seenReply = 1 << 1
	assured   = 1 << 2
	confirmed = 1 << 3
	srcNAT    = 1 << 4
	dstNAT    = 1 << 5
)

func (p *Packet) ctStatus() uint32 {
	s := uint32(p.translated)
	if p.State == Established {
		s |= seenReply | confirmed
		if !p.Answer {
			s |= assured
		}
	}
	return s
}

func (w *world) lookRoute(a attrs) verdict {
	flags, dreg := a.u32(unix.NFTA_FIB_FLAGS), a.u32(unix.NFTA_FIB_DREG)
	addr := w.packet.Dst.Addr()
	if flags&unix.NFTA_FIB_F_SADDR != 0 {
		addr = w.packet.Src.Addr()
	}
	if a.u32(unix.NFTA_FIB_RESULT) == unix.NFT_FIB_RESULT_ADDRTYPE {
		kind, ok := w.fib.Type(addr)
		v := known(native(kind)...)
		if !ok {
			v = unknown(4, "the kind of the address "+addr.String())
		}
		w.regs.store(dreg, v)
		return goOn
	}
	w.regs.store(dreg, w.fibOut(a, addr, flags))
	return goOn
}

// fibOut is the interface that packets to an address leave by; asked with the interface
// that the packet came in through, it is that or none.
func (w *world) fibOut(a attrs, addr Addr, flags uint32) value {
	index, ok := w.fib.Out(addr)
	byName := a.u32(unix.NFTA_FIB_RESULT) == unix.NFT_FIB_RESULT_OIFNAME
	name := ""
	switch in := w.packet.In; {
	case !ok:
		return unknown(16, "the route to "+addr.String())
	case flags&unix.NFTA_FIB_F_IIF != 0 && index != in.Index:
		index = 0
	case index == in.Index:
		name = in.Name
	case byName:
		return unknown(16, "the route to "+addr.String())
	}
	if flags&unix.NFTA_FIB_F_PRESENT != 0 {
		return known(byte(both01(index != 0)))
	}
	if byName {
		return known(ifname(name)...)
	}
	return known(native(uint32(index))...)
}

// Attributes of nft_socket_attributes.
const (
	socketKey   = 1
	socketDreg  = 2
	socketLevel = 3
)

func (w *world) socket(a attrs) verdict {
	const key, dreg, level, cgroupv2 = socketKey, socketDreg, socketLevel, 3
	o := w.packet.Owner
	switch {
	case w.hook == Input || w.hook == Prerouting:
		return w.when(maybe, "whether the packet's socket is found already")
	case !o.Known:
		return stops
	case a.u32(key) != cgroupv2:
		w.regs.store(a.u32(dreg), unknown(4, "a property of the socket"))
		return goOn
	}
	id, deep, ok := cgroupAt(o.Cgroup, int(a.u32(level)))
	switch {
	case !ok:
		w.regs.store(a.u32(dreg), unknown(8, "the program's control group"))
	case !deep:
		return stops
	default:
		w.regs.store(a.u32(dreg), known(binary.NativeEndian.AppendUint64(nil, id)...))
	}
	return goOn
}

// cgroupAt is the number of a cgroup's ancestor at a level below the root; deep is false
// if it lies higher itself.
func cgroupAt(dir string, level int) (id uint64, deep, ok bool) {
	var path []string
	for d := dir; d != "" && d != "/" && d != "."; d = filepath.Dir(d) {
		var fs unix.Statfs_t
		if unix.Statfs(d, &fs) != nil || fs.Type != unix.CGROUP2_SUPER_MAGIC {
			break
		}
		path = append([]string{d}, path...)
	}
	if len(path) == 0 {
		return 0, false, false
	}
	if level >= len(path) {
		return 0, false, true
	}
	info, err := os.Stat(path[level])
	if err != nil {
		return 0, false, false
	}
	st, isStat := info.Sys().(*syscall.Stat_t)
	return st.Ino, true, isStat && strings.HasPrefix(dir, "/")
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
