package prompt

import (
	"errors"
	"fmt"

	"sekisho/app/flow"
	"sekisho/app/rule"
)

var (
	// ErrChanged means that the prompt shows something else than the person saw.
	ErrChanged = errors.New("the question changed meanwhile: look at it again and answer once more")
	// ErrUnknownProgram means that a lasting answer needs a program that it is about.
	ErrUnknownProgram = errors.New("the program is not known: only once is possible")
	// ErrInlineCode means that a lasting rule would allow whatever else the interpreter is given.
	ErrInlineCode = errors.New("the program runs code from its command line or input: only once, or until it quits, is possible")
	// ErrElsewhere means that the scope does not have the prompt's own flow in it.
	ErrElsewhere = errors.New("the answer is about another destination or port than the question")
)

// Author is who answers.
type Author struct {
	Name string // the account; it becomes the rule's By
	// OwnOnly: the author may decide for programs of their own account only, so the
	// rule gets the flow's user as an operand.
	OwnOnly bool
}

// Validate says in one line what is wrong with a as an answer to p.
func Validate(p Prompt, a Answer) error {
	if a.Generation != 0 && a.Generation != p.Generation {
		return ErrChanged
	}
	if a.Action != rule.Allow && a.Action != rule.Block {
		return errors.New("action: want allow or block")
	}
	if err := checkLifetime(p, a); err != nil {
		return err
	}
	if err := a.Scope.check(); err != nil {
		return err
	}
	r, err := scoped(p, a, Author{})
	if err != nil {
		return err
	}
	if !r.Matches(rule.QueryOf(&p.Flow, false), here) {
		return ErrElsewhere
	}
	if a.Lifetime == rule.Once {
		return nil
	}
	if err := rule.ValidateOperands(r); err != nil {
		return fmt.Errorf("no rule can be made of this: %w", err)
	}
	return nil
}

func checkLifetime(p Prompt, a Answer) error {
	if a.Lifetime != rule.Until && a.For != 0 {
		return fmt.Errorf("a span is for until alone, not for %s", a.Lifetime)
	}
	process := p.Flow.Process
	if _, err := rule.NewLifetime(a.Lifetime, a.For, here, flow.ProcessID{}); err != nil {
		return err
	}
	switch {
	case a.Lifetime == rule.Once:
		return nil
	case process == nil || process.Path == "":
		return ErrUnknownProgram
	case process.Inline && a.Lifetime != rule.Quit:
		return ErrInlineCode
	case process.Inline && (process.PID == 0 || process.Start == 0):
		return ErrUnknownProgram
	}
	return nil
}

// Rule is the rule that answer a to prompt p leaves, without an id; nil for Once,
// which is for the waiting flows alone.
//
// The rule is about the executable, and the script that it runs if it runs one.
// Inline code (-c, -m, standard input) has no name that a rule could hold, so its rule
// ends with the process. Until it quits means the process that asked, or the furthest
// ancestor that the same program runs in, so that "until Firefox quits" is not over
// with one of its children. A scope with a port is for the flow's protocol alone.
func Rule(p Prompt, a Answer, now rule.Clock, by Author) (*rule.Rule, error) {
	if err := Validate(p, a); err != nil {
		return nil, err
	}
	if a.Lifetime == rule.Once {
		return nil, nil
	}
	r, err := scoped(p, a, by)
	if err != nil {
		return nil, err
	}
	if r.Lifetime, err = rule.NewLifetime(a.Lifetime, a.For, now, r.Lifetime.Process); err != nil {
		return nil, err
	}
	r.Created, r.By, r.Origin = now.Wall, by.Name, rule.FromAnswer
	r = rule.Normal(r)
	if err := rule.Validate(r); err != nil {
		return nil, fmt.Errorf("no rule can be made of this: %w", err)
	}
	return &r, nil
}

// Covers reports whether answer a to prompt p settles flow f too: f is of the same
// program, and in the same direction, and inside the answer's scope. An author who
// may decide for their own programs only settles no other account's. Both a and by
// must be those that were given to Rule.
func Covers(p Prompt, a Answer, by Author, f flow.Flow) bool {
	if a.Scope.check() != nil || f.Process == nil {
		return false
	}
	r, err := scoped(p, a, by)
	if err != nil || !sameProgram(p.Flow.Process, f.Process) {
		return false
	}
	return r.Matches(rule.QueryOf(&f, false), here)
}
