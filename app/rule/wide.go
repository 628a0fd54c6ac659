package rule

import (
	"iter"

	"sekisho/app/flow"
)

// WideVerdict is what the rules say about all flows of a process.
type WideVerdict uint8

const (
	// Depends: the flows must be judged one by one.
	Depends WideVerdict = iota
	// NoRule: no rule can match any flow.
	NoRule
	// AllowAll: every flow is allowed by a rule.
	AllowAll
	// BlockAll: every flow is blocked by a rule.
	BlockAll
)

func (v WideVerdict) String() string {
	return [...]string{"depends", "no rule", "allow all", "block all"}[v]
}

// Width is the answer of Wide.
type Width struct {
	Verdict WideVerdict
	// PerProcess: the answer holds for this process alone; another one of the same
	// executable may get another.
	PerProcess bool
	// Rule is the widest one that decides, with AllowAll and BlockAll; a narrower rule
	// of the same action may win for some flows.
	Rule *Rule
}

// Wide says what may be cached for all flows of process p in direction d: until the
// Set is replaced, NextEnd passes, or p's facts change.
//
// Proof. Go through the rules in the order of precedence, leaving out those that have
// ended, look in the other direction, or have a program, process or user operand that
// is not true of p: none of them can match a flow of p. Let U be the first that is
// left and has no remote, port, protocol or network operand. U matches every flow of p, so no
// rule after U can win for any. A rule before U may win for some flow. If all of
// these have U's action and none is for one flow only, whatever wins for a flow,
// there is a winner and it has U's action: AllowAll or BlockAll. Without U nothing is
// known of flows that no rule names: Depends, or NoRule if no rule was left at all.
// A rule that asks for a checksum that p doesn't have yet may match later: it counts
// as one that may win, never as U.
//
// PerProcess. Go through the rules again, leaving out only those that have ended, look
// the other way or name another path, and stop at the first that has no remote, port,
// protocol or network operand and looks at nothing of a process but its path. Every process of
// this path stops there, or at the end. If no rule on the way looks at anything but
// the path, all these processes have gone through the same rules and get the same
// answer: PerProcess is false.
func (s *Set) Wide(p *flow.Process, d flow.Direction, now Clock) Width {
	if p == nil {
		p = nobody
	}
	w := Width{Verdict: NoRule}
	allow, block, once := false, false, false
	done := false // U was found: the rest tells only about other processes
	for n := range s.walk.of(p.Path) {
		c := &s.ranked[n]
		if !c.Direction.matches(d) || !c.live(now) || p.Path == flow.ForwardedPath && c.Program.Path == "" {
			continue
		}
		w.PerProcess = w.PerProcess || c.traits
		if !done {
			fits, sure := c.fits(p)
			if fits {
				allow, block = allow || c.Action == Allow, block || c.Action == Block
				once = once || c.Lifetime.Kind == Once
				w.Verdict = Depends
				if sure && c.universal {
					done = true
					w.settle(&c.Rule, allow && block || once)
				}
			}
		}
		if w.PerProcess && (done || allow && block || once) || c.universal && !c.traits {
			break
		}
	}
	return w
}

func (w *Width) settle(u *Rule, mixed bool) {
	switch {
	case mixed:
		return
	case u.Action == Allow:
		w.Verdict = AllowAll
	default:
		w.Verdict = BlockAll
	}
	w.Rule = u
}

// fits reports whether c can match a flow of p; not sure means that it can only once
// the checksum of p's executable is known.
func (c *compiled) fits(p *flow.Process) (fits, sure bool) {
	if c.matchesProcess(p) {
		return true, true
	}
	if c.Program.SHA256 == "" || p.SHA256 != "" {
		return false, false
	}
	without := *c
	without.Program.SHA256 = ""
	return without.matchesProcess(p), false
}

// walk finds, in order, the rules that some process of a path could match.
type walk struct {
	byPath   map[string][]rank
	anywhere []rank          // rules without a path
	sums     map[string]bool // paths with a checksum operand; "" for rules without a path
	lists    bool            // some rule is about a blocklist
	packages map[string]bool // those that a rule allows something
}

// add files a rule; rules come in the order of their ranks.
func (w *walk) add(c *compiled, n rank) {
	p := &c.Program
	if p.SHA256 != "" {
		if w.sums == nil {
			w.sums = make(map[string]bool)
		}
		w.sums[p.Path] = true
	}
	w.lists = w.lists || c.Remote.List != ""
	if p.Package != "" && c.Action == Allow {
		if w.packages == nil {
			w.packages = make(map[string]bool)
		}
		w.packages[p.Package] = true
	}
	if p.Path == "" {
		w.anywhere = append(w.anywhere, n)
		return
	}
	if w.byPath == nil {
		w.byPath = make(map[string][]rank)
	}
	w.byPath[p.Path] = append(w.byPath[p.Path], n)
}

// of goes through the rules with that path and those without any.
func (w *walk) of(path string) iter.Seq[rank] {
	return func(yield func(rank) bool) {
		a, b := w.byPath[path], w.anywhere
		for len(a) > 0 || len(b) > 0 {
			var n rank
			if len(b) == 0 || len(a) > 0 && a[0] < b[0] {
				n, a = a[0], a[1:]
			} else {
				n, b = b[0], b[1:]
			}
			if !yield(n) {
				return
			}
		}
	}
}
