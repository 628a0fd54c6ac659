package format

import (
	"math/bits"
	"net/netip"
	"strings"
)

// networks reads addresses, networks (192.0.2.0/24, with a mask too) and ranges
// (192.0.2.1-192.0.2.9), one a line. What follows a space, # or ; is a comment: this
// is also what netset files are.
type networks struct{}

func (networks) line(text, _ string, to *sink) outcome {
	if text == "" || strings.IndexByte("#;!", text[0]) >= 0 || strings.HasPrefix(text, "//") {
		return lineEmpty
	}
	p, why, ok := parseNetworks(text)
	if !ok {
		return wrong(why)
	}
	return takeAll(p, to, flags{})
}

func takeAll(ps []netip.Prefix, to *sink, f flags) outcome {
	for _, p := range ps {
		if o := to.network(p, f); o.kind != taken {
			return o
		}
	}
	return entryTaken
}

// parseNetworks reads the address, network or range that s begins with; a range
// becomes the networks that make it up.
func parseNetworks(s string) (ps []netip.Prefix, why string, ok bool) {
	if i := strings.IndexAny(s, "#;"); i >= 0 {
		s = strings.TrimSpace(s[:i])
	}
	if from, to, ok := strings.Cut(s, "-"); ok {
		to, _, _ = cutField(strings.TrimSpace(to))
		return parseRange(strings.TrimSpace(from), to)
	}
	s, _, _ = cutField(s)
	if s, _, _ = strings.Cut(s, ","); strings.Contains(s, "/") {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			p, ok = parseMask(s)
			if !ok {
				return nil, "not a network", false
			}
		}
		return []netip.Prefix{p}, "", true
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return nil, "not an address", false
	}
	return []netip.Prefix{netip.PrefixFrom(a.WithZone(""), a.BitLen())}, "", true
}

// parseMask reads 192.0.2.0/255.255.255.0.
func parseMask(s string) (netip.Prefix, bool) {
	a, m, _ := strings.Cut(s, "/")
	addr, err := netip.ParseAddr(a)
	mask, err2 := netip.ParseAddr(m)
	if err != nil || err2 != nil || !addr.Is4() || !mask.Is4() {
		return netip.Prefix{}, false
	}
	b := mask.As4()
	u := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	n := bits.LeadingZeros32(^u)
	if n < 32 && u<<n != 0 {
		return netip.Prefix{}, false
	}
	return netip.PrefixFrom(addr, n), true
}

func parseRange(from, to string) ([]netip.Prefix, string, bool) {
	a, err := netip.ParseAddr(from)
	b, err2 := netip.ParseAddr(to)
	if err != nil || err2 != nil || a.Zone() != "" || b.Zone() != "" || a.BitLen() != b.BitLen() {
		return nil, "not a range of addresses", false
	}
	if b.Less(a) {
		return nil, "a range that ends before it begins", false
	}
	return splitRange(a.Unmap(), b.Unmap()), "", true
}

// splitRange gives the fewest networks that hold exactly the addresses from a to b.
func splitRange(a, b netip.Addr) []netip.Prefix {
	var ps []netip.Prefix
	for {
		n := a.BitLen()
		for n > 0 {
			p := netip.PrefixFrom(a, n-1)
			if p.Masked().Addr() != a || b.Less(lastOf(p)) {
				break
			}
			n--
		}
		p := netip.PrefixFrom(a, n)
		ps = append(ps, p)
		l := lastOf(p)
		if !l.Less(b) {
			return ps
		}
		a = l.Next()
	}
}

// lastOf is the highest address of a network.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().As16()
	n := p.Bits()
	if p.Addr().Is4() {
		n += 96
	}
	for i := n; i < 128; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a := netip.AddrFrom16(b)
	if p.Addr().Is4() {
		return a.Unmap()
	}
	return a
}
