package engine

import (
	"context"
	"errors"

	"sekisho/app/api"
	"sekisho/app/flow"
	"sekisho/app/prompt"
	"sekisho/app/rule"
)

// Answer settles a prompt, and whatever else its rule covers. A rule is on disk before
// any packet leaves by it.
func (e *Engine) Answer(_ context.Context, id string, a prompt.Answer) (*rule.Rule, error) {
	e.begin()
	defer e.saving.Unlock()
	if a.Like != "" {
		return nil, e.answerLike(id, a)
	}
	by := prompt.Author{Name: a.By, OwnOnly: a.User != ""}

	e.mu.Lock()
	q := e.find(id)
	if q == nil {
		e.mu.Unlock()
		return nil, api.Errorf(api.NotFound, "nothing waits for an answer as %s; sekishoctl prompts lists what does", id)
	}
	p := q.Prompt
	if p.State != prompt.Waiting && a.Lifetime == rule.Once {
		e.mu.Unlock()
		return nil, api.Errorf(api.BadRequest, "nothing waits for that any more, so it can't be answered for once: answer always, or for a time, and it holds for the next connection")
	}
	r, err := prompt.Rule(p, a, e.c.Clock(), by)
	e.mu.Unlock()
	if errors.Is(err, prompt.ErrChanged) {
		return nil, api.Errorf(api.Failed, "%v", err)
	}
	if err != nil {
		return nil, api.Errorf(api.BadRequest, "%v", err)
	}
	if r != nil {
		saved, err := e.c.Store.PutRule(*r)
		if err != nil {
			return nil, api.Errorf(api.Failed, "the rule is not saved, so nothing was let through: %v", err)
		}
		r = &saved
	}

	e.mu.Lock()
	defer e.mu.Unlock()
	e.counters.Answered++
	if r != nil {
		if f := q.Flow; r.Action == rule.Allow && f.Process != nil {
			e.approve(f.Process.Path, approvalOf(f.Process))
		}
		e.replaceSet(append(e.rules(), *r))
	}
	d := flow.Decision{Verdict: flow.Block, By: flow.By{Kind: flow.ByAnswer, Name: a.By}}
	if a.Action == rule.Allow {
		d.Verdict = flow.Allow
	}
	if r == nil {
		for _, w := range e.waiting.flows {
			if w.question == q || prompt.Covers(p, a, by, w.flow) {
				e.answered(w, d)
			}
		}
	} else {
		// What the rule covers was settled with the new set; the question's own flows are
		// settled even where a more specific rule says nothing of them.
		for _, w := range q.flows {
			e.answered(w, d)
		}
	}
	if e.prompts[q.ID] == q {
		e.gone(q)
	}
	e.tellStatus()
	return r, nil
}

// answered releases a flow and forgets its prompt with the last one.
func (e *Engine) answered(w *waitingFlow, d flow.Decision) {
	q := w.question
	e.release(w, d)
	if len(q.flows) == 0 {
		e.gone(q)
	} else {
		e.changed(q)
	}
}

// find looks a prompt up by its id or that of one of its flows.
func (e *Engine) find(id string) *question {
	if q, ok := e.prompts[id]; ok {
		return q
	}
	for _, w := range e.waiting.flows {
		if w.flow.ID == id {
			return w.question
		}
	}
	return nil
}

// settleWaiting decides the waiting flows again, with other rules or in another mode.
func (e *Engine) settleWaiting() {
	for _, w := range e.waiting.flows {
		if p := w.flow.Process; p.Replaced && e.provenHere(p.Executable, p.Path) {
			q := *p
			q.Replaced = false
			w.flow.Process = &q
		}
		if d := e.decide(&w.flow, w.owner); d.Verdict != flow.Waiting {
			e.answered(w, d)
		}
	}
}

// Prompts lists what waits for an answer and what was missed.
func (e *Engine) Prompts(context.Context) ([]prompt.Prompt, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	list := make([]prompt.Prompt, 0, len(e.prompts))
	for _, q := range e.prompts {
		list = append(list, q.Prompt)
	}
	sortPrompts(list)
	return list, nil
}
