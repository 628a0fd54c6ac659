package engine

import (
	"errors"
	"time"

	"sekisho/app/api"
	"sekisho/app/flow"
	"sekisho/app/prompt"
	"sekisho/service/traffic"
)

// Bounds of asking. What is beyond them is blocked and counted, or a program could flood
// the queue, and the person.
const (
	maxWaiting          = 2048 // flows that wait, in all
	maxWaitingUser      = 1024 // of one user, who must not leave the others without
	maxWaitingProgram   = 512  // of one program
	maxPackets          = 32   // of one flow
	maxQuestions        = 768  // prompts that are kept, missed ones too
	maxQuestionsUser    = 384  // of one user, that wait
	maxQuestionsProgram = 128  // of one program, that wait
)

const (
	limitDeadline     = "deadline"
	limitUnattended   = "unattended"
	limitWaiting      = "waiting-flows"
	limitIdentity     = "identity"     // it runs something else than it executed
	limitUnattributed = "unattributed" // whose it is isn't known
	limitRuleEnded    = "rule-ended"   // the rule that allowed it was removed, or has ended
	limitNotHeld      = "not-held"     // refused, since nothing can hold its packets; allowed by now
	limitNamespace    = "other-namespace"
	limitBefore       = "began-before" // it was there before the service
	unattendedBlock   = "block"
	unattendedPackage = "allow-packaged"
)

// question is a prompt with the flows that it joins.
type question struct {
	prompt.Prompt
	key   prompt.Key
	flows map[traffic.Key]*waitingFlow
	ended bool // its process has
}

// hold adds a packet to a flow that waits already.
func (e *Engine) hold(w *waitingFlow, h Held) {
	if h == nil {
		return
	}
	if len(w.held) >= maxPackets {
		e.counters.OverLimit++
		give([]Held{h}, Held.Drop, e.c.Log)
		return
	}
	w.held = append(w.held, h)
}

// ask lets a flow wait for a person's answer.
func (e *Engine) ask(f *flow.Flow, p Packet, seen *facts) {
	finish := func(d flow.Decision) {
		if p.Held == nil {
			e.finishRefused(f, p.Owner, d)
		} else {
			e.finish(f, p.Owner, d, []Held{p.Held})
		}
	}
	if d, ok := e.unattended(f); ok && d.Verdict == flow.Allow {
		finish(d)
		return
	}
	key := prompt.KeyOf(*f)
	q := e.byKey[key]
	if e.tooMany(f, q) {
		e.counters.OverLimit++
		finish(flow.Decision{Verdict: flow.Block, By: flow.By{Kind: flow.ByLimit, Name: limitWaiting}})
		return
	}
	if f.ID == "" {
		f.ID = e.newID()
	}
	f.Decision, f.Warnings = flow.Decision{Verdict: flow.Waiting}, seen.warnings
	w := &waitingFlow{flow: *f, owner: p.Owner, refused: p.Held == nil, deadline: time.Now().Add(e.settings.Deadline)}
	e.hold(w, p.Held)
	if q == nil {
		q = e.question(f, key, seen)
	}
	w.question = q
	q.flows[traffic.KeyOf(f)] = w
	e.waiting.add(w)
	if q.State != prompt.Waiting { // a missed one that is asked again
		q.State = prompt.Waiting
		q.Flow = *f
		q.Generation++
		e.unmiss(q.ID)
	}
	e.changed(q)
	e.tellFlow(f)
	e.tellStatus()
	if _, open := e.c.Kernel.OwnerOfSocket(f.Cookie); !open && f.Cookie != 0 {
		e.gaveUp(w) // its end was told before its packet came
	}
}

func (e *Engine) question(f *flow.Flow, key prompt.Key, seen *facts) *question {
	e.counters.Prompts++
	q := &question{
		Prompt: prompt.Prompt{
			ID: e.newID(), Generation: 1, Flow: *f, State: prompt.Waiting,
			Warnings: seen.warnings, Scopes: prompt.Scopes(*f), Predecessors: seen.predecessors,
		},
		key: key, flows: map[traffic.Key]*waitingFlow{},
	}
	e.prompts[q.ID], e.byKey[key] = q, q
	return q
}

func (e *Engine) tooMany(f *flow.Flow, q *question) bool {
	w := &e.waiting
	return len(w.flows) >= maxWaiting || w.ofUser[f.Process.UID] >= maxWaitingUser ||
		w.ofProgram[f.Process.Key()] >= maxWaitingProgram || q == nil && !e.roomForQuestion(f)
}

// roomForQuestion forgets the oldest missed prompt if that makes room.
func (e *Engine) roomForQuestion(f *flow.Flow) bool {
	ofUser, ofProgram := 0, 0
	var oldest *question
	for _, q := range e.prompts {
		switch {
		case q.State != prompt.Waiting:
			if oldest == nil || q.Flow.Time.Before(oldest.Flow.Time) {
				oldest = q
			}
		case q.Flow.Process.UID == f.Process.UID:
			ofUser++
			if q.Flow.Process.Key() == f.Process.Key() {
				ofProgram++
			}
		}
	}
	if ofUser >= maxQuestionsUser || ofProgram >= maxQuestionsProgram {
		return false
	}
	if len(e.prompts) < maxQuestions {
		return true
	}
	if oldest == nil {
		return false
	}
	e.gone(oldest)
	return true
}

