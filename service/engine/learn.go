package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"sekisho/app/api"
	"sekisho/app/flow"
	"sekisho/app/learn"
	"sekisho/app/prompt"
	"sekisho/app/rule"
)

// What the mode learn lets through is noted, and stays until a person has said something to
// the rules that are proposed for it. The notes are made beside the path of the packets: to
// find out what is odd about a program, disks are read.

// learning is what was noted, and what is to be.
type learning struct {
	notes    *learn.Collector
	observed []observed // not noted yet
	changed  bool       // since the notes were written
	saved    time.Time
	parts    int // documents that hold them
}

// observed is a flow that mode learn let through, where it was.
type observed struct {
	flow  flow.Flow
	facts learn.Facts
}

const (
	maxObserved   = 16384 // that wait to be noted
	learnedEvery  = 20 * time.Second
	learnedFirst  = "learned" // the document that says how many there are
	maxLearnedDoc = 512 << 10 // of one document, in bytes
)

// learn keeps f, which has its decision, to be noted.
func (e *Engine) learn(f *flow.Flow) {
	if f.Decision.By.Kind != flow.ByMode || f.Decision.By.Name != string(api.ModeLearn) || len(e.learning.observed) >= maxObserved {
		return
	}
	q := e.query(f)
	e.learning.observed = append(e.learning.observed, observed{*f, learn.Facts{LAN: q.LAN, Network: q.Network}})
}

// noteLearned notes what was observed, and writes the notes from time to time, or with now
// at once.
func (e *Engine) noteLearned(now bool) {
	e.noting.Lock()
	defer e.noting.Unlock()
	e.observe()
	e.mu.Lock()
	l := &e.learning
	due := l.changed && (now || time.Since(l.saved) >= learnedEvery)
	if due {
		l.changed, l.saved = false, time.Now()
	}
	notes := l.notes
	e.mu.Unlock()
	if !due {
		return
	}
	if err := e.saveLearned(notes.Notes()); err != nil {
		e.mu.Lock()
		defer e.mu.Unlock()
		l.changed = true
		e.c.Log.Warn("what was learnt is not saved", "err", err)
	}
}

// observe notes what waits for it. It is called with noting held.
func (e *Engine) observe() {
	e.mu.Lock()
	all := e.learning.observed
	e.learning.observed = nil
	notes := e.learning.notes
	e.mu.Unlock()
	noted := false
	for i := range all {
		f := &all[i].flow
		all[i].facts.Odd = odd(f, e.look(f).warnings)
		noted = notes.Observe(f, all[i].facts) == "" || noted
	}
	if noted {
		e.mu.Lock()
		e.learning.changed = true
		e.mu.Unlock()
	}
}

// odd reports whether a warning speaks so much against a flow that no rule should come of
// it by itself. A bare address is odd for what no package installed: a browser that looks
// names up by itself has nothing else.
func odd(f *flow.Flow, warnings []prompt.Warning) bool {
	return slices.ContainsFunc(warnings, func(w prompt.Warning) bool {
		switch w.Code {
		case prompt.WarnWritableFolder, prompt.WarnInlineCode:
			return false
		case prompt.WarnNoName:
			return f.Process.Package == ""
		case prompt.WarnFresh:
			return f.Process.UID != 0
		}
		return true
	})
}

// recallLearned reads the notes of earlier runs.
func (e *Engine) recallLearned() error {
	var parts int
	if _, err := e.c.Store.Load(learnedFirst, &parts); err != nil {
		return fmt.Errorf("recall what was learnt: %w", err)
	}
	var notes []learn.Note
	for i := range parts {
		var some []learn.Note
		if _, err := e.c.Store.Load(learnedPart(i), &some); err != nil {
			return fmt.Errorf("recall what was learnt: %w", err)
		}
		notes = append(notes, some...)
	}
	e.learning = learning{notes: learn.NewCollector(notes), parts: parts}
	return nil
}

func learnedPart(i int) string { return learnedFirst + "-" + strconv.Itoa(i) }

// saveLearned writes notes in documents that have room for them. It is called with noting
// held.
func (e *Engine) saveLearned(notes []learn.Note) error {
	var part []json.RawMessage
	parts, size := 0, 0
	flush := func() error {
		err := e.c.Store.Save(learnedPart(parts), part)
		parts, size, part = parts+1, 0, nil
		return err
	}
	for i := range notes {
		b, err := json.Marshal(notes[i])
		if err != nil {
			return err
		}
		if size+len(b) > maxLearnedDoc && len(part) > 0 {
			if err := flush(); err != nil {
				return err
			}
		}
		part, size = append(part, b), size+len(b)+1
	}
	if err := flush(); err != nil {
		return err
	}
	for was := e.learning.parts; was > parts; was-- {
		if err := e.c.Store.Save(learnedPart(was-1), []learn.Note{}); err != nil {
			return err
		}
	}
	e.learning.parts = parts
	return e.c.Store.Save(learnedFirst, parts)
}

