package ruleset

import (
	"encoding/binary"
	"net/netip"
	"strconv"
)

// passTargets neither decide nor change anything that a rule could match.
var passTargets = map[string]bool{
	"LOG": true, "NFLOG": true, "ULOG": true, "TCPMSS": true, "CHECKSUM": true, "CLASSIFY": true, "AUDIT": true,
	"TRACE": true, "TEE": true, "SET": true, "TOS": true, "DSCP": true, "TTL": true, "HL": true, "CT": true,
	"SECMARK": true, "CONNSECMARK": true, "IDLETIMER": true, "LED": true, "RATEEST": true, "TCPOPTSTRIP": true,
}

func (w *world) xtTarget(a attrs) verdict {
	m := extensionOf(a)
	p := &w.packet
	switch m.name {
	case "REJECT":
		return verdict{code: verdictReject}
	case "MARK":
		p.Mark = p.Mark&^m.info.u32(4) ^ m.info.u32(0)
		p.Rerouted = p.Rerouted || w.chain.reroutes()
		w.note(Mark, mark(p.Mark))
		return goOn
	case "CONNMARK":
		w.connmark(m.info)
		return goOn
	case "NOTRACK":
		p.State = Untracked
		w.note(Untrack, "")
		return goOn
	case "MASQUERADE":
		p.translated |= srcNAT
		return verdict{code: verdictAccept}
	case "SNAT", "DNAT", "REDIRECT":
		return w.xtNAT(m)
	case "NFQUEUE":
		return w.queue(strconv.Itoa(int(m.info.u16(0))))
	}
	if passTargets[m.name] {
		if m.name == "CT" && m.info.u16(0)&1 != 0 { // XT_CT_NOTRACK
			p.State = Untracked
			w.note(Untrack, "")
		}
		return goOn
	}
	if w.ask("the target " + m.name + " of iptables") {
		return verdict{code: verdictDrop}
	}
	return goOn
}

// connmark is struct xt_connmark_tginfo1: mark, masks and mode.
func (w *world) connmark(x xt) {
	const set, save, restore = 0, 1, 2
	p := &w.packet
	if !w.tracked() {
		return
	}
	switch x.u8(12) {
	case set:
		p.CTMark = p.CTMark&^x.u32(4) ^ x.u32(0)
	case save:
		p.CTMark = p.CTMark&^x.u32(4) ^ p.Mark&x.u32(8)
	case restore:
		p.Mark = p.Mark&^x.u32(8) ^ p.CTMark&x.u32(4)
		w.note(Mark, mark(p.Mark))
	}
}

// xtNAT reads struct nf_nat_range and, of older revisions for IPv4, its predecessor.
func (w *world) xtNAT(m extension) verdict {
	const mapIPs, mapPorts = 1, 2
	flagsAt, addrAt, portAt := 0, 4, 36
	if m.rev == 0 && w.packet.Family() == IPv4 { // struct nf_nat_ipv4_multi_range_compat
		flagsAt, addrAt, portAt = 4, 8, 16
	}
	flags := m.info.u32(flagsAt)
	var addr netip.Addr
	var port uint16
	if flags&mapIPs != 0 {
		addr = m.info.addr(addrAt, w.packet.Family())
	}
	if flags&mapPorts != 0 {
		port = binary.BigEndian.Uint16(m.info.bytes(portAt, 2))
	}
	switch m.name {
	case "SNAT":
		w.resource(addr)
	case "REDIRECT":
		w.redirect(port)
	default:
		w.divert(addr, port)
	}
	return verdict{code: verdictAccept}
}
