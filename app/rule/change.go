package rule

import (
	"slices"
	"strconv"

	"sekisho/app/flow"
)

// ChangeKind says what is to be done to rules.
type ChangeKind string

const (
	SwitchOff ChangeKind = "switch-off" // Rules, all of them
	SwitchOn  ChangeKind = "switch-on"  // a rule that is off
	Edit      ChangeKind = "edit"       // a rule that would decide but for one operand
	Add       ChangeKind = "add"        // a new rule, without an id, which would win
)

// Change is one way to have a flow decided otherwise.
type Change struct {
	Do    ChangeKind
	Rules []*Rule
	// Check is the operand that is in the way, of Edit.
	Check *Check
	// Then is the rule that decides after it; nil: none does, and presets, trust and the
	// mode are asked.
	Then *Rule
}

// Changes says what would have q decided with the action want, as far as rules go; none
// if it is already. The least change comes first. It is for explaining: it takes as long
// as Explain.
func (s *Set) Changes(q Query, now Clock, want Action) []Change {
	q.normal()
	considered := s.Explain(q, now)
	won := slices.IndexFunc(considered, func(c Consideration) bool { return c.Won })
	if won >= 0 && considered[won].Rule.Action == want {
		return nil
	}
	changes := nearlyDecide(considered, won, want)
	if won >= 0 {
		changes = append(changes, without(considered[won:], want))
	}
	var winner *Rule
	if won >= 0 {
		winner = considered[won].Rule
	}
	if r, ok := stronger(&q, now, winner, want); ok {
		changes = append(changes, Change{Do: Add, Rules: []*Rule{&r}, Then: &r})
	}
	return changes
}

// nearlyDecide finds the rules before the winner that would decide, but that they are off
// or one operand is in the way.
func nearlyDecide(considered []Consideration, won int, want Action) []Change {
	before := considered
	if won >= 0 {
		before = considered[:won]
	}
	var on, edit []Change
	for i := range before {
		c := &before[i]
		if c.Rule.Action != want {
			continue
		}
		var in []*Check
		for j := range c.Checks {
			if !c.Checks[j].Matched {
				in = append(in, &c.Checks[j])
			}
		}
		switch {
		case c.Off == OffDisabled && len(in) == 0:
			on = append(on, Change{Do: SwitchOn, Rules: []*Rule{c.Rule}, Then: c.Rule})
		case c.Off == "" && len(in) == 1 && in[0].Want != "" && in[0].Has != "":
			edit = append(edit, Change{Do: Edit, Rules: []*Rule{c.Rule}, Check: in[0], Then: c.Rule})
		}
	}
	return append(on, edit...)
}

// without switches off the winner, which is the first, and what would come in its place
// with the same action.
func without(from []Consideration, want Action) Change {
	c := Change{Do: SwitchOff}
	for i := range from {
		if !from[i].Matched {
			continue
		}
		if from[i].Rule.Action == want {
			c.Then = from[i].Rule
			break
		}
		c.Rules = append(c.Rules, from[i].Rule)
	}
	return c
}

// stronger makes the rule that says least and yet wins over another for q.
func stronger(q *Query, now Clock, winner *Rule, want Action) (Rule, bool) {
	p := q.Process
	r := Rule{Enabled: true, Action: want, Direction: Out, Program: Program{Path: p.Path, Script: p.Script}, Created: now.Wall, Lifetime: Lifetime{Kind: Always}}
	if q.Direction == flow.In {
		r.Direction = In
	}
	if p.Path == "" {
		return r, false
	}
	wins := func() bool {
		c := newCompiled(r, -1)
		if !c.usable() || !c.matches(q, now) {
			return false
		}
		if winner == nil {
			return true
		}
		w := newCompiled(*winner, 0)
		c.order.id = "\uffff" // the newest of all
		n, _ := c.order.compare(&w.order)
		return n > 0
	}
	for _, narrow := range []func(){
		func() {},
		func() { r.Remote = exactly(q) },
		func() {
			if n := q.port(); n != 0 && q.Protocol.HasPorts() {
				r.Ports = []PortRange{{n, n}}
			}
		},
		func() { r.Protocol = q.Protocol },
		func() {
			if ownerKnown(p) {
				r.User = strconv.FormatUint(uint64(p.UID), 10)
			}
		},
		func() { r.Network = q.Network },
	} {
		if narrow(); wins() {
			return Normal(r), true
		}
	}
	return r, false
}

// exactly is exactly the other end: its name if there is one, else its address.
func exactly(q *Query) Remote {
	if q.Remote.Name != "" {
		return Remote{Name: q.Remote.Name}
	}
	return Remote{Address: q.Remote.Addr}
}
