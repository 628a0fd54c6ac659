package network

import (
	"net/netip"

	"sekisho/app/flow"
)

// Kind is what sort of link a network is reached by.
type Kind string

const (
	Wired   Kind = "wired" // and whatever is none of the others
	Wifi    Kind = "wifi"
	Mobile  Kind = "mobile"
	VPN     Kind = "vpn"
	Virtual Kind = "virtual" // made by this machine, for containers and guests on it
)

// Network is one that a link of this machine is on.
type Network struct {
	// ID names the network from one time to the next, and is what a profile is kept by.
	// Empty: it can't be known again, or not yet.
	ID   string
	Name string // for people: the connection's, the Wi-Fi's, or the link's
	Kind Kind
	Link string
	// Profile is what a person gave to ID, else what its kind has: vpn for a VPN, public,
	// and nothing for what this machine made itself, which no profile is about.
	Profile string
	Known   bool   // a person gave the profile
	Weak    bool   // others could make a network that looks the same
	Primary bool   // what has no other route goes this way
	SSID    string // of a Wi-Fi, as people see it
	Gateway string // hardware address, if it is known and counts
	Index   int    // of the link

	prefixes []netip.Prefix // addresses of this machine, with the length of their networks
}

// State is where the machine is at one moment. The zero State knows nothing: everything is
// public.
type State struct {
	Networks []Network
	routes   []route // the first that contains an address is the way to it
}

// Of is the profile of the network that a flow between two addresses of its own and
// another machine goes by; link is the index of the link that its packet was seen on, 0 if
// that isn't known. Empty: no network profile is about it, since it stays on this machine.
//
// Without a link both addresses count, since a packet for an address of the VPN may come
// in by the Wi-Fi: if their networks differ and one of them is public, it is public.
func (s *State) Of(link int, local, remote netip.Addr) string {
	local, remote = plain(local), plain(remote)
	if local.IsLoopback() || remote.IsLoopback() {
		return ""
	}
	if n := s.byIndex(link); n != nil {
		return n.Profile
	}
	here, there := s.at(local), s.towards(remote)
	switch {
	case here == nil && there == nil:
		return flow.NetworkPublic
	case here == nil:
		return there.Profile
	case there == nil || here == there || there.Profile != flow.NetworkPublic:
		return here.Profile
	}
	return flow.NetworkPublic
}

// Profile is that of the network by which what has no other route goes: for showing, and
// for questions about flows that are none yet.
func (s *State) Profile() string {
	for i := range s.Networks {
		if s.Networks[i].Primary {
			return s.Networks[i].Profile
		}
	}
	return flow.NetworkPublic
}

// Mixed reports whether the networks have different profiles: then the address of the
// other end alone doesn't say which profile a flow has.
func (s *State) Mixed() bool {
	for i := range s.Networks {
		if s.Networks[i].Profile != s.Networks[0].Profile {
			return true
		}
	}
	return false
}

func (s *State) byIndex(link int) *Network {
	for i := range s.Networks {
		if link > 0 && s.Networks[i].Index == link {
			return &s.Networks[i]
		}
	}
	return nil
}

// at finds the network in which a is this machine's address.
func (s *State) at(a netip.Addr) *Network {
	for i := range s.Networks {
		for _, p := range s.Networks[i].prefixes {
			if p.Addr() == a {
				return &s.Networks[i]
			}
		}
	}
	return nil
}

// towards finds the network that leads to a.
func (s *State) towards(a netip.Addr) *Network {
	for i := range s.routes {
		if r := &s.routes[i]; r.to.Contains(a) {
			return s.byIndex(r.link)
		}
	}
	return nil
}

func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// with returns networks with the profiles that people gave, by ID.
func with(networks []Network, known map[string]string) []Network {
	all := make([]Network, len(networks))
	for i, n := range networks {
		n.Profile, n.Known = "", false
		if p, ok := known[n.ID]; ok && n.ID != "" && p != "" {
			n.Profile, n.Known = p, true
		} else {
			n.Profile = n.Kind.profile()
		}
		all[i] = n
	}
	return all
}

// profile is what a network has that nobody named.
func (k Kind) profile() string {
	switch k {
	case VPN:
		return flow.NetworkVPN
	case Virtual:
		return ""
	}
	return flow.NetworkPublic
}
