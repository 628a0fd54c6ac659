package ruleset

// Inversions of struct ipt_ip.
const (
	invIn, invOut, invSrc, invDst, invFrag, invProto = 0x01, 0x02, 0x08, 0x10, 0x20, 0x40
	fragFlag                                         = 0x01
)

func (h *legacyHead) matches(w *world) (truth, string) {
	p, s := &w.packet, h.shape
	inv := h.b.u8(s.invFlags)
	in, out := p.In.Name, p.Out.Name
	switch w.hook {
	case Output, Postrouting:
		in = ""
	case Prerouting, Input:
		out = ""
	}
	names := 4 * s.addrLen
	ok := h.addr(p.Src.Addr(), 0) != (inv&invSrc != 0) &&
		h.addr(p.Dst.Addr(), s.addrLen) != (inv&invDst != 0) &&
		h.device(in, names) != (inv&invIn != 0) &&
		h.device(out, names+16) != (inv&invOut != 0)
	if proto := h.b.u16(s.proto); proto != 0 {
		ok = ok && (proto == uint16(p.Protocol)) != (inv&invProto != 0)
	}
	if s.family == IPv4 && h.b.u8(s.flags)&fragFlag != 0 {
		ok = ok && inv&invFrag != 0
	}
	return truthOf(ok), ""
}

// addr compares with an address; the two masks stand behind the two addresses.
func (h *legacyHead) addr(a Addr, at int) bool {
	want, mask := h.b.bytes(at, h.shape.addrLen), h.b.bytes(at+2*h.shape.addrLen, h.shape.addrLen)
	for i, b := range a.AsSlice() {
		if i < len(want) && b&mask[i] != want[i]&mask[i] {
			return false
		}
	}
	return true
}

// device compares an interface's name under its mask, which allows names that end in +.
func (h *legacyHead) device(name string, at int) bool {
	got, want, mask := ifname(name), h.b.bytes(at, 16), h.b.bytes(at+32, 16)
	for i := range got {
		if (got[i]^want[i])&mask[i] != 0 {
			return false
		}
	}
	return true
}
