package view

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"sekisho/app/rule"
	"sekisho/ui/text"
)

// Rules is the list of rules as it is shown: those of one program together, the newest
// first, and filtered. It belongs to one goroutine.
type Rules struct {
	filter Filter
	all    []ruleRow
	shown  []rule.Rule
}

type ruleRow struct {
	rule    rule.Rule
	program string
	subject subject
}

// Len counts the rules that are shown.
func (r *Rules) Len() int { return len(r.shown) }

// Total counts all rules.
func (r *Rules) Total() int { return len(r.all) }

// At is the i-th rule that is shown.
func (r *Rules) At(i int) rule.Rule { return r.shown[i] }

// Get finds a rule by its id, shown or not.
func (r *Rules) Get(id string) (rule.Rule, bool) {
	for _, x := range r.all {
		if x.rule.ID == id {
			return x.rule, true
		}
	}
	return rule.Rule{}, false
}

// Replace takes the service's list.
func (r *Rules) Replace(rules []rule.Rule) {
	r.all = r.all[:0]
	for _, x := range rules {
		r.all = append(r.all, newRuleRow(x))
	}
	slices.SortStableFunc(r.all, func(a, b ruleRow) int {
		return cmp.Or(strings.Compare(a.program, b.program), b.rule.Created.Compare(a.rule.Created), strings.Compare(a.rule.ID, b.rule.ID))
	})
	r.choose()
}

// SetFilter shows what f lets through and reports whether that differs from before.
func (r *Rules) SetFilter(f Filter) bool {
	if f.Equal(r.filter) {
		return false
	}
	r.filter = f
	r.choose()
	return true
}

func (r *Rules) choose() {
	r.shown = r.shown[:0]
	for i := range r.all {
		if r.filter.match(&r.all[i].subject) {
			r.shown = append(r.shown, r.all[i].rule)
		}
	}
}

func newRuleRow(r rule.Rule) ruleRow {
	p := r.Program
	s := subject{
		program:   strings.ToLower(joined(RuleProgram(p), p.Script, p.Path, p.Package, p.App, p.Unit, p.Parent)),
		name:      strings.ToLower(RuleRemote(r.Remote)),
		direction: directionKey(r.Direction), verdict: actionKey(r.Action),
	}
	for _, span := range r.Ports {
		s.ports = append(s.ports, portSpan{span.From, span.To})
		if span.From == span.To {
			s.service = joined(s.service, strings.ToLower(ServiceName(r.Protocol, span.From)))
		}
	}
	s.service = strings.ToLower(joined(s.service, r.Protocol.String()))
	s.words = strings.ToLower(joined(s.program, s.name, s.service, Plain(Sentence(r, time.Time{})), r.Note))
	return ruleRow{rule: r, program: strings.ToLower(RuleProgram(p)), subject: s}
}

// RuleFacts is the quiet line under a rule's sentence: which file it means and how
// often it was used, newest use last.
func RuleFacts(r rule.Rule, now time.Time) string {
	var facts []string
	if p := cmp.Or(r.Program.Script, r.Program.Path); p != "" {
		facts = append(facts, untrusted(p))
	}
	if r.Note != "" {
		facts = append(facts, untrusted(r.Note))
	}
	switch {
	case r.Hits == 0:
		facts = append(facts, text.T("rules.never-used"))
	case r.LastUsed.IsZero():
		facts = append(facts, text.T("rules.hits", "N", Number(r.Hits)))
	default:
		facts = append(facts, text.T("rules.hits", "N", Number(r.Hits)), text.T("rules.last-used", "Ago", Ago(r.LastUsed, now)))
	}
	return strings.Join(facts, "  ·  ")
}
