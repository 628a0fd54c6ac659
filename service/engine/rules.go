package engine

import (
	"context"
	"io"
	"maps"
	"slices"
	"time"

	"sekisho/app/api"
	"sekisho/app/flow"
	"sekisho/app/rule"
)

// Every change of the rules goes the same way, whoever makes it: onto the disk, into a
// new Set, into the kernel, and then to the flows that wait or live.

// begin begins a change that somebody asked for, and takes saving. What the kernel has
// decided until now is shown as decided by what holds now.
func (e *Engine) begin() {
	e.drain()
	e.saving.Lock()
}

// rules is a copy of all rules, with their hits up to now.
func (e *Engine) rules() []rule.Rule {
	list := slices.Clone(e.set.Rules())
	for i := range list {
		if u, ok := e.uses[list[i].ID]; ok {
			list[i].Hits, list[i].LastUsed = u.Hits, u.Last
		}
	}
	return list
}

// replaceSet puts other rules into force.
func (e *Engine) replaceSet(rules []rule.Rule) {
	e.set = rule.NewSet(rules)
	e.reconsider()
	e.tellRules()
}

// reconsider makes a change take hold: in the kernel first, then for what waits, then
// for what lives.
func (e *Engine) reconsider() {
	e.refreshed()
	e.settleWaiting()
	e.endForbidden()
	e.tellStatus()
}

