package learn

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"

	"sekisho/app/flow"
	"sekisho/app/rule"
)

const (
	maxHosts   = 5 // destinations outside the local network, beyond which a program gets any
	neighbours = 3 // nameless addresses of one network from which on it is named
)

// remotes says which remote end a rule names for each note of one program that goes out.
type remotes struct {
	names    map[string]map[string]bool       // by registrable domain
	networks map[netip.Prefix]map[string]bool // nameless addresses
	lan      map[string]bool
}

func remotesOf(notes []Note) remotes {
	r := remotes{map[string]map[string]bool{}, map[netip.Prefix]map[string]bool{}, map[string]bool{}}
	for i := range notes {
		k := &notes[i].Key
		switch {
		case k.Direction == flow.In || k.host() == "":
		case k.LAN:
			r.lan[k.host()] = true
		case k.Name != "":
			addTo(r.names, domainOf(k.Name), k.Name)
		default:
			addTo(r.networks, networkOf(k.Addr), k.host())
		}
	}
	return r
}

func addTo[K comparable](m map[K]map[string]bool, k K, s string) {
	if m[k] == nil {
		m[k] = map[string]bool{}
	}
	m[k][s] = true
}

// domainOf is what somebody registered: two names below it are of one owner. A name that
// is itself a public suffix stands for itself.
func domainOf(name string) string {
	d, err := publicsuffix.EffectiveTLDPlusOne(name)
	if err != nil || rule.CheckName(d) != nil {
		return name
	}
	return d
}

// networkOf is the smallest network that one owner is likely to have to themselves.
func networkOf(a netip.Addr) netip.Prefix {
	bits := 64
	if a.Is4() {
		bits = 24
	}
	p, _ := a.Prefix(bits)
	return p
}

func (r *remotes) of(k *Key) rule.Remote {
	switch {
	case k.host() == "":
		return rule.Remote{}
	case k.LAN && len(r.lan) > 1:
		return rule.Remote{LAN: true}
	case k.Name != "" && !k.LAN && len(r.names[domainOf(k.Name)]) > 1:
		return rule.Remote{Domain: domainOf(k.Name)}
	case k.Name != "":
		return rule.Remote{Name: k.Name}
	case !k.LAN && len(r.networks[networkOf(k.Addr)]) >= neighbours:
		return rule.Remote{Network: networkOf(k.Addr)}
	}
	return rule.Remote{Address: k.Addr}
}

// drafts are the narrowest sensible rules of one program.
func drafts(notes []Note) []draft {
	all := outgoing(notes)
	all = widenHosts(joined(all))
	return joined(append(all, incoming(notes)...))
}

func outgoing(notes []Note) (all []draft) {
	r := remotesOf(notes)
	of := map[rule.Remote]map[flow.Protocol]ports{}
	in := map[rule.Remote]*places{}
	for i := range notes {
		if k := &notes[i].Key; k.Direction == flow.Out {
			addPort(of, r.of(k), k)
			addPlace(in, r.of(k), k)
		}
	}
	return byRemote(rule.Out, of, in)
}

func byRemote(direction rule.Direction, of map[rule.Remote]map[flow.Protocol]ports, in map[rule.Remote]*places) (all []draft) {
	for remote, protocols := range of {
		for _, d := range byProtocol(direction, remote, protocols) {
			d.network = in[remote].String()
			all = append(all, d)
		}
	}
	return all
}

// places are the local networks that a remote end was seen in.
type places struct {
	profiles map[string]bool
	anywhere bool // it is not of a local network alone, or it isn't known of which
}

// maxPlaces is how many profiles a rule names.
const maxPlaces = 4

func addPlace(in map[rule.Remote]*places, remote rule.Remote, k *Key) {
	p := in[remote]
	if p == nil {
		p = &places{profiles: map[string]bool{}}
		in[remote] = p
	}
	p.profiles[k.Network] = true
	p.anywhere = p.anywhere || !k.LAN || k.Network == ""
}

// String is the profiles as rules name them; "" for any.
func (p *places) String() string {
	if p.anywhere || len(p.profiles) > maxPlaces {
		return ""
	}
	return rule.NormalNetwork(strings.Join(slices.Sorted(mapKeys(p.profiles)), ","))
}

