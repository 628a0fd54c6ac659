package network

import (
	"cmp"
	"slices"
	"strings"
	"unicode"
)

// connection is what NetworkManager says of a link.
type connection struct {
	uuid, name string
	kind       Kind
	ssid       string
	keyed      bool // the Wi-Fi has a key or asks who one is
}

// manager is what NetworkManager says of all.
type manager struct {
	links map[string]connection // by the link's name
	vpn   *connection           // of a plug-in, whose link NetworkManager doesn't name
}

// vpnKinds are the kernel's names of links that lead somewhere by another link.
var vpnKinds = []string{"tun", "tuntap", "wireguard", "xfrm", "vti", "vti6", "ovpn", "ovpn-dco"}

func isVPN(kind string) bool { return slices.Contains(vpnKinds, kind) }

// identify makes networks of the links that are up and have an address, the primary first.
func identify(s *snapshot, m manager) []Network {
	var all []Network
	primary := s.primary()
	for i := range s.links {
		l := &s.links[i]
		if !l.running || l.master != 0 || len(l.prefixes) == 0 {
			continue
		}
		n := s.network(l, m)
		n.Link, n.Index, n.Primary, n.prefixes = l.name, l.index, l.index == primary, l.prefixes
		if n.Name = clean(n.Name); n.Name == "" {
			n.Name = l.name
		}
		all = append(all, n)
	}
	slices.SortFunc(all, func(a, b Network) int {
		return cmp.Or(compareBool(b.Primary, a.Primary), cmp.Compare(a.Index, b.Index))
	})
	return all
}

// primary is the link of the default route, of IPv4 if there is one; 0 without any.
func (s *snapshot) primary() int {
	best := -1
	for i := range s.routes {
		r := &s.routes[i]
		if r.isDefault() && (best < 0 || s.routes[best].to.Addr().Is6() && r.to.Addr().Is4()) {
			best = i
		}
	}
	if best < 0 {
		return 0
	}
	return s.routes[best].link
}

func (s *snapshot) network(l *link, m manager) Network {
	c, managed := m.links[l.name]
	mac, through := s.gatewayOf(l.index)
	if isVPN(l.kind) || managed && c.kind == VPN || l.kind == "ppp" && !managed && m.vpn != nil {
		return vpn(l, c, managed, m.vpn)
	}
	if s.virtual(l) && !through {
		return Network{ID: "local:" + l.name, Kind: Virtual}
	}
	n := Network{Kind: Wired, Gateway: mac, Weak: true}
	switch {
	case managed && c.kind == Wifi && c.keyed:
		n.ID, n.Weak, n.Gateway = "nm:"+c.uuid, false, ""
	case managed && c.kind == Mobile:
		n.ID, n.Gateway = "nm:"+c.uuid, ""
	case mac == "":
	case managed:
		n.ID = "nm:" + c.uuid + "/" + mac
	default:
		n.ID = "gateway:" + mac
	}
	if managed {
		n.Kind, n.Name, n.SSID = c.kind, c.name, clean(c.ssid)
	}
	return n
}

// vpn is known by NetworkManager's connection, its own or that of a plug-in, else by its
// link: only root makes one.
func vpn(l *link, c connection, managed bool, plugin *connection) Network {
	switch {
	case managed && c.kind == VPN:
		return Network{ID: "nm:" + c.uuid, Name: c.name, Kind: VPN}
	case plugin != nil && l.kind != "wireguard":
		return Network{ID: "nm:" + plugin.uuid, Name: plugin.name, Kind: VPN}
	}
	return Network{ID: "vpn:" + l.name, Kind: VPN}
}

// gatewayOf is the hardware address of the gateway on a link, that of IPv4 if there is
// one; "" if it isn't known yet. Through is false if none is there.
func (s *snapshot) gatewayOf(index int) (mac string, through bool) {
	var best *route
	for i := range s.routes {
		r := &s.routes[i]
		if r.link != index || !r.isDefault() || !r.via.IsValid() {
			continue
		}
		if best == nil || best.via.Is6() && r.via.Is4() {
			best = r
		}
	}
	if best == nil {
		return "", false
	}
	return s.gateway[gateway{index, best.via}], true
}

// virtual reports whether what is at the other end of a link is on this machine.
func (s *snapshot) virtual(l *link) bool {
	switch l.kind {
	case "dummy", "veth":
		return true
	case "bridge":
		return !slices.ContainsFunc(s.links, func(p link) bool {
			return p.master == l.index && p.kind != "veth" && p.kind != "dummy" && !isVPN(p.kind)
		})
	}
	return false
}

// clean is a name from outside as it may be shown: short, and without what could change
// how the rest is read.
func clean(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029' {
			return -1
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > maxName {
		s = strings.ToValidUTF8(s[:maxName], "")
	}
	return s
}

// maxName bounds a network's name, in bytes.
const maxName = 64
