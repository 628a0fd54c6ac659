package engine

import (
	"sekisho/app/api"
	"sekisho/app/flow"
	"sekisho/app/rule"
	"sekisho/service/bpf"
	"sekisho/service/traffic"
)

// decide says what is to be done with a flow; Waiting means that a person must say. The
// order is that of the design: what comes before everything, lists, rules, what was answered
// for this very flow, presets, the mode.
func (e *Engine) decide(f *flow.Flow, o bpf.Owner) flow.Decision {
	if d, ok := e.first(f); ok {
		return d
	}
	if o.Mismatch {
		return flow.Decision{Verdict: flow.Block, By: flow.By{Kind: flow.ByLimit, Name: limitIdentity}}
	}
	r, ok := e.rule(f)
	if d, listed := e.byList(f, r); listed {
		return d
	}
	if ok {
		return decidedBy(r)
	}
	if l := e.live.Get(traffic.KeyOf(f)); l != nil && ofItself(l.Decision) && sameUser(l.Process, f.Process) {
		return l.Decision
	}
	if r := e.retryFor(f); r != nil {
		return r.decision
	}
	if d, ok := e.preset(e.shipped().normal, f); ok {
		return d
	}
	if d, ok := e.trust(f); ok {
		return d
	}
	if d, ok := byMode(e.mode.Mode); ok {
		return d
	}
	if f.Process.Path == "" {
		return flow.Decision{Verdict: flow.Block, By: flow.By{Kind: flow.ByLimit, Name: limitUnattributed}}
	}
	return flow.Decision{Verdict: flow.Waiting}
}

// count counts a flow that has its decision.
func (e *Engine) count(d flow.Decision) {
	e.counters.Flows++
	if d.By.Kind == flow.ByLimit && (d.By.Name == limitIdentity || d.By.Name == limitUnattributed) {
		e.counters.Unattributed++
	}
}

// first is what comes before every rule.
func (e *Engine) first(f *flow.Flow) (flow.Decision, bool) {
	switch e.mode.Mode {
	case api.ModeOff:
		return flow.Decision{Verdict: flow.Allow, By: flow.By{Kind: flow.ByMode, Name: "off"}}, true
	case api.ModeLockdown:
		if d, ok := e.preset(e.shipped().essential, f); ok {
			return d, true
		}
		return flow.Decision{Verdict: flow.Block, By: flow.By{Kind: flow.ByMode, Name: "lockdown"}}, true
	}
	return e.preset(e.shipped().dhcp, f)
}

// byMode is what the mode does with flows that nothing else decides.
func byMode(m api.Mode) (flow.Decision, bool) {
	switch m {
	case api.ModeLearn, api.ModeAllow:
		return flow.Decision{Verdict: flow.Allow, By: flow.By{Kind: flow.ByMode, Name: string(m)}}, true
	case api.ModeBlock:
		return flow.Decision{Verdict: flow.Block, By: flow.By{Kind: flow.ByMode, Name: string(m)}}, true
	}
	return flow.Decision{}, false
}

// decidedBy: a rule for once is an answer that was given beforehand.
func decidedBy(r *rule.Rule) flow.Decision {
	d := flow.Decision{Verdict: flow.Block, By: flow.By{Kind: flow.ByRule, ID: r.ID, Name: r.Note}}
	if r.Lifetime.Kind == rule.Once {
		d.By.Kind = flow.ByAnswer
	}
	if r.Action == rule.Allow {
		d.Verdict = flow.Allow
	}
	return d
}

// ofItself reports whether a decision was for one flow alone, and holds as long as it lives.
func ofItself(d flow.Decision) bool {
	return d.By.Kind == flow.ByAnswer || d.By.Kind == flow.ByLimit && (d.By.Name == limitDeadline || d.By.Name == limitUnattended)
}

// rule finds the rule that decides f. A program that was replaced is allowed nothing by
// its path; what blocks that path blocks it too.
func (e *Engine) rule(f *flow.Flow) (*rule.Rule, bool) {
	q, now := e.query(f), e.c.Clock()
	r, ok := e.set.Decide(q, now)
	if !ok || !f.Process.Replaced || r.Action == rule.Block || r.Program.Path == "" || r.Program.SHA256 != "" {
		return r, ok
	}
	rules := e.set.Rules()
	for i := range rules {
		if r := &rules[i]; r.Action == rule.Block && r.Program.Path == f.Process.Path && r.Matches(q, now) {
			return r, true
		}
	}
	nameless := *f.Process
	nameless.Path = ""
	q.Process = &nameless
	return e.set.Decide(q, now)
}

// sameUser reports whether one execution of one process is behind both.
func sameUser(a, b *flow.Process) bool { return a.ProcessID == b.ProcessID && a.ExecID == b.ExecID }
