package api

import (
	"sekisho/app/api/sekishopb"
	"sekisho/app/flow"
)

// PackQuestion writes q as a message.
func PackQuestion(q Question) *sekishopb.ExplainRequest {
	return &sekishopb.ExplainRequest{
		Program:   []byte(q.Program),
		Script:    []byte(q.Script),
		To:        text(q.To),
		Port:      uint32(q.Port),
		Protocol:  uint32(q.Protocol),
		Direction: sekishopb.Direction(q.Direction),
		User:      text(q.User),
		Flow:      text(q.Flow),
		Live:      q.Live,
	}
}

// UnpackQuestion reads a message.
func UnpackQuestion(m *sekishopb.ExplainRequest) (Question, error) {
	q := Question{
		Program: string(m.GetProgram()), Script: string(m.GetScript()), To: m.GetTo(), User: m.GetUser(),
		Flow: m.GetFlow(), Live: m.GetLive(),
	}
	var err error
	if q.Port, err = unpackPort(m.GetPort()); err != nil {
		return Question{}, err
	}
	if q.Protocol, err = unpackProtocol(m.GetProtocol()); err != nil {
		return Question{}, err
	}
	q.Direction, err = unpackDirection(m.GetDirection())
	return q, err
}

// PackExplanation writes e as a message.
func PackExplanation(e Explanation) *sekishopb.ExplainReply {
	m := &sekishopb.ExplainReply{Decision: packDecision(e.Decision), Outcome: text(string(e.Outcome))}
	for _, s := range e.Steps {
		m.Steps = append(m.Steps, packStep(s))
	}
	if c := e.Culprit; c != nil {
		m.Culprit = &sekishopb.Culprit{Step: packStep(c.Step)}
		for _, r := range c.Remedies {
			m.Culprit.Remedies = append(m.Culprit.Remedies, &sekishopb.Remedy{Code: text(r.Code), Values: packValues(r.Values), What: []byte(r.What)})
		}
	}
	if e.Flow != nil {
		m.Flow = PackFlow(*e.Flow)
	}
	return m
}

// UnpackExplanation reads a message.
func UnpackExplanation(m *sekishopb.ExplainReply) (Explanation, error) {
	d, err := unpackDecision(m.GetDecision())
	if err != nil {
		return Explanation{}, err
	}
	e := Explanation{Decision: flow.Decision{Verdict: d.Verdict, By: d.By}, Outcome: Outcome(m.GetOutcome())}
	for _, s := range m.GetSteps() {
		e.Steps = append(e.Steps, unpackStep(s))
	}
	if c := m.GetCulprit(); c != nil {
		e.Culprit = &Culprit{Step: unpackStep(c.GetStep())}
		for _, r := range c.GetRemedies() {
			e.Culprit.Remedies = append(e.Culprit.Remedies, Remedy{Code: r.GetCode(), Values: unpackValues(r.GetValues()), What: string(r.GetWhat())})
		}
	}
	if m.GetFlow() != nil {
		f, err := UnpackFlow(m.GetFlow())
		if err != nil {
			return Explanation{}, err
		}
		e.Flow = &f
	}
	return e, nil
}

func packStep(s Step) *sekishopb.Step {
	m := &sekishopb.Step{
		What: []byte(s.What), Matched: s.Matched, Decided: s.Decided, Why: []byte(s.Why),
		Part: text(string(s.Part)), Code: text(s.Code), Values: packValues(s.Values), Outcome: text(string(s.Outcome)),
		Author: text(s.Author), Rule: []byte(s.Rule), Handle: s.Handle, To: text(s.To),
	}
	for _, c := range s.Checks {
		m.Checks = append(m.Checks, &sekishopb.Check{
			Operand: text(c.Operand), Matched: c.Matched, Has: []byte(c.Has), Want: []byte(c.Want), Why: []byte(c.Why),
		})
	}
	return m
}

func unpackStep(m *sekishopb.Step) Step {
	s := Step{
		What: string(m.GetWhat()), Matched: m.GetMatched(), Decided: m.GetDecided(), Why: string(m.GetWhy()),
		Part: Part(m.GetPart()), Code: m.GetCode(), Values: unpackValues(m.GetValues()), Outcome: Outcome(m.GetOutcome()),
		Author: m.GetAuthor(), Rule: string(m.GetRule()), Handle: m.GetHandle(), To: m.GetTo(),
	}
	for _, c := range m.GetChecks() {
		s.Checks = append(s.Checks, Check{
			Operand: c.GetOperand(), Matched: c.GetMatched(), Has: string(c.GetHas()), Want: string(c.GetWant()), Why: string(c.GetWhy()),
		})
	}
	return s
}

func packValues(v map[string]string) map[string][]byte {
	if len(v) == 0 {
		return nil
	}
	m := make(map[string][]byte, len(v))
	for k, s := range v {
		m[text(k)] = []byte(s)
	}
	return m
}

func unpackValues(m map[string][]byte) map[string]string {
	if len(m) == 0 {
		return nil
	}
	v := make(map[string]string, len(m))
	for k, s := range m {
		v[k] = string(s)
	}
	return v
}
