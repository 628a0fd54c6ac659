package learn

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"sekisho/app/flow"
	"sekisho/app/rule"
)

// maxPorts is how many single ports a rule names; with more it is about any.
const maxPorts = 8

// ports is a set of ports; any means all of them.
type ports struct {
	any  bool
	list []uint16 // sorted
}

func (p ports) with(n uint16) ports {
	if p.any || n == 0 {
		return ports{any: true}
	}
	i, found := slices.BinarySearch(p.list, n)
	if found {
		return p
	}
	if len(p.list) == maxPorts {
		return ports{any: true}
	}
	return ports{list: slices.Insert(slices.Clone(p.list), i, n)}
}

func (p ports) and(q ports) ports {
	if q.any {
		return q
	}
	for _, n := range q.list {
		p = p.with(n)
	}
	return p
}

func (p ports) contains(q ports) bool {
	return p.any || !q.any && !slices.ContainsFunc(q.list, func(n uint16) bool { return !slices.Contains(p.list, n) })
}

func (p ports) ranges() (r []rule.PortRange) {
	for _, n := range p.list {
		r = append(r, rule.PortRange{From: n, To: n})
	}
	return r
}

// draft is a rule that is being made.
type draft struct {
	direction rule.Direction
	protocol  flow.Protocol // AnyProtocol with ports: TCP and UDP
	remote    rule.Remote
	ports     ports  // any also where the protocol has none
	network   string // profiles of the networks in which it holds; empty: any
}

func (d *draft) compare(e *draft) int {
	return cmp.Or(cmp.Compare(d.direction, e.direction), strings.Compare(d.remote.String(), e.remote.String()),
		cmp.Compare(d.protocol, e.protocol), slices.Compare(d.ports.list, e.ports.list), compareBool(d.ports.any, e.ports.any), strings.Compare(d.network, e.network))
}

// covers reports whether every flow of e is one of d; false if it can't be told.
func (d *draft) covers(e *draft) bool {
	return (d.direction == rule.Both || d.direction == e.direction) && (d.network == "" || d.network == e.network) &&
		d.ports.contains(e.ports) && d.coversProtocol(e) && coversRemote(d.remote, e.remote)
}

func (d *draft) coversProtocol(e *draft) bool {
	return d.protocol == e.protocol || d.protocol == flow.AnyProtocol && (d.ports.any || e.protocol.HasPorts())
}

func coversRemote(a, b rule.Remote) bool {
	switch {
	case a.IsAny() || a == b:
		return true
	case a.Domain != "":
		below := cmp.Or(b.Name, b.Domain)
		return below == a.Domain || strings.HasSuffix(below, "."+a.Domain)
	case a.Network != netip.Prefix{}:
		return b.Address.IsValid() && a.Network.Contains(b.Address)
	}
	return false
}

// isPublic reports whether d names somebody outside the local network.
func (d *draft) isPublic() bool { return !d.remote.IsAny() && !d.remote.LAN }

// joined is drafts in order without those that others cover.
func joined(drafts []draft) []draft {
	slices.SortFunc(drafts, func(a, b draft) int { return a.compare(&b) })
	var kept []draft
	for i := range drafts {
		covered := func(j int) bool {
			// Of two that cover one another the first stays.
			return j != i && drafts[j].covers(&drafts[i]) && (j < i || !drafts[i].covers(&drafts[j]))
		}
		if !slices.ContainsFunc(indexes(len(drafts)), covered) {
			kept = append(kept, drafts[i])
		}
	}
	return kept
}

func indexes(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

// byProtocol makes drafts of the ports by protocol of one remote end. TCP and UDP are
// together if UDP has no port of its own: QUIC beside HTTPS.
func byProtocol(direction rule.Direction, remote rule.Remote, of map[flow.Protocol]ports) (drafts []draft) {
	tcp, isTCP := of[flow.TCP]
	udp, isUDP := of[flow.UDP]
	both := isTCP && isUDP && tcp.contains(udp) && !tcp.any
	for p, n := range of {
		switch {
		case both && p == flow.UDP:
			continue
		case both && p == flow.TCP:
			p = flow.AnyProtocol
		}
		drafts = append(drafts, draft{direction: direction, protocol: p, remote: remote, ports: n})
	}
	return drafts
}