// unattended says what happens when nobody is there who could answer.
func (e *Engine) unattended(f *flow.Flow) (flow.Decision, bool) {
	if e.attended(f) {
		return flow.Decision{}, false
	}
	v := flow.Block
	p := f.Process
	if e.settings.Unattended == unattendedPackage && p.Package != "" && p.Integrity != flow.Modified && !p.Replaced && p.Script == "" && !p.Inline {
		v = flow.Allow
	}
	return flow.Decision{Verdict: v, By: flow.By{Kind: flow.ByLimit, Name: limitUnattended}}, true
}

// changed brings a prompt up to date and tells those who look.
func (e *Engine) changed(q *question) {
	q.Flows = len(q.flows)
	q.Deadline = time.Time{}
	for _, w := range q.flows {
		if q.Deadline.IsZero() || w.deadline.Before(q.Deadline) {
			q.Deadline = w.deadline
		}
	}
	e.tellPrompt(q)
}

// endWaits blocks the flows whose deadline has passed.
func (e *Engine) endWaits() {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := time.Now()
	for _, w := range e.waiting.flows {
		if now.Before(w.deadline) {
			continue
		}
		d, nobody := e.unattended(&w.flow)
		if !nobody {
			d = flow.Decision{Verdict: flow.Block, By: flow.By{Kind: flow.ByLimit, Name: limitDeadline}}
		}
		q := w.question
		e.release(w, d)
		if d.Verdict == flow.Block {
			e.tellBlocked(&w.flow)
		}
		if len(q.flows) == 0 {
			e.counters.Missed++
			e.miss(q, prompt.Missed)
		}
	}
}

// release gives a waiting flow its decision.
func (e *Engine) release(w *waitingFlow, d flow.Decision) {
	e.waiting.remove(w)
	delete(w.question.flows, traffic.KeyOf(&w.flow))
	if w.refused {
		e.finishRefused(&w.flow, w.owner, d)
		return
	}
	held := w.held
	w.held = nil
	e.finish(&w.flow, w.owner, d, held)
}

// miss keeps a prompt that nobody answered in the inbox.
func (e *Engine) miss(q *question, s prompt.State) {
	q.State = s
	q.Generation++
	e.changed(q)
	e.tellStatus()
	p := q.Prompt
	e.inbox[q.ID] = &p
}

// unmiss takes a prompt out of the inbox again.
func (e *Engine) unmiss(id string) { e.inbox[id] = nil }

// saveMissed writes what changed in the inbox: not at once, for a program that asks for a
// thousand things must not make the disk the bound of everybody's packets.
func (e *Engine) saveMissed() {
	e.mu.Lock()
	changed := e.inbox
	e.inbox = map[string]*prompt.Prompt{}
	e.mu.Unlock()
	var put []prompt.Prompt
	var gone []string
	for id, p := range changed {
		if p == nil {
			gone = append(gone, id)
		} else {
			put = append(put, *p)
		}
	}
	var err error
	if len(put) > 0 {
		err = e.c.Store.PutMissed(put...)
	}
	if len(gone) > 0 {
		err = errors.Join(err, e.c.Store.DeleteMissed(gone...))
	}
	if err == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.problem("save", api.NewProblem(api.ProblemMissedNotSaved, err.Error()))
	for id, p := range changed {
		if _, newer := e.inbox[id]; !newer && len(e.inbox) < 2*maxQuestions {
			e.inbox[id] = p
		}
	}
}

// gone forgets a prompt: it needs no answer any more.
func (e *Engine) gone(q *question) {
	missed := q.State != prompt.Waiting
	delete(e.prompts, q.ID)
	if e.byKey[q.key] == q {
		delete(e.byKey, q.key)
	}
	if missed {
		e.unmiss(q.ID)
	}
	e.tellGone(q)
}

// gaveUp takes a flow out whose socket was closed before anybody answered.
func (e *Engine) gaveUp(w *waitingFlow) {
	e.waiting.remove(w)
	q := w.question
	delete(q.flows, traffic.KeyOf(&w.flow))
	w.give(Held.Drop, e.c.Log)
	w.flow.Decision = flow.Decision{Verdict: flow.Block, By: flow.By{Kind: flow.ByLimit, Name: "gave-up"}}
	w.flow.State = flow.Closed
	w.flow.Ended = time.Now()
	e.note(&w.flow)
	if len(q.flows) > 0 {
		e.changed(q)
		return
	}
	e.counters.Missed++
	if q.ended {
		e.miss(q, prompt.Ended)
	} else {
		e.miss(q, prompt.GaveUp)
	}
}
