package ruleset

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

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
	if w.bridged { // bridges track connections only if they are told to
		w.regs.store(a.u32(unix.NFTA_CT_DREG), unknown(16, "whether the bridge tracks connections"))
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

func (w *world) tracked() bool {
	return w.tracks && w.packet.State != Untracked && w.packet.State != Invalid
}

// stateBits are those of NF_CT_STATE_BIT: a packet that no one has looked at is invalid.
func (w *world) stateBits() uint32 {
	const invalid, established, fresh, untracked = 1, 2, 8, 64
	switch {
	case w.packet.State == Untracked:
		return untracked
	case !w.tracks || w.packet.State == Invalid:
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
		return known(byte(both01(p.replies()))), true
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

// replies reports whether connection tracking takes p for an answer.
func (p *Packet) replies() bool { return p.Answer && p.State == Established }

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