// reload reads the rules back after a write, so that what decides is what is on disk.
func (e *Engine) reload() error {
	rules, err := e.c.Store.Rules()
	if err != nil {
		return notSaved(err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	hold, _ := current(rules, e.c.Clock())
	e.replaceSet(slices.DeleteFunc(hold, func(r rule.Rule) bool { return e.over[r.ID] }))
	return nil
}

func notSaved(err error) error {
	return api.Errorf(api.Failed, "not saved, nothing was changed: %v", err)
}

// Rules lists them.
func (e *Engine) Rules(context.Context) ([]rule.Rule, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.rules(), nil
}

func (e *Engine) ruleCount() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.set.Len()
}

// prepared fills in what the service knows of a rule that somebody wrote.
func (e *Engine) prepared(r rule.Rule, span time.Duration) (rule.Rule, error) {
	now := e.c.Clock()
	if r.Lifetime.Kind == "" {
		r.Lifetime.Kind = rule.Always
	}
	l, err := rule.NewLifetime(r.Lifetime.Kind, span, now, r.Lifetime.Process)
	if err != nil {
		return r, api.Errorf(api.BadRequest, "%v", err)
	}
	r.Lifetime = l
	r = rule.Normal(r)
	if err := rule.Validate(r); err != nil {
		return r, api.Errorf(api.BadRequest, "%v", err)
	}
	return r, nil
}

// AddRule saves a new rule.
func (e *Engine) AddRule(_ context.Context, r rule.Rule, span time.Duration) (rule.Rule, error) {
	r.ID, r.Created, r.Hits, r.LastUsed = "", time.Now().UTC(), 0, time.Time{}
	if r.Origin == "" {
		r.Origin = rule.FromCommand
	}
	r, err := e.prepared(r, span)
	if err != nil {
		return r, err
	}
	e.begin()
	defer e.saving.Unlock()
	if e.ruleCount() >= rule.MaxRules {
		return r, api.Errorf(api.Failed, "there are %d rules already, no more are kept; remove some first", rule.MaxRules)
	}
	if r, err = e.c.Store.PutRule(r); err != nil {
		return r, notSaved(err)
	}
	e.approveRule(&r)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.replaceSet(append(e.rules(), r))
	return r, nil
}

// EditRule replaces the rule with r's id; its history stays.
func (e *Engine) EditRule(_ context.Context, r rule.Rule, span time.Duration) (rule.Rule, error) {
	e.begin()
	defer e.saving.Unlock()
	old, err := e.ruleByID(r.ID)
	if err != nil {
		return r, err
	}
	r.Created, r.Hits, r.LastUsed, r.Origin = old.Created, old.Hits, old.LastUsed, old.Origin
	if r.Lifetime.Kind == rule.Until && span == 0 {
		r.Lifetime = old.Lifetime // unchanged: it goes on running
		r = rule.Normal(r)
		if err := rule.Validate(r); err != nil {
			return r, api.Errorf(api.BadRequest, "%v", err)
		}
	} else if r, err = e.prepared(r, span); err != nil {
		return r, err
	}
	if r, err = e.c.Store.PutRule(r); err != nil {
		return r, notSaved(err)
	}
	if r.Program.Path != old.Program.Path {
		e.approveRule(&r)
	}
	return r, e.reload()
}

// EnableRule switches a rule on or off.
func (e *Engine) EnableRule(_ context.Context, id string, on bool) error {
	e.begin()
	defer e.saving.Unlock()
	r, err := e.ruleByID(id)
	if err != nil {
		return err
	}
	r.Enabled = on
	if _, err := e.c.Store.PutRule(r); err != nil {
		return notSaved(err)
	}
	return e.reload()
}

// RemoveRule forgets a rule.
func (e *Engine) RemoveRule(_ context.Context, id string) error {
	e.begin()
	defer e.saving.Unlock()
	if _, err := e.ruleByID(id); err != nil {
		return err
	}
	if err := e.c.Store.DeleteRules([]string{id}); err != nil {
		return notSaved(err)
	}
	return e.reload()
}

// ImportRules adds or replaces rules from a file, all or none.
func (e *Engine) ImportRules(_ context.Context, file []byte, replace bool) (int, error) {
	rules, err := rule.ReadFile(file)
	if err != nil {
		return 0, api.Errorf(api.BadRequest, "nothing was imported: %v", err)
	}
	e.begin()
	defer e.saving.Unlock()
	for i := range rules {
		rules[i].Origin = rule.FromImport
		if rules[i].Created.IsZero() {
			rules[i].Created = time.Now().UTC()
		}
	}
	if replace {
		_, err = e.c.Store.ReplaceRules(rules)
	} else {
		for i := range rules {
			rules[i].ID = "" // ids of another machine mean nothing here
		}
		_, err = e.c.Store.PutRules(rules)
	}
	if err != nil {
		return 0, notSaved(err)
	}
	return len(rules), e.reload()
}

func (e *Engine) ruleByID(id string) (rule.Rule, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	r, ok := e.set.Rule(id)
	if !ok {
		return rule.Rule{}, api.Errorf(api.NotFound, "there is no rule %s; sekishoctl rule list shows them", id)
	}
	return *r, nil
}

// endLifetimes takes out what has ended by now: rules, and a mode for a span.
func (e *Engine) endLifetimes() {
	e.endModeSpan()
	e.mu.Lock()
	now := e.c.Clock()
	next, any := e.set.NextEnd(now)
	var ended []string
	if any && next <= 0 {
		_, ended = current(e.set.Rules(), now)
	}
	if len(ended) > 0 {
		e.dropRules(ended...)
	}
	e.mu.Unlock()
}

// nextEnd is how long it takes until something ends by the clock.
func (e *Engine) nextEnd() (time.Duration, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.c.Clock()
	left, any := e.set.NextEnd(now)
	if e.mode.Then != "" && e.mode.Boot == now.Boot && (!any || e.mode.Deadline-now.Since < left) {
		left, any = e.mode.Deadline-now.Since, true
	}
	return left, any
}

// dropRules takes rules out that are over. They are forgotten on disk afterwards: what has
// ended must not decide even if the disk is full.
func (e *Engine) dropRules(ids ...string) {
	for _, id := range ids {
		e.over[id] = true
	}
	e.replaceSet(slices.DeleteFunc(e.rules(), func(r rule.Rule) bool { return e.over[r.ID] }))
}

// deleteOver forgets on disk the rules that have ended.
func (e *Engine) deleteOver() {
	e.saving.Lock()
	defer e.saving.Unlock()
	e.mu.Lock()
	ids := slices.Collect(maps.Keys(e.over))
	e.mu.Unlock()
	if len(ids) == 0 {
		return
	}
	err := e.c.Store.DeleteRules(ids)
	e.mu.Lock()
	defer e.mu.Unlock()
	if err != nil {
		e.problem("ended", api.NewProblem(api.ProblemEndedNotSaved, err.Error()))
		return
	}
	e.solved("ended")
	for _, id := range ids {
		delete(e.over, id)
	}
}

// endQuit ends the rules that held until process id quit.
func (e *Engine) endQuit(id flow.ProcessID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var over []string
	for _, r := range e.set.Rules() {
		if r.Lifetime.Kind != rule.Quit {
			continue
		}
		if r.Lifetime.Process == id || r.Lifetime.Process == (flow.ProcessID{}) && e.lastOf(r.Program.Path, id) {
			over = append(over, r.ID)
		}
	}
	if len(over) > 0 {
		e.dropRules(over...)
	}
}

// endQuitBefore ends the rules whose program quit while no service ran.
func (e *Engine) endQuitBefore() {
	var over []string
	all := e.set.Rules()
	for i := range all {
		r := &all[i]
		if r.Lifetime.Kind != rule.Quit {
			continue
		}
		alive := r.Program.Path == "" || len(e.c.Processes.Running(r.Program.Path)) > 0
		if id := r.Lifetime.Process; id != (flow.ProcessID{}) {
			_, alive = e.c.Processes.Find(id)
		}
		if !alive {
			e.over[r.ID] = true
			over = append(over, r.ID)
		}
	}
	if len(over) > 0 {
		e.lapsed = append(e.lapsed, lapsed(all, over, e.c.Clock())...)
		e.set = rule.NewSet(slices.DeleteFunc(e.rules(), func(r rule.Rule) bool { return e.over[r.ID] }))
	}
}

// lastOf reports whether the process that ended was the last one that ran path.
func (e *Engine) lastOf(path string, id flow.ProcessID) bool {
	p, ok := e.c.Processes.Find(id)
	return ok && p.Path == path && len(e.c.Processes.Running(path)) == 0
}

// Backup writes everything that is remembered.
func (e *Engine) Backup(_ context.Context, w io.Writer) error {
	e.save()
	if err := e.c.Store.Backup(w); err != nil {
		return api.Errorf(api.Failed, "no backup was made: %v", err)
	}
	return nil
}

// Restore puts a backup in place of everything that is remembered.
func (e *Engine) Restore(_ context.Context, r io.Reader) error {
	e.begin()
	defer e.saving.Unlock()
	e.noting.Lock()
	defer e.noting.Unlock()
	if err := e.c.Store.Restore(r); err != nil {
		return api.Errorf(api.BadRequest, "nothing was restored: %v", err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	clear(e.hits)
	clear(e.uses)
	clear(e.over)
	for _, q := range e.ordered() {
		if len(q.flows) == 0 {
			delete(e.prompts, q.ID)
			delete(e.byKey, q.key)
			e.tellGone(q)
		}
	}
	if err := e.recall(); err != nil {
		return err
	}
	e.reconsider()
	e.tellRules()
	return nil
}