func addPort(of map[rule.Remote]map[flow.Protocol]ports, remote rule.Remote, k *Key) {
	if of[remote] == nil {
		of[remote] = map[flow.Protocol]ports{}
	}
	of[remote][k.Protocol] = of[remote][k.Protocol].with(k.Port)
}

// widenHosts gives a program with many destinations any, at the ports that most of them
// share, until few are left.
func widenHosts(all []draft) []draft {
	for {
		signatures := map[string][]int{}
		public := 0
		for i := range all {
			if all[i].isPublic() {
				public++
				signatures[signature(&all[i])] = append(signatures[signature(&all[i])], i)
			}
		}
		if public <= maxHosts {
			return all
		}
		var best []int
		for _, s := range slices.Sorted(mapKeys(signatures)) {
			if len(signatures[s]) > len(best) {
				best = signatures[s]
			}
		}
		if len(best) < 2 {
			return joined(anywhere(all, (*draft).isPublic))
		}
		wide := all[best[0]]
		wide.remote, wide.network = rule.Remote{}, ""
		all = joined(append(all, wide))
	}
}

func signature(d *draft) string {
	return d.protocol.String() + " " + rule.FormatPorts(d.ports.ranges())
}

func mapKeys[K comparable, V any](m map[K]V) func(func(K) bool) {
	return func(yield func(K) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// anywhere puts those of all that which names together, to any remote end at all ports
// that they had, by protocol.
func anywhere(all []draft, which func(*draft) bool) []draft {
	var rest []draft
	of := map[rule.Direction]map[flow.Protocol]ports{}
	for i := range all {
		d := &all[i]
		if !which(d) {
			rest = append(rest, *d)
			continue
		}
		if of[d.direction] == nil {
			of[d.direction] = map[flow.Protocol]ports{}
		}
		before, ok := of[d.direction][d.protocol]
		if !ok {
			before = ports{}
		}
		of[d.direction][d.protocol] = before.and(d.ports)
	}
	for direction, protocols := range of {
		rest = append(rest, byProtocol(direction, rule.Remote{}, protocols)...)
	}
	return rest
}

// incoming makes rules of what came in: by where from, the ports together.
func incoming(notes []Note) (all []draft) {
	type port struct {
		protocol flow.Protocol
		number   uint16
	}
	from := map[port]rule.Remote{}
	for i := range notes {
		k := &notes[i].Key
		if k.Direction != flow.In {
			continue
		}
		p := port{k.Protocol, k.Port}
		if was, ok := from[p]; k.LAN && (!ok || was.LAN) {
			from[p] = rule.Remote{LAN: true}
		} else {
			from[p] = rule.Remote{}
		}
	}
	of := map[rule.Remote]map[flow.Protocol]ports{}
	in := map[rule.Remote]*places{}
	for i := range notes {
		if k := &notes[i].Key; k.Direction == flow.In {
			remote := from[port{k.Protocol, k.Port}]
			addPort(of, remote, k)
			addPlace(in, remote, k)
		}
	}
	return byRemote(rule.In, of, in)
}

// wider are the steps by which a program's rules become fewer, each wider than the one
// before; the last leaves one.
var wider = []func([]draft) []draft{
	func(all []draft) []draft { return anywhere(all, (*draft).isPublic) },
	func(all []draft) []draft {
		return anywhere(all, func(d *draft) bool { return d.direction == rule.Out })
	},
	func(all []draft) []draft { return anywhere(all, func(*draft) bool { return true }) },
	func(all []draft) []draft { return whole(all, true) },
	func(all []draft) []draft { return whole(all, false) },
}

// whole leaves one rule for each direction, or one for both.
func whole(all []draft, oneWay bool) (out []draft) {
	for i := range all {
		d := draft{direction: all[i].direction, ports: ports{any: true}}
		if !oneWay {
			d.direction = rule.Both
		}
		if !slices.ContainsFunc(out, func(e draft) bool { return e.compare(&d) == 0 }) {
			out = append(out, d)
		}
	}
	return out
}

// compareProgram is the order of proposals.
func compareProgram(p, q rule.Program) int {
	return cmp.Or(strings.Compare(p.App, q.App), strings.Compare(p.Path, q.Path), strings.Compare(p.Script, q.Script))
}
