package ruleset

import (
	"slices"
	"strconv"
)

// Other people's rules may be of any size, and chains that jump to one another can be gone
// through in more ways than there is time for.
const (
	worldsMost = 256     // ways of what can't be told, of one Walk
	stepsMost  = 512     // steps of a way
	rulesMost  = 1 << 20 // rules gone through in all Walks of a Ruleset
)

// world is one way of what can't be told.
type world struct {
	set    *Ruleset
	fib    Fib
	packet Packet
	hook   Hook
	tracks bool // connection tracking has seen the packet
	chain  *chain
	rule   *rule
	steps  []Step
	given  []bool // what was decided for the first questions
	asked  []Step // the questions
	took   []bool // what was taken for each
	regs   registers
	depth  int
	// bridged: it is among the chains of a bridge, which see its ports and have frames.
	bridged bool
}

// Walk sends a packet through hooks in order, and returns what becomes of it and how it
// looks then: rules may have changed its addresses and its mark.
func (s *Ruleset) Walk(p Packet, fib Fib, hooks ...Hook) (Result, Packet) {
	var passing, failing *world
	todo := [][]bool{nil}
	for n := 0; len(todo) > 0 && n < worldsMost; n++ {
		given := todo[0]
		todo = todo[1:]
		w := &world{set: s, fib: fib, packet: p, given: given}
		outcome := w.walk(hooks)
		if keep := &passing; outcome == Passes {
			*keep = fewer(*keep, w)
		} else {
			failing = fewer(failing, w)
		}
		for i := len(given); i < len(w.took); i++ {
			todo = append(todo, append(slices.Clone(w.took[:i]), !w.took[i]))
		}
	}
	return s.result(passing, failing, len(todo) > 0)
}

// fewer is the world that takes fewer rules to match of which it can't be told.
func fewer(a, b *world) *world {
	if a == nil || b.guesses() < a.guesses() {
		return b
	}
	return a
}

func (w *world) guesses() int {
	n := 0
	for _, t := range w.took {
		if t {
			n++
		}
	}
	return n
}

func (s *Ruleset) result(passing, failing *world, more bool) (Result, Packet) {
	if failing == nil {
		r := Result{Outcome: Passes, Steps: passing.steps}
		if more {
			r.Outcome, r.Doubts = Perhaps, passing.asked
		}
		return r, passing.packet
	}
	last := failing.steps[len(failing.steps)-1]
	r := Result{Outcome: Dropped, Steps: failing.steps, Culprit: &last}
	if last.Effect == Reject {
		r.Outcome = Rejected
	}
	if passing == nil && !more {
		return r, failing.packet
	}
	r.Outcome = Perhaps
	for i, q := range failing.asked {
		if failing.took[i] || passing == nil {
			r.Doubts = append(r.Doubts, q)
		}
	}
	if passing != nil && len(r.Doubts) == 0 { // it passes if one of these does match
		for i, q := range passing.asked {
			if passing.took[i] {
				r.Doubts = append(r.Doubts, q)
			}
		}
	}
	if passing != nil {
		return r, passing.packet
	}
	return r, failing.packet
}

// ask decides what can't be told: it is taken not to match, until that was looked at.
func (w *world) ask(why string) bool {
	take := false
	if n := len(w.took); n < len(w.given) {
		take = w.given[n]
	}
	q := Step{Place: w.place(), Unsure: why}
	w.took, w.asked = append(w.took, take), append(w.asked, q)
	return take
}

// holds decides a truth.
func (w *world) holds(t truth, why string) bool {
	if t == maybe {
		return w.ask(why)
	}
	return t == yes
}

func (w *world) walk(hooks []Hook) Outcome {
	for _, h := range hooks {
		if h == Prerouting && w.packet.In.Kind == bridgeKind {
			if out := w.crossBridge(Prerouting, Input); out != Passes {
				return out
			}
		}
		if out := w.meet(w.packet.Family(), h); out != Passes {
			return out
		}
		if h == Postrouting && w.packet.Out.Kind == bridgeKind {
			if out := w.crossBridge(Output, Postrouting); out != Passes {
				return out
			}
		}
	}
	return Passes
}

// bridgeKind is the kind of link behind which there are the chains of the family bridge.
const bridgeKind = "bridge"

// crossBridge goes through the chains of a bridge that this machine itself talks by.
func (w *world) crossBridge(hooks ...Hook) Outcome {
	w.bridged = true
	defer func() { w.bridged = false }()
	for _, h := range hooks {
		if out := w.meet(Bridge, h); out != Passes {
			return out
		}
	}
	return Passes
}

// meet goes through the base chains of a family at a hook.
func (w *world) meet(f Family, h Hook) Outcome {
	w.hook = h
	device := w.packet.Out.Name
	if h == Ingress {
		device = w.packet.In.Name
	}
	for _, c := range w.set.baseChains(f, h, device) {
		if out := w.base(c); out != Passes {
			return out
		}
	}
	return Passes
}

