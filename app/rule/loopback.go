package rule

import (
	"net/netip"
	"strings"
)

// localhost is the name of this machine to itself (RFC 6761, section 6.3).
const localhost = "localhost"

var (
	loopback4 = netip.MustParsePrefix("127.0.0.0/8")
	loopback6 = netip.MustParsePrefix("::1/128")
)

// Localhost is the name by which rules know what a machine says to itself, at an address
// that no program looked up.
func Localhost() string { return localhost }

// Touch says which rules may be about loopback addresses.
type Touch struct {
	Addrs bool // a rule with an address, network or range of them, or the name localhost
	Names bool // a rule with any other name, which may lead to one of them
}

// Loopback finds the rules of the Set that decide, by what they name, about loopback
// addresses. Rules that have ended may be among them: they do no harm there.
func (s *Set) Loopback() Touch {
	var t Touch
	for i := range s.ranked {
		r := &s.ranked[i].Remote
		switch {
		case r.touchesLoopback():
			t.Addrs = true
		case r.Name != "" || r.Domain != "":
			t.Names = true
		}
	}
	return t
}

func (r *Remote) touchesLoopback() bool {
	switch {
	case r.Name != "":
		return r.Name == localhost || strings.HasSuffix(r.Name, "."+localhost)
	case r.Domain != "":
		return inDomain(localhost, r.Domain) || strings.HasSuffix(r.Domain, "."+localhost)
	case r.Address.IsValid():
		return r.Address.IsLoopback()
	case r.Network.IsValid():
		return r.Network.Overlaps(loopback4) || r.Network.Overlaps(loopback6)
	case r.Range != AddrRange{}:
		return r.Range.overlaps(loopback4) || r.Range.overlaps(loopback6)
	}
	return false
}

func (r AddrRange) overlaps(p netip.Prefix) bool {
	if r.From.BitLen() != p.Addr().BitLen() {
		return false
	}
	return r.Contains(p.Addr()) || p.Contains(r.From)
}
