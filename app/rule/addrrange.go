package rule

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"net/netip"
	"strings"
)

var errNotRange = errors.New("not a range of addresses such as 10.0.0.1-10.0.0.9")

// ParseAddrRange reads two addresses of one family with a hyphen between them, the
// smaller first.
func ParseAddrRange(s string) (AddrRange, error) {
	from, to, ok := strings.Cut(s, "-")
	if !ok {
		return AddrRange{}, fmt.Errorf("%q is %w", s, errNotRange)
	}
	f, err1 := parseAddress(strings.TrimSpace(from))
	t, err2 := parseAddress(strings.TrimSpace(to))
	if err1 != nil || err2 != nil {
		return AddrRange{}, fmt.Errorf("%q is %w", s, errNotRange)
	}
	r := AddrRange{f, t}
	return r, r.check()
}

func (r AddrRange) check() error {
	switch {
	case !r.From.IsValid() || !r.To.IsValid():
		return badf("the range has one end only: give both addresses")
	case r.From.Zone() != "" || r.To.Zone() != "":
		return badf("%s names an interface: leave out what follows %%", r)
	case r.From.Is4() != r.To.Is4():
		return badf("%s has an IPv4 and an IPv6 address: make a rule for each", r)
	case r.To.Less(r.From):
		return badf("%s is the wrong way round: write %s-%s", r, r.To, r.From)
	}
	return nil
}

func (r AddrRange) String() string { return r.From.String() + "-" + r.To.String() }

// MarshalText writes what ParseAddrRange reads, nothing for the zero range.
func (r AddrRange) MarshalText() ([]byte, error) {
	if r == (AddrRange{}) {
		return nil, nil
	}
	return []byte(r.String()), nil
}

// UnmarshalText reads what ParseAddrRange reads.
func (r *AddrRange) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*r = AddrRange{}
		return nil
	}
	v, err := ParseAddrRange(string(b))
	if err == nil {
		*r = v
	}
	return err
}

// Contains reports whether a, which has no zone and is not IPv4 in IPv6, is in r,
// whose ends are of one family.
func (r AddrRange) Contains(a netip.Addr) bool {
	return a.Is4() == r.From.Is4() && a.IsValid() && r.From.Compare(a) <= 0 && a.Compare(r.To) <= 0
}

// span is the number of addresses in a range, less one.
type span struct{ hi, lo uint64 }

func (s span) compare(t span) int {
	switch {
	case s == t:
		return 0
	case s.hi < t.hi || s.hi == t.hi && s.lo < t.lo:
		return -1
	}
	return 1
}

func (r AddrRange) span() span {
	fh, fl := halves(r.From)
	th, tl := halves(r.To)
	lo, borrow := bits.Sub64(tl, fl, 0)
	hi, _ := bits.Sub64(th, fh, borrow)
	return span{hi, lo}
}

func networkSpan(p netip.Prefix) span { return hostSpan(p.Addr().BitLen() - p.Bits()) }

// hostSpan is the span of a block of addresses that differ in their last bits.
func hostSpan(host int) span {
	switch {
	case host >= 128:
		return span{^uint64(0), ^uint64(0)}
	case host > 64:
		return span{1<<(host-64) - 1, ^uint64(0)}
	case host == 64:
		return span{0, ^uint64(0)}
	}
	return span{0, 1<<host - 1}
}

// halves is a as a number, in the space of IPv6.
func halves(a netip.Addr) (hi, lo uint64) {
	b := a.As16()
	return binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
}

func fromHalves(hi, lo uint64, v4 bool) netip.Addr {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], hi)
	binary.BigEndian.PutUint64(b[8:], lo)
	a := netip.AddrFrom16(b)
	if v4 {
		return a.Unmap()
	}
	return a
}

// prefixes gives the fewest networks that together are r.
func (r AddrRange) prefixes() (nets []netip.Prefix) {
	v4 := r.From.Is4()
	hi, lo := halves(r.From)
	eh, el := halves(r.To)
	for {
		// The largest block that begins here and does not end after To. IPv4 is held as
		// ::ffff:0:0/96, which bounds its blocks to 32 bits.
		host := trailingZeros(hi, lo)
		for host > 0 && blockEndsAfter(hi, lo, host, eh, el) {
			host--
		}
		a := fromHalves(hi, lo, v4)
		nets = append(nets, netip.PrefixFrom(a, a.BitLen()-host))
		lh, ll := blockEnd(hi, lo, host)
		if lh == eh && ll == el {
			return nets
		}
		var carry uint64
		lo, carry = bits.Add64(ll, 1, 0)
		hi, _ = bits.Add64(lh, 0, carry)
	}
}

func trailingZeros(hi, lo uint64) int {
	if lo != 0 {
		return bits.TrailingZeros64(lo)
	}
	return 64 + bits.TrailingZeros64(hi)
}

func blockEnd(hi, lo uint64, host int) (uint64, uint64) {
	s := hostSpan(host)
	return hi | s.hi, lo | s.lo
}

func blockEndsAfter(hi, lo uint64, host int, eh, el uint64) bool {
	bh, bl := blockEnd(hi, lo, host)
	return bh > eh || bh == eh && bl > el
}