// conntrackPriority is that of the kernel's connection tracking: chains before it do not
// know of connections.
const conntrackPriority = -200

func (w *world) base(c *chain) Outcome {
	if c.kind == "nat" && w.packet.State != New {
		return Passes // only the first packet of a connection is looked at
	}
	w.tracks = c.hook != Ingress && c.hook != Egress &&
		(c.priority > conntrackPriority || c.hook != Prerouting && c.hook != Output)
	v := w.run(c)
	switch v.code {
	case verdictReject:
		return Rejected
	case verdictDrop:
		return Dropped
	case verdictAccept:
		return Passes
	}
	w.chain, w.rule = c, nil
	if c.drops {
		w.note(Drop, "")
		return Dropped
	}
	return Passes
}

// verdict is what a rule decides; codes are those of nft_verdicts and of netfilter.
type verdict struct {
	code  int32
	chain string
}

const (
	verdictDrop     = 0
	verdictAccept   = 1
	verdictContinue = -1
	verdictBreak    = -2
	verdictJump     = -3
	verdictGoto     = -4
	verdictReturn   = -5
	verdictReject   = -100 // ours: drop, and tell
)

// depthMost is NFT_JUMP_STACK_SIZE and more than ip_tables allow.
const depthMost = 64

// run goes through a chain; verdictContinue means that it was left at its end.
func (w *world) run(c *chain) verdict {
	if c == nil || w.depth >= depthMost {
		return verdict{code: verdictContinue}
	}
	w.depth++
	defer func() { w.depth-- }()
	for _, r := range c.rules {
		w.chain, w.rule = c, r
		if w.set.walked++; w.set.walked > rulesMost {
			// Neither way is gone to its end.
			if w.ask("more rules than there is time for") {
				w.note(Drop, "")
				return verdict{code: verdictDrop}
			}
			return verdict{code: verdictAccept}
		}
		v := w.apply(r)
		switch v.code {
		case verdictContinue, verdictBreak:
			continue
		case verdictReturn:
			w.note(Return, "")
			return verdict{code: verdictContinue}
		case verdictJump:
			if v = w.enter(Jump, v.chain); v.code != verdictContinue {
				return v
			}
		case verdictGoto:
			return w.enter(Goto, v.chain)
		default:
			w.note(effectOf(v), "")
			return v
		}
	}
	return verdict{code: verdictContinue}
}

// enter goes through another chain of the table. One that does nothing is not worth a step.
func (w *world) enter(how Effect, name string) verdict {
	before, from := min(len(w.steps), stepsMost-1), w.chain
	w.note(how, name)
	v := w.run(from.table.chains[name])
	w.chain = from
	if v.code == verdictContinue && !slices.ContainsFunc(w.steps[before:], func(s Step) bool {
		return s.Effect != Jump && s.Effect != Goto && s.Effect != Return
	}) {
		w.steps = w.steps[:before]
	}
	return v
}

// EffectOf is what a verdict of nftables does.
func EffectOf(code int32) Effect {
	switch code {
	case verdictDrop:
		return Drop
	case verdictAccept:
		return Accepted
	case verdictJump:
		return Jump
	case verdictGoto:
		return Goto
	case verdictReturn:
		return Return
	case verdictContinue, verdictBreak:
		return NoDecision
	}
	return Queue
}

func effectOf(v verdict) Effect {
	switch v.code {
	case verdictAccept:
		return Accepted
	case verdictReject:
		return Reject
	}
	return Drop
}

func (w *world) place() Place {
	c := w.chain
	p := Place{Hook: w.hook, Priority: c.priority, Family: c.table.family, Table: c.table.name, Chain: c.name, Author: c.table.author, Legacy: c.table.legacy}
	if a := authorOfChain(c); a != "" {
		p.Author = a
	}
	if r := w.rule; r != nil {
		p.Handle, p.Number, p.Comment, p.Rule = r.handle, r.position, r.comment, w.set.text(r)
		if a := authorOfRule(r); a != "" {
			p.Author = a
		}
	}
	return p
}

// note writes down what the present rule does.
func (w *world) note(e Effect, to string) {
	s := Step{Place: w.place(), Effect: e, To: to}
	for i, q := range w.asked {
		if w.took[i] && q.Handle == s.Handle && q.Chain == s.Chain && q.Table == s.Table && q.Family == s.Family && w.rule != nil {
			s.Unsure = q.Unsure
		}
	}
	w.steps = append(w.steps[:min(len(w.steps), stepsMost-1)], s)
}

func mark(n uint32) string { return "0x" + strconv.FormatUint(uint64(n), 16) }
