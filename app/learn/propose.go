package learn

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"sekisho/app/rule"
)

// Breadth is how much a proposal lets through beyond what was seen, the narrowest first.
type Breadth int

const (
	OneHost   Breadth = iota // one name or address
	OneOwner                 // a domain, or a network of addresses
	LocalOnly                // the local network
	Anywhere                 // any remote end, at some ports
	Anything                 // any remote end at any port
)

var breadths = [...]string{"host", "owner", "lan", "anywhere", "anything"}

func (b Breadth) String() string {
	if b < 0 || int(b) >= len(breadths) {
		return "breadth(" + strconv.Itoa(int(b)) + ")"
	}
	return breadths[b]
}

// ParseBreadth reads what String writes.
func ParseBreadth(s string) (Breadth, error) {
	for i, n := range breadths {
		if n == s {
			return Breadth(i), nil
		}
	}
	return 0, fmt.Errorf("breadth %q: want one of %s", s, strings.Join(breadths[:], ", "))
}

// MarshalText writes "host", "owner", "lan", "anywhere" or "anything".
func (b Breadth) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (b *Breadth) UnmarshalText(text []byte) (err error) {
	*b, err = ParseBreadth(string(text))
	return err
}

// Proposal is a rule for a person to look at, and what it is made of.
type Proposal struct {
	ID      string    `json:"id"`
	Rule    rule.Rule `json:"rule"` // allows; without id, time and account
	Breadth Breadth   `json:"breadth"`
	// Interpreter: the rule is for whatever the interpreter runs, not for one script.
	Interpreter bool `json:"interpreter,omitempty"`
	// Overrides names rules that block, and that this one would win over somewhere.
	Overrides []string  `json:"overrides,omitempty"`
	Notes     []Note    `json:"notes"` // those that it decides, in order
	Flows     uint64    `json:"flows"` // of all of them
	Hosts     int       `json:"hosts"` // different remote ends among them
	First     time.Time `json:"first"`
	Last      time.Time `json:"last"`
}

// Options for Propose; each may be zero.
type Options struct {
	// Most is how many rules there may be at most; less than one for each program is taken
	// as that many. Zero is 25, or five for two programs if that is more.
	Most int
	// Existing is the rules that are there: what they decide needs no other rule.
	Existing *rule.Set
	Clock    rule.Clock
	// Interpreter reports whether the executable at a path runs scripts.
	Interpreter func(path string) bool
}

// Propose makes rules of notes. Together they allow all notes but those of left, of which
// no rule can be made. Its order does not depend on that of the notes.
func Propose(notes []Note, o Options) (proposals []Proposal, left []Note) {
	notes = slices.Clone(notes)
	sortNotes(notes)
	byProgram := map[rule.Program][]Note{}
	for _, n := range notes {
		if o.Existing != nil {
			if _, ok := o.Existing.Decide(n.Query(), o.Clock); ok {
				continue
			}
		}
		p := n.program()
		byProgram[p] = append(byProgram[p], n)
	}
	programs := slices.SortedFunc(mapKeys(byProgram), compareProgram)
	all := make([][]draft, len(programs))
	for i, p := range programs {
		all[i] = drafts(byProgram[p])
	}
	narrowDown(all, o.most(len(programs)))
	for i, p := range programs {
		for _, d := range all[i] {
			if q := d.proposal(p, &o, byProgram[p]); rule.ValidateOperands(q.Rule) == nil {
				proposals = append(proposals, q)
			}
		}
	}
	for _, p := range programs {
		left = append(left, share(proposals, p, byProgram[p])...)
	}
	proposals = slices.DeleteFunc(proposals, func(p Proposal) bool { return len(p.Notes) == 0 })
	overrides(proposals, &o)
	return proposals, left
}

func (o *Options) most(programs int) int {
	if o.Most == 0 {
		return max(25, programs*5/2)
	}
	return max(o.Most, programs)
}

// narrowDown widens the rules of the programs that have most of them, until there are at
// most so many in all.
func narrowDown(all [][]draft, most int) {
	steps := make([]int, len(all))
	for {
		total, worst := 0, 0
		for i := range all {
			total += len(all[i])
			if len(all[i]) > len(all[worst]) {
				worst = i
			}
		}
		if total <= most {
			return
		}
		all[worst] = joined(wider[steps[worst]](all[worst]))
		steps[worst]++
	}
}

func (d *draft) proposal(p rule.Program, o *Options, notes []Note) Proposal {
	r := rule.Rule{
		Enabled: true, Action: rule.Allow, Direction: d.direction, Program: p,
		Remote: d.remote, Protocol: d.protocol, Network: d.network, Origin: rule.FromLearn, Lifetime: rule.Lifetime{Kind: rule.Always},
	}
	if !d.ports.any {
		r.Ports = d.ports.ranges()
	}
	r = rule.Normal(r)
	inline := slices.ContainsFunc(notes, func(n Note) bool { return n.Inline })
	return Proposal{
		ID: idOf(&r), Rule: r, Breadth: d.breadth(),
		Interpreter: p.Script == "" && p.App == "" && (inline || o.Interpreter != nil && o.Interpreter(p.Path)),
	}
}

// idOf is the same for the same rule.
func idOf(r *rule.Rule) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{
		r.Program.Path, r.Program.Script, r.Program.App, r.Direction.String(), r.Remote.String(), rule.FormatPorts(r.Ports), r.Protocol.String(), r.Network,
	}, "\x00")))
	return "learn-" + hex.EncodeToString(sum[:6])
}

func (d *draft) breadth() Breadth {
	switch r := d.remote; {
	case r.Name != "" || r.Address.IsValid():
		return OneHost
	case r.Domain != "" || r.Network.IsValid():
		return OneOwner
	case r.LAN:
		return LocalOnly
	case d.ports.any && !portless(d):
		return Anything
	}
	return Anywhere
}

// portless reports whether d is about a protocol without ports, such as ping.
func portless(d *draft) bool { return d.protocol != 0 && !d.protocol.HasPorts() }

// share gives each note of a program to the proposal that decides it, and returns those
// that none does.
func share(proposals []Proposal, p rule.Program, notes []Note) (left []Note) {
	var own []*Proposal
	var rules []rule.Rule
	for i := range proposals {
		if q := &proposals[i]; q.Rule.Program == p {
			r := q.Rule
			r.ID = q.ID
			own, rules = append(own, q), append(rules, r)
		}
	}
	set := rule.NewSet(rules)
	for _, n := range notes {
		r, ok := set.Decide(n.Query(), rule.Clock{})
		if !ok {
			left = append(left, n)
			continue
		}
		for _, q := range own {
			if q.ID == r.ID {
				q.take(n)
			}
		}
	}
	for _, q := range own {
		q.Hosts = hosts(q.Notes)
	}
	return left
}

func (q *Proposal) take(n Note) {
	q.Notes = append(q.Notes, n)
	q.Flows += n.Flows
	if q.First.IsZero() || n.First.Before(q.First) {
		q.First = n.First
	}
	if n.Last.After(q.Last) {
		q.Last = n.Last
	}
}

func hosts(notes []Note) int {
	all := map[string]bool{}
	for i := range notes {
		all[notes[i].host()] = true
	}
	return len(all)
}
