package rule

import (
	"net/netip"
	"slices"
	"strings"
)

// rank is a rule's place in Set.ranked: less wins.
type rank int32

// keyKind is the program operand that a rule is filed under: the weightiest that it
// has. So every rule under one kind wins over every rule under a later one, and the
// search ends at the first kind that has a match.
type keyKind uint8

const (
	underScript keyKind = iota
	underPath
	underSHA256
	underApp
	underPackage
	underFolder
	underUnit
	underParent
	underAny
	keyKinds
)

// programs finds rules by what they say about programs.
type programs [keyKinds]map[string]*destinations

func keyOf(p *Program) (keyKind, string) {
	switch {
	case p.Script != "":
		return underScript, p.Script
	case p.Path != "":
		return underPath, p.Path
	case p.SHA256 != "":
		return underSHA256, p.SHA256
	case p.App != "":
		return underApp, p.App
	case p.Package != "":
		return underPackage, p.Package
	case p.Folder != "":
		return underFolder, p.Folder
	case p.Unit != "":
		return underUnit, p.Unit
	case p.Parent != "":
		return underParent, p.Parent
	}
	return underAny, ""
}

// add files a rule; rules come in the order of their ranks.
func (x *programs) add(c *compiled, n rank) {
	kind, key := keyOf(&c.Program)
	if x[kind] == nil {
		x[kind] = make(map[string]*destinations)
	}
	d := x[kind][key]
	if d == nil {
		d = &destinations{first: n}
		x[kind][key] = d
	}
	d.add(c, n)
}

// decide lowers best to the rank of the winner.
func (x *programs) decide(s *Set, q *Query, now Clock, best *rank) {
	p := q.Process
	for kind, m := range x {
		if m == nil {
			continue
		}
		before := *best
		switch keyKind(kind) {
		case underScript:
			if p.Script != "" && !p.Inline {
				m[p.Script].decide(s, q, now, best)
			}
		case underPath:
			m[p.Path].decide(s, q, now, best)
		case underSHA256:
			m[p.SHA256].decide(s, q, now, best)
		case underApp:
			m[p.App].decide(s, q, now, best)
		case underPackage:
			m[p.Package].decide(s, q, now, best)
		case underFolder:
			for folder := subject(p); len(folder) > 1; {
				folder = folder[:max(strings.LastIndexByte(folder, '/'), 0)]
				m[folder].decide(s, q, now, best)
			}
		case underUnit:
			m[p.Unit].decide(s, q, now, best)
		case underParent:
			for i := range p.Parents {
				m[p.Parents[i].Path].decide(s, q, now, best)
			}
		case underAny:
			m[""].decide(s, q, now, best)
		}
		if *best < before {
			return
		}
	}
}

// destinations finds the rules of one program operand by the other end.
type destinations struct {
	first    rank // the best of all that are here
	names    map[string]*ports
	domains  map[string]*ports
	addrs    map[netip.Addr]*ports
	networks []*networks // one for each length of prefix, per family
	rest     ports       // lan and any

	labels [4]uint64 // bit n: some domain has n labels
}

// networks is the networks of one family whose prefixes have one length.
type networks struct {
	bits  int
	v4    bool
	first rank
	in    map[netip.Addr]*ports
}

func (d *destinations) add(c *compiled, n rank) {
	switch r := c.Remote; {
	case r.Name != "":
		entry(&d.names, r.Name).add(c, n)
	case r.Domain != "":
		l := min(countLabels(r.Domain), 255)
		d.labels[l/64] |= 1 << (l % 64)
		entry(&d.domains, r.Domain).add(c, n)
	case r.Address.IsValid():
		entry(&d.addrs, r.Address).add(c, n)
	case r.Network.IsValid():
		d.addNetwork(r.Network, c, n)
	case r.Range != AddrRange{}:
		for _, p := range r.Range.prefixes() {
			d.addNetwork(p, c, n)
		}
	default:
		d.rest.add(c, n)
	}
}

func entry[K comparable](m *map[K]*ports, k K) *ports {
	if *m == nil {
		*m = make(map[K]*ports)
	}
	p := (*m)[k]
	if p == nil {
		p = new(ports)
		(*m)[k] = p
	}
	return p
}

func (d *destinations) addNetwork(p netip.Prefix, c *compiled, n rank) {
	i := slices.IndexFunc(d.networks, func(w *networks) bool {
		return w.bits == p.Bits() && w.v4 == p.Addr().Is4()
	})
	if i < 0 {
		i = len(d.networks)
		d.networks = append(d.networks, &networks{bits: p.Bits(), v4: p.Addr().Is4(), first: n})
	}
	entry(&d.networks[i].in, p.Addr()).add(c, n)
}

func (d *destinations) decide(s *Set, q *Query, now Clock, best *rank) {
	if d == nil || d.first >= *best {
		return
	}
	if name := q.Remote.Name; name != "" {
		d.names[name].decide(s, q, now, best)
		d.decideDomains(s, q, now, best)
	}
	if a := q.Remote.Addr; a.IsValid() {
		d.addrs[a].decide(s, q, now, best)
		for _, w := range d.networks {
			if w.first >= *best || w.v4 != a.Is4() {
				continue
			}
			p, _ := a.Prefix(w.bits)
			w.in[p.Addr()].decide(s, q, now, best)
		}
	}
	d.rest.decide(s, q, now, best)
}

// decideDomains tries the name and everything that it is below, but only where a
// domain of that many labels exists.
func (d *destinations) decideDomains(s *Set, q *Query, now Clock, best *rank) {
	if d.domains == nil {
		return
	}
	name := q.Remote.Name
	for l := countLabels(name); ; l-- {
		if n := min(l, 255); d.labels[n/64]&(1<<(n%64)) != 0 {
			d.domains[name].decide(s, q, now, best)
		}
		i := strings.IndexByte(name, '.')
		if i < 0 {
			return
		}
		name = name[i+1:]
	}
}

// ports finds rules by port. Those with few ports are filed under each of them.
type ports struct {
	few  map[uint16][]rank
	rest []rank // any port, or many
}

const fewPorts = 8

func (x *ports) add(c *compiled, n rank) {
	if k := countPorts(c.Ports); k == 0 || k > fewPorts {
		x.rest = append(x.rest, n)
		return
	}
	if x.few == nil {
		x.few = make(map[uint16][]rank)
	}
	for _, r := range c.Ports {
		for p := int(r.From); p <= int(r.To); p++ {
			x.few[uint16(p)] = append(x.few[uint16(p)], n)
		}
	}
}

func (x *ports) decide(s *Set, q *Query, now Clock, best *rank) {
	if x == nil {
		return
	}
	s.firstOf(x.rest, q, now, best)
	if x.few != nil && q.Protocol.HasPorts() {
		s.firstOf(x.few[q.port()], q, now, best)
	}
}

// firstOf lowers best to the first of ranks that matches.
func (s *Set) firstOf(ranks []rank, q *Query, now Clock, best *rank) {
	for _, n := range ranks {
		if n >= *best {
			return
		}
		if s.ranked[n].matches(q, now) {
			*best = n
			return
		}
	}
}
