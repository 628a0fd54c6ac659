package learn

import (
	"fmt"
	"slices"

	"sekisho/app/rule"
)

// Answer is what a person said to a proposal.
type Answer string

const (
	Open     Answer = ""
	Accepted Answer = "accepted" // as it is, or as it was changed
	Dropped  Answer = "dropped"
)

// Review is proposals and what a person says to them.
type Review struct {
	items []item
}

type item struct {
	Proposal
	answer Answer
}

// NewReview begins with every proposal open.
func NewReview(proposals []Proposal) *Review {
	v := &Review{}
	for _, p := range proposals {
		v.items = append(v.items, item{Proposal: p})
	}
	return v
}

// UnknownError is returned for an id that no proposal has.
type UnknownError struct{ ID string }

func (e *UnknownError) Error() string { return fmt.Sprintf("there is no proposal %q", e.ID) }

// Each calls f with each proposal as it stands, and what was said to it.
func (v *Review) Each(f func(Proposal, Answer)) {
	for i := range v.items {
		f(v.items[i].Proposal, v.items[i].answer)
	}
}

func (v *Review) find(id string) (*item, error) {
	for i := range v.items {
		if v.items[i].ID == id {
			return &v.items[i], nil
		}
	}
	return nil, &UnknownError{id}
}

// Answer says to a proposal that it is accepted or dropped, or open again.
func (v *Review) Answer(id string, a Answer) error {
	it, err := v.find(id)
	if err == nil {
		it.answer = a
	}
	return err
}

// Change accepts r in a proposal's place. Its errors are UnknownError, and what
// rule.ValidateOperands returns.
func (v *Review) Change(id string, r rule.Rule) error {
	it, err := v.find(id)
	if err != nil {
		return err
	}
	if err := rule.ValidateOperands(r); err != nil {
		return err
	}
	r = rule.Normal(r)
	r.Origin = rule.FromLearn
	it.Rule, it.answer = r, Accepted
	return nil
}

// AcceptUpTo accepts what is open, no wider than b, wins over no rule that blocks, and is
// for no interpreter.
func (v *Review) AcceptUpTo(b Breadth) {
	for i := range v.items {
		it := &v.items[i]
		if it.answer == Open && it.Breadth <= b && len(it.Overrides) == 0 && !it.Interpreter {
			it.answer = Accepted
		}
	}
}

// Rules are the rules that were accepted, without ids.
func (v *Review) Rules() (rules []rule.Rule) {
	for i := range v.items {
		if it := &v.items[i]; it.answer == Accepted {
			rules = append(rules, it.Rule)
		}
	}
	return rules
}

// Asked are the notes that no accepted rule allows: their like will be asked about.
func (v *Review) Asked() (notes []Note) {
	set := rule.NewSet(v.Rules())
	for i := range v.items {
		for _, n := range v.items[i].Notes {
			if r, ok := set.Decide(n.Query(), rule.Clock{}); !ok || r.Action != rule.Allow {
				notes = append(notes, n)
			}
		}
	}
	slices.SortFunc(notes, func(a, b Note) int { return a.Key.compare(&b.Key) })
	return notes
}
