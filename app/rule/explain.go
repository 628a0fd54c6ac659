package rule

import (
	"slices"
	"strings"
	"time"
)

// Check is what one operand of a rule found.
type Check struct {
	Operand string // as the export format names it: "program.path", "remote.domain", "ports", …
	Matched bool
	// Has is what the flow has and Want what the rule wants, as a rule's text has them.
	// Both are empty where it is no matter of one being the other.
	Has, Want string
	Why       string // a short English sentence: "port 80 is not 443"
}

// Off is why a rule takes no part in a decision.
type Off string

const (
	OffDisabled Off = "switched off"
	OffEnded    Off = "ended"
	OffUnusable Off = "has an operand that can't be matched"
)

// Consideration is one rule that looked at a flow.
type Consideration struct {
	Rule    *Rule
	Checks  []Check // the direction's, then one for each operand that is set
	Off     Off     // "" if the rule takes part
	Matched bool    // it takes part, and every operand matched
	Won     bool
	// Of a rule that matched and did not win: the one that did, by what it did, and what
	// each of the two says there.
	To           *Rule
	By           Criterion
	Theirs, Ours string
}

// Explain says what the rules make of q: each rule that may be about its program,
// the most specific first, with what its operands found. These are the rules without
// a path and those with the path of the process. Rules that are switched off or have
// ended are among them, since a person may wonder about just these.
func (s *Set) Explain(q Query, now Clock) []Consideration {
	q.normal()
	n, decided := s.winner(&q, now)
	var found []Consideration
	for _, c := range s.candidates(q.Process.Path) {
		f := Consideration{Rule: &s.rules[c.order.position], Checks: c.checks(&q), Off: c.off(now)}
		f.Matched = f.Off == "" && !slices.ContainsFunc(f.Checks, func(k Check) bool { return !k.Matched })
		if f.Matched && decided {
			w := &s.ranked[n]
			f.Won = w.order.position == c.order.position
			if !f.Won {
				_, f.By = w.order.compare(&c.order)
				f.To = &w.Rule
				f.Theirs, f.Ours = f.By.of(&w.Rule), f.By.of(f.Rule)
			}
		}
		found = append(found, f)
	}
	return found
}

// of is what a rule says where rules are compared by c; "any" where it says nothing.
func (c Criterion) of(r *Rule) string {
	said := ""
	switch c {
	case ByProgram:
		said = r.Program.text()
	case ByDestination:
		said = r.Remote.String()
	case ByPorts:
		said = FormatPorts(r.Ports)
	case ByProtocol:
		said = r.Protocol.String()
	case ByUser:
		said = r.User
	case ByNetwork:
		said = r.Network
	case ByDirection:
		said = r.Direction.String()
	case ByBlock:
		said = r.Action.String()
	case ByAge:
		said = r.Created.UTC().Format(time.RFC3339)
	}
	if said == "" {
		return "any"
	}
	return said
}

// text names the operands that are set.
func (p *Program) text() string {
	var all []string
	for _, o := range []struct{ name, value string }{
		{"", p.Path}, {"script ", p.Script}, {"package ", p.Package}, {"application ", p.App}, {"below ", p.Folder},
		{"unit ", p.Unit}, {"started by ", p.Parent}, {"checksum ", p.SHA256},
	} {
		if o.value != "" {
			all = append(all, o.name+o.value)
		}
	}
	return strings.Join(all, ", ")
}

// candidates are all rules that a process of path could match, whether they take
// part or not, in the order of precedence.
func (s *Set) candidates(path string) []*compiled {
	var all []*compiled
	for i := range s.rules {
		if p := s.rules[i].Program.Path; p == "" || p == path {
			c := newCompiled(s.rules[i], i)
			all = append(all, &c)
		}
	}
	slices.SortFunc(all, func(a, b *compiled) int {
		n, _ := b.order.compare(&a.order)
		return n
	})
	return all
}

func (c *compiled) off(now Clock) Off {
	switch {
	case !c.usable():
		return OffUnusable
	case !c.Enabled:
		return OffDisabled
	case !c.live(now):
		return OffEnded
	}
	return ""
}
