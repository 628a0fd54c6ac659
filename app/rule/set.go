package rule

import (
	"slices"
	"time"
)

// Set is the rules at one moment, indexed. It never changes, and any goroutine may
// read it. What it returns points into it: nobody may write there.
type Set struct {
	rules    []Rule     // all of them, normal, as given to NewSet
	ranked   []compiled // enabled and usable, the most specific first
	byID     map[string]*Rule
	programs programs
	walk     walk
	timed    []*Rule // those that end at a moment, switched off ones too
}

// NewSet indexes rules, which it copies. Rules that are switched off, or that have an
// operand that Validate refuses because nothing can match it, never decide anything.
func NewSet(rules []Rule) *Set {
	s := &Set{rules: make([]Rule, len(rules)), byID: make(map[string]*Rule, len(rules))}
	var deciding []*compiled
	for i := range rules {
		c := newCompiled(rules[i], i)
		s.rules[i] = c.Rule
		s.byID[c.ID] = &s.rules[i]
		if c.Lifetime.Kind == Until {
			s.timed = append(s.timed, &s.rules[i])
		}
		if c.Enabled && c.usable() {
			deciding = append(deciding, &c)
		}
	}
	slices.SortFunc(deciding, func(a, b *compiled) int {
		n, _ := b.order.compare(&a.order)
		return n
	})
	s.ranked = make([]compiled, len(deciding))
	for i, c := range deciding {
		s.ranked[i] = *c
		s.programs.add(c, rank(i))
		s.walk.add(c, rank(i))
	}
	return s
}

// Len is the number of rules, switched off ones too.
func (s *Set) Len() int { return len(s.rules) }

// Rules returns all rules in the order in which NewSet got them, in the form that
// Normal gives. Nobody may write to them.
func (s *Set) Rules() []Rule { return s.rules }

// Rule returns the rule with that id.
func (s *Set) Rule(id string) (*Rule, bool) {
	r, ok := s.byID[id]
	return r, ok
}

// Decide returns the rule that wins for q, or false if none matches. It does not
// allocate, but for a host name that is not in lower case.
func (s *Set) Decide(q Query, now Clock) (*Rule, bool) {
	q.normal()
	n, ok := s.winner(&q, now)
	if !ok {
		return nil, false
	}
	return &s.ranked[n].Rule, true
}

// winner is Decide for a query that is normal.
func (s *Set) winner(q *Query, now Clock) (rank, bool) {
	none := rank(len(s.ranked))
	best := none
	s.programs.decide(s, q, now, &best)
	return best, best < none
}

// NextEnd is how long it takes until the next rule's lifetime ends at a moment; false
// if none does. The engine then takes ended rules out.
func (s *Set) NextEnd(now Clock) (next time.Duration, found bool) {
	for _, r := range s.timed {
		left, _ := Left(r, now)
		if !found || left < next {
			next, found = left, true
		}
	}
	return next, found
}

// NeedsIntegrity reports whether a rule allows a package's programs something: then a
// Process of a package must have its Integrity before Decide and Wide are asked.
func (s *Set) NeedsIntegrity(pkg string) bool { return pkg != "" && s.walk.packages[pkg] }

// NeedsLists reports whether a rule is about a blocklist: then a Query must have its
// Lists before Decide and Explain are asked.
func (s *Set) NeedsLists() bool { return s.walk.lists }

// NeedsSHA256 reports whether a rule asks for the checksum of the executable at path:
// then a Process must have it before Decide and Wide are asked.
func (s *Set) NeedsSHA256(path string) bool {
	return s.walk.sums[path] || s.walk.sums[""]
}
