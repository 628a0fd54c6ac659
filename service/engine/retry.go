package engine

import (
	"errors"
	"time"

	"sekisho/app/flow"
	"sekisho/service/bpf"
)

// Where nothing can hold a packet an undecided flow is refused, and asked about all the
// same: an answer for once is then for the next attempt. What has no socket (the kernel's
// own, and what is forwarded) has no end either: an answer for once holds for a while.

// retry is such an answer.
type retry struct {
	flow     flow.Flow // that was answered
	decision flow.Decision
	until    time.Time
	once     bool // the next attempt uses it up
	taught   bool
	ref      exactRef
}

// retryKey is whom and what a retry is for.
type retryKey struct {
	program    string // flow.Program.Key
	executable flow.Executable
	process    flow.ProcessID // of code that has no name of its own
	uid        uint32
	peer       bpf.Peer
}

const maxRetries = 4096

func retryOf(f *flow.Flow) retryKey {
	k := retryKey{program: f.Process.Key(), executable: f.Process.Executable, uid: f.Process.UID, peer: peerOf(f)}
	if f.Process.Inline || f.Process.Path == "" {
		k.process = f.Process.ProcessID
	}
	return k
}

// keepRetry keeps an answer for the next attempt, or for a while, and tells the kernel.
func (e *Engine) keepRetry(f *flow.Flow, o bpf.Owner, d flow.Decision, once bool) {
	k := retryOf(f)
	r := e.retries[k]
	if r == nil {
		if len(e.retries) >= maxRetries {
			e.counters.OverLimit++
			return
		}
		r = &retry{flow: *f, decision: d, until: time.Now().Add(e.settings.Deadline), once: once}
		e.retries[k] = r
	}
	if !known(o) || once && d.Verdict == flow.Block {
		return // nothing of it passes in any case, and what is refused is asked about again
	}
	subject, _, err := e.subject(f, o)
	if err == nil {
		if ref := (exactRef{subject, peerOf(f)}); ref != r.ref {
			e.forgetRetry(r)
			r.ref, r.taught = ref, true
		}
		err = e.teachRetry(r)
	}
	if err != nil {
		e.c.Log.Warn("an answer for the next attempt stays out of the kernel", "err", err)
	}
}

func (e *Engine) teachRetry(r *retry) error {
	return e.c.Kernel.SetExact(r.ref.subject, r.ref.peer, kernelVerdict(r.decision.Verdict), e.control.Generation)
}

// teachRetries tells the kernel again what holds for next attempts, after everything that
// it was told has become stale. An answer that was given before a rule or a mode that
// decides its flow by now is over.
func (e *Engine) teachRetries() error {
	var errs []error
	for k, r := range e.retries {
		if e.overruled(r) {
			delete(e.retries, k)
			e.forgetRetry(r)
		} else if r.taught {
			errs = append(errs, e.teachRetry(r))
		}
	}
	return errors.Join(errs...)
}

func (e *Engine) overruled(r *retry) bool {
	if _, ok := e.first(&r.flow); ok {
		return true
	}
	by, ok := e.rule(&r.flow)
	if _, listed := e.byList(&r.flow, by); listed {
		return true
	}
	return ok && decidedBy(by) != r.decision
}

func (e *Engine) forgetRetry(r *retry) {
	if !r.taught {
		return
	}
	r.taught = false
	if err := e.c.Kernel.ForgetExact(r.ref.subject, r.ref.peer); err != nil {
		e.c.Log.Warn("an old decision stays in the kernel", "err", err)
	}
}

// retryFor is the answer that is kept for f, nil if there is none.
func (e *Engine) retryFor(f *flow.Flow) *retry {
	if len(e.retries) == 0 { // nearly always
		return nil
	}
	return e.retries[retryOf(f)]
}

// usedRetry takes back an answer for one attempt, which f was.
func (e *Engine) usedRetry(f *flow.Flow) {
	if r := e.retryFor(f); r != nil && r.once && r.decision.Verdict == flow.Allow {
		delete(e.retries, retryOf(f))
		e.forgetRetry(r)
	}
}

// endRetries takes back the answers whose time is over.
func (e *Engine) endRetries() {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := time.Now()
	for k, r := range e.retries {
		if now.After(r.until) {
			delete(e.retries, k)
			e.forgetRetry(r)
		}
	}
}

// finishRefused publishes the decision about a flow that was refused before: what d allows
// passes when it is tried again.
func (e *Engine) finishRefused(f *flow.Flow, o bpf.Owner, d flow.Decision) {
	f.Decision = d
	if d.By.Kind == flow.ByAnswer {
		e.keepRetry(f, o, d, true)
	} else {
		e.teach(f, o)
	}
	if d.Verdict == flow.Allow {
		f.Decision = flow.Decision{Verdict: flow.Block, By: flow.By{Kind: flow.ByLimit, Name: limitNotHeld}}
	} else {
		e.use(d)
	}
	if f.ID == "" {
		f.ID = e.newID()
	}
	f.State, f.Ended = flow.Closed, time.Now()
	e.note(f)
}
