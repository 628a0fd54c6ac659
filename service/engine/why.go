package engine

import (
	"context"
	"fmt"
	"strings"

	"sekisho/app/api"
	"sekisho/app/flow"
	"sekisho/app/rule"
)

// Explain says what would be decided about a flow, and why, step by step; then what the
// rest of the machine does to it. It may take seconds, for names.
func (e *Engine) Explain(ctx context.Context, q api.Question) (api.Explanation, error) {
	if q.Live && !q.Asker.Admin {
		return api.Explanation{}, api.Errorf(api.NotPermitted, "an attempt under the kernel's trace is for administrators; use sudo")
	}
	f, past, err := e.wanted(q)
	if err != nil {
		return api.Explanation{}, err
	}
	names, to, unnamed := e.resolve(ctx, &f, q)
	x := e.explainRules(f)
	x.Flow = past
	finishSteps(&x, q.Asker)
	if past != nil {
		x.Steps = append([]api.Step{e.then(past)}, x.Steps...)
	}
	x.Steps = append(x.Steps, names...)
	if err := e.lookAround(ctx, &x, e.running(f, q.User != "" || past != nil), to, q); err != nil {
		return x, err
	}
	if unnamed != nil {
		x.Outcome, x.Culprit = unnamed.Outcome, unnamed
	}
	e.blame(&x, f, q.Asker)
	return x, nil
}

// Decides says what would be decided about a flow, without a look at the rest.
func (e *Engine) Decides(q api.Question) (flow.Decision, error) {
	f, err := asked(q)
	if err != nil {
		return flow.Decision{}, err
	}
	f.Process = e.processNow(f.Process)
	return e.explainRules(f).Decision, nil
}

// wanted makes a flow of a question, or finds the one that it is about.
func (e *Engine) wanted(q api.Question) (f flow.Flow, past *flow.Flow, err error) {
	if q.Flow == "" {
		if f, err = asked(q); err == nil {
			f.Process = e.processNow(f.Process)
		}
		return f, nil, err
	}
	f, ok, err := e.flowByID(q.Flow)
	if err != nil {
		return f, nil, api.Errorf(api.Failed, "the history can't be read: %v", err)
	}
	if !ok || !q.Asker.Sees(f) {
		return f, nil, api.Errorf(api.NotFound, "there is no connection %s; sekishoctl activity --json shows their ids", q.Flow)
	}
	was := f
	f.Process = e.processNow(f.Process)
	return f, &was, nil
}

// processNow is p as it would be judged if it tried now: by the file that is there.
func (e *Engine) processNow(p *flow.Process) *flow.Process {
	if !p.IsFile() {
		if p.Path == "" {
			return p
		}
		return processOf(p.Path)
	}
	exe, err := e.c.Kernel.Identify(p.Path)
	if err != nil {
		return p
	}
	now := *p
	now.Executable, now.Replaced, now.SHA256, now.Integrity = exe, false, "", flow.UnknownIntegrity
	return e.ofFile(e.withPackage(&now))
}

// flowByID finds a flow that lives, waits, or was, by its id or that of its prompt.
func (e *Engine) flowByID(id string) (flow.Flow, bool, error) {
	e.drain()
	if f, ok := e.flowHere(id); ok {
		local := []flow.Flow{f}
		e.locals(local)
		return local[0], true, nil
	}
	return e.c.Store.Flow(id)
}

func (e *Engine) flowHere(id string) (flow.Flow, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, w := range e.waiting.flows {
		if w.flow.ID == id {
			return w.flow, true
		}
	}
	for _, l := range e.live.All() {
		if l.ID == id {
			return l.Flow, true
		}
	}
	if q, ok := e.prompts[id]; ok {
		return q.Flow, true
	}
	for _, f := range e.activity.flows {
		if f.ID == id {
			return f, true
		}
	}
	return flow.Flow{}, false
}

