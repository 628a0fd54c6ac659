package api

import "sekisho/app/flow"

// ExplanationJSON is what would be decided, what the rest of the machine does, and the
// steps that led there. Of a flow that there was, flow has what was decided then.
type ExplanationJSON struct {
	Flow    *FlowJSON    `json:"flow,omitempty"`
	Verdict flow.Verdict `json:"verdict"`
	By      *flow.By     `json:"by,omitempty"`
	Outcome Outcome      `json:"outcome,omitempty"`
	Steps   []StepJSON   `json:"steps"`
	Culprit *CulpritJSON `json:"culprit,omitempty"`
}

// StepJSON is one step of an explanation.
type StepJSON struct {
	What    string            `json:"what"`
	Matched bool              `json:"matched"`
	Decided bool              `json:"decided"`
	Why     string            `json:"why"`
	Part    Part              `json:"part,omitempty"`
	Code    string            `json:"code,omitempty"`
	Values  map[string]string `json:"values,omitempty"`
	Checks  []CheckJSON       `json:"checks,omitempty"`
	Outcome Outcome           `json:"outcome,omitempty"`
	Author  string            `json:"author,omitempty"`
	Rule    string            `json:"rule,omitempty"`
	Handle  uint64            `json:"handle,omitempty"`
	To      string            `json:"to,omitempty"`
}

// CheckJSON is what one operand of a rule found.
type CheckJSON struct {
	Operand string `json:"operand"`
	Matched bool   `json:"matched"`
	Has     string `json:"has,omitempty"`
	Want    string `json:"want,omitempty"`
	Why     string `json:"why"`
}

// CulpritJSON is the step that stops a connection, and what would change that.
type CulpritJSON struct {
	StepJSON
	Remedies []RemedyJSON `json:"remedies"`
}

// RemedyJSON is one thing that would let a connection through.
type RemedyJSON struct {
	Code   string            `json:"code"`
	Values map[string]string `json:"values,omitempty"`
	What   string            `json:"what"`
}

// ToExplanationJSON gives e its shape.
func ToExplanationJSON(e Explanation) ExplanationJSON {
	j := ExplanationJSON{Verdict: e.Decision.Verdict, By: toByJSON(e.Decision.By), Outcome: e.Outcome, Steps: []StepJSON{}}
	if e.Flow != nil {
		f := ToFlowJSON(*e.Flow)
		j.Flow = &f
	}
	for _, s := range e.Steps {
		j.Steps = append(j.Steps, toStepJSON(s))
	}
	if c := e.Culprit; c != nil {
		j.Culprit = &CulpritJSON{StepJSON: toStepJSON(c.Step), Remedies: []RemedyJSON{}}
		for _, r := range c.Remedies {
			j.Culprit.Remedies = append(j.Culprit.Remedies, RemedyJSON(r))
		}
	}
	return j
}

func toStepJSON(s Step) StepJSON {
	j := StepJSON{
		What: s.What, Matched: s.Matched, Decided: s.Decided, Why: s.Why, Part: s.Part, Code: s.Code, Values: s.Values,
		Outcome: s.Outcome, Author: s.Author, Rule: s.Rule, Handle: s.Handle, To: s.To,
	}
	for _, c := range s.Checks {
		j.Checks = append(j.Checks, CheckJSON(c))
	}
	return j
}
