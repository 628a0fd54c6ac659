package rule

import (
	"cmp"
	"strings"
	"time"
)

// Criterion is what one rule wins over another by.
type Criterion string

const (
	ByProgram     Criterion = "program"
	ByDestination Criterion = "destination"
	ByPorts       Criterion = "ports"
	ByProtocol    Criterion = "protocol"
	ByUser        Criterion = "user"
	ByNetwork     Criterion = "network"
	ByDirection   Criterion = "direction"
	ByBlock       Criterion = "block"
	ByAge         Criterion = "age"
)

// Kinds of destination, the least specific first. A name and an address are equally
// exact. Domains stand above networks so that the order is total: a name is what the
// person read, a network may be shared by thousands of names.
const (
	toAny = iota
	toLAN
	toList
	toNetwork
	toDomain
	toExact
)

// order is what rules are compared by; more wins, field by field from above.
type order struct {
	program  uint16 // Rule.weight
	depth    uint8  // of the folder
	kind     uint8  // toAny to toExact
	labels   uint8  // of a domain
	size     span   // of a network or range; less wins
	ports    int    // 0: any; more: fewer ports
	protocol bool
	user     bool
	network  bool
	oneWay   bool
	block    bool
	age      time.Time
	id       string
	position int // place among the rules given to NewSet
}

func orderOf(r *Rule, position int) order {
	o := order{
		program:  r.weight(),
		protocol: r.Protocol != 0,
		user:     r.User != "",
		network:  r.Network != "",
		oneWay:   r.Direction != Both,
		block:    r.Action == Block,
		age:      r.Created,
		id:       r.ID,
		position: position,
		depth:    uint8(min(strings.Count(r.Program.Folder, "/"), 255)),
	}
	if n := countPorts(r.Ports); n > 0 {
		o.ports = 1<<16 - n
	}
	o.setRemote(r.Remote)
	return o
}

func (o *order) setRemote(r Remote) {
	switch {
	case r.Name != "" || r.Address.IsValid():
		o.kind = toExact
	case r.Domain != "":
		o.kind, o.labels = toDomain, uint8(min(countLabels(r.Domain), 255))
	case r.Network.IsValid():
		o.setSpan(networkSpan(r.Network))
	case r.Range != AddrRange{}:
		o.setSpan(r.Range.span())
	case r.LAN:
		o.kind = toLAN
	case r.List != "":
		o.kind = toList
	}
}

// setSpan: a network of one address is as exact as the address.
func (o *order) setSpan(s span) {
	o.kind, o.size = toNetwork, s
	if s == (span{}) {
		o.kind = toExact
	}
}

// compare is above zero when o wins over p, and says by what.
func (o *order) compare(p *order) (int, Criterion) {
	if n := cmp.Compare(o.program, p.program); n != 0 {
		return n, ByProgram
	}
	if n := cmp.Compare(o.depth, p.depth); n != 0 {
		return n, ByProgram
	}
	if n := o.compareRemote(p); n != 0 {
		return n, ByDestination
	}
	if n := cmp.Compare(o.ports, p.ports); n != 0 {
		return n, ByPorts
	}
	if n := compareBool(o.protocol, p.protocol); n != 0 {
		return n, ByProtocol
	}
	if n := compareBool(o.user, p.user); n != 0 {
		return n, ByUser
	}
	if n := compareBool(o.network, p.network); n != 0 {
		return n, ByNetwork
	}
	if n := compareBool(o.oneWay, p.oneWay); n != 0 {
		return n, ByDirection
	}
	if n := compareBool(o.block, p.block); n != 0 {
		return n, ByBlock
	}
	return o.compareAge(p), ByAge
}

func (o *order) compareRemote(p *order) int {
	switch {
	case o.kind != p.kind:
		return cmp.Compare(o.kind, p.kind)
	case o.labels != p.labels:
		return cmp.Compare(o.labels, p.labels)
	}
	return p.size.compare(o.size)
}

func (o *order) compareAge(p *order) int {
	if n := o.age.Compare(p.age); n != 0 {
		return n
	}
	if n := compareID(o.id, p.id); n != 0 {
		return n
	}
	return cmp.Compare(o.position, p.position)
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// compareID puts "10" after "9": ids that count grow by a digit.
func compareID(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
}