// then says what decided a flow that was.
func (e *Engine) then(f *flow.Flow) api.Step {
	s := api.Step{What: "then", Part: api.PartThen, Code: "then", Values: map[string]string{
		"verdict": f.Decision.Verdict.String(), "kind": string(f.Decision.By.Kind), "id": f.Decision.By.ID, "name": f.Decision.By.Name,
	}}
	verdict := map[flow.Verdict]string{flow.Allow: "It was allowed", flow.Block: "It was blocked", flow.Waiting: "It waits for an answer"}[f.Decision.Verdict]
	by := f.Decision.By
	if by.Kind != flow.ByRule {
		if by.Kind != "" {
			verdict += strings.TrimRight(fmt.Sprintf(", by %s %s", by.Kind, by.Name), " ")
		}
		s.Why = verdict + "."
		return s
	}
	e.mu.Lock()
	r, there := e.set.Rule(by.ID)
	e.mu.Unlock()
	switch {
	case !there:
		s.Values["rule"] = "gone"
		s.Why = fmt.Sprintf("%s, by rule %s, which is gone now.", verdict, by.ID)
	case !r.Enabled:
		s.Values["rule"] = "off"
		s.Why = fmt.Sprintf("%s, by rule %s, which is switched off now.", verdict, by.ID)
	default:
		s.Values["rule"] = "there"
		s.Why = fmt.Sprintf("%s, by rule %s, which is still there.", verdict, by.ID)
	}
	return s
}

// stepOf is what came of a rule, operand by operand.
func stepOf(c rule.Consideration) api.Step {
	s := api.Step{
		What: "rule " + c.Rule.ID, Matched: c.Matched || c.Won, Decided: c.Won, Why: considered(c), Code: "rule",
		Values: map[string]string{"id": c.Rule.ID, "action": c.Rule.Action.String(), "user": c.Rule.User},
	}
	switch {
	case c.Off != "":
		s.Values["off"] = string(c.Off)
	case c.Matched && !c.Won && c.To != nil:
		s.Values["winner"], s.Values["by"], s.Values["theirs"], s.Values["ours"] = c.To.ID, string(c.By), c.Theirs, c.Ours
	}
	for _, k := range c.Checks {
		s.Checks = append(s.Checks, api.Check(k))
	}
	return s
}

// finishSteps gives Sekisho's own steps their codes, and takes out rules that are not the
// asker's to see: another user's, and those for everybody that have nothing to do with it.
func finishSteps(x *api.Explanation, a api.Asker) {
	shown := x.Steps[:0]
	for _, s := range x.Steps {
		s.Part = api.PartSekisho
		if s.Code == "" {
			code, name, _ := strings.Cut(s.What, " ")
			s.Code = code
			if name != "" {
				s.Values = map[string]string{"name": name}
			}
		}
		if a.Admin || s.Code != "rule" || s.Matched || s.Values["user"] != "" && isTheirs(s.Checks) {
			shown = append(shown, s)
		}
	}
	x.Steps = shown
}

// isTheirs: the flow of a question is its asker's, so that a rule's user is too if it is
// the flow's.
func isTheirs(checks []api.Check) bool {
	for _, c := range checks {
		if c.Operand == "user" {
			return c.Matched
		}
	}
	return false
}

// blame settles the outcome of the whole, and what would change it.
func (e *Engine) blame(x *api.Explanation, f flow.Flow, a api.Asker) {
	switch x.Decision.Verdict {
	case flow.Block:
		x.Outcome = api.OutcomeBlocked
	case flow.Waiting:
		if x.Culprit != nil && x.Culprit.Part == api.PartNames {
			return // it does not even come to asking
		}
		x.Outcome = api.OutcomeAsks
	default:
		return
	}
	for _, s := range x.Steps {
		if s.Decided && s.Part == api.PartSekisho {
			x.Culprit = &api.Culprit{Step: s, Remedies: e.remedies(x.Decision, f, a)}
		}
	}
}
