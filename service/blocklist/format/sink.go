package format

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"
)

// outcome is what became of a line.
type outcome struct {
	kind kind
	why  string
}

type kind uint8

const (
	taken   kind = iota
	empty        // nothing or a comment
	left         // understood, and nothing that a firewall could do
	broken       // not understood
	hostile      // would cut the machine off: the list isn't to be trusted
)

var (
	entryTaken = outcome{kind: taken}
	lineEmpty  = outcome{kind: empty}
)

func leave(why string) outcome { return outcome{left, why} }
func wrong(why string) outcome { return outcome{broken, why} }

// parser reads a text line by line; text has no line end and no space around it, but
// for the RPZ parser, which looks at raw.
type parser interface {
	line(text, raw string, to *sink) outcome
}

// sink judges entries and hands on the good ones.
type sink struct {
	emit    func(Entry)
	guarded []string
}

// flags of a name as the formats give them.
type flags struct{ exact, below, exception, overrides bool }

var (
	exactly = flags{exact: true}
	whole   = flags{exact: true, below: true}
)

// name takes a host name; one that is an address is taken as that.
func (s *sink) name(text string, f flags) outcome {
	if a, err := netip.ParseAddr(text); err == nil {
		return s.network(netip.PrefixFrom(a, a.BitLen()), f)
	}
	n, ok := cleanName(text)
	if !ok {
		return wrong("not a host name")
	}
	if f.exception {
		s.emit(Entry{Name: n, Exact: f.exact, Below: f.below, Exception: true, Overrides: f.overrides})
		return entryTaken
	}
	if local(n) {
		return ofThisMachine(n)
	}
	if !strings.Contains(n, ".") {
		if f.below {
			return outcome{hostile, "every name under ." + n + " would be blocked"}
		}
		return leave("one word is no name of the Internet")
	}
	if f.below {
		// Good lists have single ones of these, gathered by programs.
		if suffix, icann := publicsuffix.PublicSuffix(n); icann && suffix == n {
			return leave("every name under ." + n + " would be blocked")
		}
	}
	for _, g := range s.guarded {
		if f.exact && n == g || f.below && under(g, n) {
			return outcome{hostile, n + " would stop updates, which come from " + g}
		}
	}
	s.emit(Entry{Name: n, Exact: f.exact, Below: f.below})
	return entryTaken
}

// under says whether name is below domain; both are clean.
func under(name, domain string) bool {
	return len(name) > len(domain) && strings.HasSuffix(name, domain) && name[len(name)-len(domain)-1] == '.'
}

// network takes a network; zones and host bits are dropped.
func (s *sink) network(p netip.Prefix, f flags) outcome {
	a := p.Addr().WithZone("")
	bits := p.Bits()
	if a.Is4In6() && bits >= 96 {
		a, bits = a.Unmap(), bits-96
	}
	p = netip.PrefixFrom(a, bits).Masked()
	if !p.IsValid() {
		return wrong("not a network")
	}
	if f.exception {
		s.emit(Entry{Network: p, Exception: true, Overrides: f.overrides})
		return entryTaken
	}
	if slices.ContainsFunc(ofNoHost, func(n netip.Prefix) bool { return n.Bits() <= p.Bits() && n.Contains(p.Addr()) }) {
		return leave("an address of no host on the Internet")
	}
	if bits < widest4 && a.Is4() || bits < widest6 && a.Is6() {
		if bits == 0 {
			return outcome{hostile, p.String() + " would block every address"}
		}
		return outcome{hostile, p.String() + " would block too much of the Internet"}
	}
	if a.Is6() && !global6.Contains(a) {
		return leave("an address of no host on the Internet")
	}
	s.emit(Entry{Network: p})
	return entryTaken
}

// A network of a list is at most so wide: no owner on the Internet has a wider one.
const (
	widest4 = 8
	widest6 = 16
)

var global6 = netip.MustParsePrefix("2000::/3")

// ofNoHost are the networks that lists of unassigned addresses name rightly, and that
// a firewall for a desktop mustn't block: this machine, its network, its neighbours.
var ofNoHost = prefixes("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
	"172.16.0.0/12", "192.168.0.0/16", "224.0.0.0/3", "::/8", "fc00::/7", "fe80::/10", "ff00::/8")

func prefixes(s ...string) []netip.Prefix {
	var ps []netip.Prefix
	for _, p := range s {
		ps = append(ps, netip.MustParsePrefix(p))
	}
	return ps
}

// OfNoHost says whether a is an address that no list may block: this machine's, its
// local network's, or one of no single host.
func OfNoHost(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	return a.Is6() && !global6.Contains(a) ||
		slices.ContainsFunc(ofNoHost, func(n netip.Prefix) bool { return n.Contains(a) })
}

// local says whether a clean name means this machine or its own network.
func local(n string) bool {
	switch n {
	case "localhost", "localhost.localdomain", "localdomain", "local", "broadcasthost",
		"ip6-localhost", "ip6-loopback", "ip6-localnet", "ip6-mcastprefix", "ip6-allnodes", "ip6-allrouters", "ip6-allhosts":
		return true
	}
	return strings.HasSuffix(n, ".localhost") || strings.HasSuffix(n, ".local") || strings.HasSuffix(n, ".localdomain")
}

// ofThisMachine judges a local name that a list blocks: the machine's own name is never
// there by mistake; good lists have single ones of made-up names below .local.
func ofThisMachine(n string) outcome {
	const why = " is this machine itself or its local network"
	if n == "localhost" || n == "localhost.localdomain" || !strings.Contains(n, ".") {
		return outcome{hostile, n + why}
	}
	return leave("a name of" + strings.TrimPrefix(why, " is"))
}

// CleanName gives a host name in lower case and ASCII, without a dot at its end, or
// false if it is none.
func CleanName(s string) (string, bool) { return cleanName(s) }

func cleanName(s string) (string, bool) {
	s = strings.TrimSuffix(s, ".")
	if s == "" || len(s) > 4*253 {
		return "", false
	}
	lower := true
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			a, err := idna.Lookup.ToASCII(s)
			if err != nil {
				return "", false
			}
			s, lower = a, false
			break
		}
		if 'A' <= s[i] && s[i] <= 'Z' {
			lower = false
		}
	}
	if !lower {
		s = strings.ToLower(s)
	}
	return s, isName(s)
}

// isName judges a name in lower case.
func isName(s string) bool {
	if len(s) > 253 {
		return false
	}
	start, digits := 0, true
	for i := 0; i <= len(s); i++ {
		if i == len(s) || s[i] == '.' {
			if i == start || i-start > 63 || s[start] == '-' || s[i-1] == '-' {
				return false
			}
			if i < len(s) {
				start, digits = i+1, true
			}
			continue
		}
		switch c := s[i]; {
		case '0' <= c && c <= '9':
		case 'a' <= c && c <= 'z', c == '-', c == '_':
			digits = false
		default:
			return false
		}
	}
	return !digits // a last label of digits is an address that went wrong
}

func itoa(n int) string { return strconv.Itoa(n) }
