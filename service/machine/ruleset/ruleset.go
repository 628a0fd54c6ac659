package ruleset

import (
	"cmp"
	"slices"
	"strings"
)

// Family is a table's family, as nfnetlink numbers it (NFPROTO_).
type Family uint8

const (
	INet   Family = 1
	IPv4   Family = 2
	ARP    Family = 3
	NetDev Family = 5
	Bridge Family = 7
	IPv6   Family = 10
)

var familyNames = map[Family]string{INet: "inet", IPv4: "ip", ARP: "arp", NetDev: "netdev", Bridge: "bridge", IPv6: "ip6"}

func (f Family) String() string { return familyNames[f] }

// Hook is a place that packets pass.
type Hook string

const (
	Ingress     Hook = "ingress"
	Prerouting  Hook = "prerouting"
	Input       Hook = "input"
	Forward     Hook = "forward"
	Output      Hook = "output"
	Postrouting Hook = "postrouting"
	Egress      Hook = "egress"
)

// table is one table and what is in it.
type table struct {
	family  Family
	name    string
	dormant bool // switched off: no packet meets it
	legacy  bool // of the older ip_tables
	chains  map[string]*chain
	sets    map[string]*set
	order   int // place among the tables, the oldest first
	author  Author
}

// chain is a list of rules; a base chain has a hook.
type chain struct {
	table    *table
	name     string
	handle   uint64
	hook     Hook
	devices  []string // of ingress and egress; empty: any
	kind     string   // "filter", "nat" or "route"
	priority int32
	drops    bool // its policy
	rules    []*rule
}

// reroutes: after such chains of Output the kernel looks for the way anew if the mark changed.
func (c *chain) reroutes() bool {
	return c.kind == "route" || c.table.legacy && c.table.name == "mangle"
}

// rule is what the kernel goes through, expression by expression.
type rule struct {
	chain    *chain
	handle   uint64 // of ip_tables: the rule's number in its chain
	exprs    []expression
	comment  string
	position int // from 1
	text     string
}

// expression is one step of a rule as the kernel lists it.
type expression struct {
	name string
	attrs
	// Of the older ip_tables, which know no expressions: what its head matches.
	head *legacyHead
}

// Ruleset is all rules of a network namespace at one time.
type Ruleset struct {
	tables []*table
	conn   conn
	walked int // rules gone through
}

// baseChains are those that a packet of a family meets at a hook, in the order in which
// it does. A device is the one that it comes in through (ingress) or leaves by (egress).
func (s *Ruleset) baseChains(family Family, h Hook, device string) []*chain {
	var found []*chain
	for _, t := range s.tables {
		if t.dormant || !t.sees(family, h) {
			continue
		}
		for _, c := range t.chains {
			if c.hook == h && (len(c.devices) == 0 || slices.Contains(c.devices, device)) {
				found = append(found, c)
			}
		}
	}
	slices.SortFunc(found, func(a, b *chain) int {
		// Of equals, the kernel puts the latest first.
		return cmp.Or(cmp.Compare(a.priority, b.priority), cmp.Compare(b.table.order, a.table.order), cmp.Compare(b.handle, a.handle))
	})
	return found
}

func (t *table) sees(family Family, h Hook) bool {
	if family == Bridge {
		return t.family == Bridge
	}
	if h == Ingress || h == Egress {
		return t.family == NetDev || t.family == INet
	}
	return t.family == family || t.family == INet
}

// Len is the number of rules.
func (s *Ruleset) Len() int {
	n := 0
	for _, t := range s.tables {
		for _, c := range t.chains {
			n += len(c.rules)
		}
	}
	return n
}

// Place finds where a rule is by its handle; of handle 0, the chain's policy.
func (s *Ruleset) Place(f Family, tableName, chainName string, handle uint64) (Place, bool) {
	t := s.find(f, tableName)
	if t == nil || t.chains[chainName] == nil {
		return Place{Family: f, Table: tableName, Chain: chainName, Handle: handle}, false
	}
	c := t.chains[chainName]
	w := world{set: s, hook: c.hook, chain: c}
	for _, r := range c.rules {
		if r.handle == handle {
			w.rule = r
			return w.place(), true
		}
	}
	return w.place(), handle == 0
}

// Rejects reports whether a rule tells the sender so.
func (p Place) Rejects() bool { return strings.Contains(" "+p.Rule, " reject") }
