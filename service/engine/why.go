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
	x, err := e.explainRules(f)
	if err != nil {
		return x, err
	}
	x.Flow = past
	e.finishSteps(&x, q.Asker)
	if past != nil {
		x.Steps = append([]api.Step{e.then(past, q.Asker)}, x.Steps...)
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
	x, err := e.explainRules(f)
	return x.Decision, err
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
func (e *Engine) then(f *flow.Flow, a api.Asker) api.Step {
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
func (e *Engine) finishSteps(x *api.Explanation, a api.Asker) {
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

// remedies are what would have Sekisho allow f.
func (e *Engine) remedies(d flow.Decision, f flow.Flow, a api.Asker) []api.Remedy {
	var all []api.Remedy
	add := func(code, what string, values map[string]string) {
		all = append(all, api.Remedy{Code: code, Values: values, What: what})
	}
	if d.Verdict == flow.Waiting {
		add("answer", "Answer when it asks.", nil)
	}
	if d.By.Kind == flow.ByMode && d.Verdict == flow.Block {
		add("mode", "Change the mode: sekishoctl mode ask.", map[string]string{"mode": string(api.ModeAsk)})
		if d.By.Name == string(api.ModeLockdown) {
			return all // rules are not looked at
		}
	}
	if d.By.Kind == flow.ByList {
		r := overList(f)
		add("except", fmt.Sprintf("Except it from the list %s, or make a rule that names it: %s.", d.By.Name, ruleCommand(&r)),
			map[string]string{"list": d.By.ID, "name": d.By.Name})
		return all
	}
	e.mu.Lock()
	changes := e.set.Changes(e.query(&f), e.c.Clock(), rule.Allow)
	e.mu.Unlock()
	for _, c := range changes {
		if !a.Admin && !ownsAll(c.Rules, f.Process) {
			continue
		}
		add(string(c.Do), changeWords(c), changeValues(c))
	}
	return all
}

// overList is the rule that lets f pass though a list has it: it names the other end.
func overList(f flow.Flow) rule.Rule {
	r := rule.Rule{Action: rule.Allow, Direction: rule.Out, Program: rule.Program{Path: f.Process.Path, Script: f.Process.Script}, Remote: rule.Remote{Name: f.Remote.Name}}
	if f.Remote.Name == "" {
		r.Remote = rule.Remote{Address: f.Remote.Addr}
	}
	if f.Direction == flow.In {
		r.Direction = rule.In
	}
	return r
}

// ownsAll reports whether rules are the user's own to change; a new one can be made so.
func ownsAll(rules []*rule.Rule, p *flow.Process) bool {
	for _, r := range rules {
		if r.ID != "" && (r.User == "" || r.User != p.User && r.User != fmt.Sprint(p.UID)) {
			return false
		}
	}
	return true
}

func changeValues(c rule.Change) map[string]string {
	v := map[string]string{}
	var ids []string
	for _, r := range c.Rules {
		if r.ID != "" {
			ids = append(ids, r.ID)
		}
	}
	if len(ids) > 0 {
		v["rules"] = strings.Join(ids, " ")
	}
	if c.Check != nil {
		v["operand"], v["has"], v["want"] = c.Check.Operand, c.Check.Has, c.Check.Want
	}
	if c.Then != nil && c.Then.ID != "" {
		v["then"] = c.Then.ID
	}
	return v
}

func changeWords(c rule.Change) string {
	switch c.Do {
	case rule.SwitchOff:
		var words []string
		for _, r := range c.Rules {
			words = append(words, "sekishoctl rule disable "+r.ID)
		}
		then := "; then you are asked, unless something else decides."
		if c.Then != nil {
			then = fmt.Sprintf("; then rule %s allows it.", c.Then.ID)
		}
		return "Switch off what blocks it: " + strings.Join(words, ", ") + then
	case rule.SwitchOn:
		return fmt.Sprintf("Switch on rule %s, which allows it: sekishoctl rule enable %s.", c.Rules[0].ID, c.Rules[0].ID)
	case rule.Edit:
		return fmt.Sprintf("Change rule %s, which would allow it but that it wants %s %s, and this is %s.", c.Rules[0].ID, c.Check.Operand, c.Check.Want, c.Check.Has)
	}
	return "Make a rule: " + ruleCommand(c.Rules[0]) + "."
}

// ruleCommand is the command that makes r.
func ruleCommand(r *rule.Rule) string {
	words := []string{"sekishoctl rule add --action", r.Action.String()}
	add := func(flag, value string) {
		if value != "" {
			words = append(words, "--"+flag, shellWord(value))
		}
	}
	add("program", r.Program.Path)
	add("script", r.Program.Script)
	if r.Direction != rule.Out {
		add("direction", r.Direction.String())
	}
	if !r.Remote.IsAny() {
		add("to", r.Remote.String())
	}
	if len(r.Ports) > 0 {
		add("port", rule.FormatPorts(r.Ports))
	}
	add("protocol", r.Protocol.String())
	add("user", r.User)
	return strings.Join(words, " ")
}

func shellWord(s string) string {
	if strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:,") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