// propose makes rules of what was noted.
func (e *Engine) propose() (proposals []learn.Proposal, left []learn.Note) {
	e.observe()
	e.mu.Lock()
	notes, set := e.learning.notes, e.set
	e.mu.Unlock()
	return learn.Propose(notes.Notes(), learn.Options{Existing: set, Clock: e.c.Clock(), Interpreter: e.c.Trust.Interpreter})
}

// Learned proposes rules for what mode learn let through and nobody has said anything to.
func (e *Engine) Learned(context.Context) (api.Learned, error) {
	e.drain()
	e.noting.Lock()
	defer e.noting.Unlock()
	proposals, left := e.propose()
	e.mu.Lock()
	defer e.mu.Unlock()
	l := api.Learned{Left: len(left), Skipped: map[string]uint64{}}
	for why, n := range e.learning.notes.Skipped() {
		l.Skipped[string(why)] = n
	}
	for i := range proposals {
		l.Proposals = append(l.Proposals, proposalOf(&proposals[i]))
	}
	return l, nil
}

// maxExamples is how many remote ends a proposal is shown with.
const maxExamples = 8

func proposalOf(p *learn.Proposal) api.Proposal {
	a := api.Proposal{
		ID: p.ID, Rule: p.Rule, Breadth: p.Breadth.String(), Interpreter: p.Interpreter, Overrides: p.Overrides,
		Flows: p.Flows, Hosts: p.Hosts, First: p.First, Last: p.Last,
	}
	for i := range p.Notes {
		n := &p.Notes[i]
		host := n.Name
		if host == "" && n.Addr.IsValid() {
			host = n.Addr.String()
		}
		if host != "" && !slices.Contains(a.Examples, host) && len(a.Examples) < maxExamples {
			a.Examples = append(a.Examples, host)
		}
	}
	return a
}

// AcceptLearned makes rules of proposals, all or none; changed has those that a person
// wants otherwise, by the proposal's id.
func (e *Engine) AcceptLearned(_ context.Context, ids []string, changed map[string]rule.Rule, by string) ([]rule.Rule, error) {
	e.begin()
	defer e.saving.Unlock()
	e.noting.Lock()
	defer e.noting.Unlock()
	proposals, _ := e.propose()
	review := learn.NewReview(proposals)
	settled, err := settle(review, proposals, ids, learn.Accepted)
	if err != nil {
		return nil, err
	}
	for id, r := range changed {
		if !slices.Contains(ids, id) {
			return nil, api.Errorf(api.BadRequest, "proposal %.80q is changed, but not accepted", id)
		}
		if err := review.Change(id, r); err != nil {
			return nil, api.Errorf(api.BadRequest, "%v", err)
		}
	}
	rules := review.Rules()
	for i := range rules {
		r := rule.Normal(rules[i])
		r.ID, r.Enabled, r.Created, r.By, r.Origin = "", true, time.Now().UTC(), by, rule.FromLearn
		r.Lifetime = rule.Lifetime{Kind: rule.Always}
		if err := rule.Validate(r); err != nil {
			return nil, api.Errorf(api.BadRequest, "%v", err)
		}
		rules[i] = r
	}
	if e.ruleCount()+len(rules) > rule.MaxRules {
		return nil, api.Errorf(api.Failed, "with these there would be more than %d rules; remove some first", rule.MaxRules)
	}
	saved, err := e.c.Store.PutRules(rules)
	if err != nil {
		return nil, notSaved(err)
	}
	for i := range saved {
		e.approveRule(&saved[i])
	}
	e.forgetLearned(settled)
	return saved, e.reload()
}

// DropLearned forgets what proposals were made of: it is asked about once the mode is to ask.
func (e *Engine) DropLearned(_ context.Context, ids []string) error {
	e.begin()
	defer e.saving.Unlock()
	e.noting.Lock()
	defer e.noting.Unlock()
	proposals, _ := e.propose()
	settled, err := settle(learn.NewReview(proposals), proposals, ids, learn.Dropped)
	if err != nil {
		return err
	}
	e.forgetLearned(settled)
	return nil
}

// settle says a to the proposals with these ids, and returns what they were made of.
func settle(review *learn.Review, proposals []learn.Proposal, ids []string, a learn.Answer) (map[learn.Key]bool, error) {
	keys := map[learn.Key]bool{}
	for _, id := range ids {
		if err := review.Answer(id, a); err != nil {
			return nil, api.Errorf(api.NotFound, "%v; sekishoctl learn lists them", err)
		}
	}
	for i := range proposals {
		if !slices.Contains(ids, proposals[i].ID) {
			continue
		}
		for _, n := range proposals[i].Notes {
			keys[n.Key] = true
		}
	}
	return keys, nil
}

// forgetLearned takes notes out. It is called with noting held.
func (e *Engine) forgetLearned(which map[learn.Key]bool) {
	e.mu.Lock()
	l := &e.learning
	notes := slices.DeleteFunc(l.notes.Notes(), func(n learn.Note) bool { return which[n.Key] })
	l.notes, l.changed, l.saved = learn.NewCollector(notes), false, time.Now()
	e.mu.Unlock()
	if err := e.saveLearned(notes); err != nil {
		e.mu.Lock()
		defer e.mu.Unlock()
		l.changed = true
		e.c.Log.Warn("what was learnt is not saved", "err", err)
	}
}
