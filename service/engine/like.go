package engine

import (
	"slices"
	"strconv"
	"time"

	"sekisho/app/api"
	"sekisho/app/flow"
	"sekisho/app/prompt"
	"sekisho/app/rule"
)

// answerLike gives a prompt's program the rules of a predecessor that it names: they hold
// for both then. What they don't decide waits on. It is called with saving held.
func (e *Engine) answerLike(id string, a prompt.Answer) error {
	e.mu.Lock()
	q := e.find(id)
	if q == nil {
		e.mu.Unlock()
		return api.Errorf(api.NotFound, "nothing waits for an answer as %s; sekishoctl prompts lists what does", id)
	}
	p, rules := q.Prompt, e.likeRules(q.Flow.Process, a)
	e.mu.Unlock()
	switch {
	case a.Generation != 0 && a.Generation != p.Generation:
		return api.Errorf(api.Failed, "%v", prompt.ErrChanged)
	case !slices.Contains(p.Predecessors, a.Like):
		return api.Errorf(api.BadRequest, "%s is not offered for this question: sekishoctl prompts --json lists its predecessors", a.Like)
	case len(rules) == 0:
		return api.Errorf(api.NotFound, "%s has no rules any more that another program could have", a.Like)
	case e.ruleCount()+len(rules) > rule.MaxRules:
		return api.Errorf(api.Failed, "there are too many rules already; remove some first")
	}
	saved, err := e.c.Store.PutRules(rules)
	if err != nil {
		return notSaved(err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.counters.Answered++
	e.approve(p.Flow.Process.Path, approvalOf(p.Flow.Process))
	e.replaceSet(append(e.rules(), saved...))
	if len(q.flows) == 0 && e.prompts[q.ID] == q {
		e.gone(q) // a missed one: it has its rules for the next time
	}
	e.tellStatus()
	return nil
}

// likeRules are the rules of a predecessor, for p. Those of one process or for once are its
// own. It is called with mu held.
func (e *Engine) likeRules(p *flow.Process, a prompt.Answer) []rule.Rule {
	var rules []rule.Rule
	for _, r := range e.rules() {
		if r.Program.Path != a.Like || !r.Enabled || r.Lifetime.Kind == rule.Once || r.Lifetime.Process != (flow.ProcessID{}) || r.Program.SHA256 != "" {
			continue
		}
		if a.User != "" { // somebody who decides for their own programs alone
			r.User = strconv.FormatUint(uint64(p.UID), 10)
		}
		r.ID, r.Program.Path, r.Ports = "", p.Path, slices.Clone(r.Ports)
		r.Created, r.By, r.Origin, r.Hits, r.LastUsed = time.Now().UTC(), a.By, rule.FromAnswer, 0, time.Time{}
		rules = append(rules, rule.Normal(r))
	}
	return rules
}
