package engine

import (
	"fmt"
	"net/netip"
	"os/user"
	"strconv"
	"strings"

	"sekisho/app/api"
	"sekisho/app/flow"
	"sekisho/app/rule"
)

// explainRules says what Sekisho itself would decide about a flow, step by step.
func (e *Engine) explainRules(f flow.Flow) api.Explanation {
	e.mu.Lock()
	defer e.mu.Unlock()
	var x api.Explanation
	step := func(what string, d flow.Decision, decided bool, why string) bool {
		x.Steps = append(x.Steps, api.Step{What: what, Matched: decided, Decided: decided, Why: why})
		if decided {
			x.Decision = d
		}
		return decided
	}
	if d, ok := e.first(&f); ok {
		step("mode "+string(e.mode.Mode), d, true, firstSentence(d))
		return x
	}
	step("mode "+string(e.mode.Mode), flow.Decision{}, false, "Neither lockdown nor off, so rules are looked at.")
	winner, _ := e.rule(&f)
	listed, d, decided := e.explainLists(&f, winner)
	if x.Steps = append(x.Steps, listed...); decided {
		x.Decision = d
		return x
	}
	for _, c := range e.set.Explain(e.query(&f), e.c.Clock()) {
		if c.Won {
			x.Decision, decided = decidedBy(c.Rule), true
		}
		x.Steps = append(x.Steps, stepOf(c))
	}
	if decided {
		return x
	}
	if e.set.Len() == 0 {
		step("rules", flow.Decision{}, false, "There are no rules.")
	}
	if e.explainPresets(&f, step) || e.explainTrust(&f, step) {
		return x
	}
	if d, ok := byMode(e.mode.Mode); ok {
		step("mode "+string(e.mode.Mode), d, true, fmt.Sprintf("No rule says anything, and the mode is %s.", e.mode.Mode))
		return x
	}
	step("mode ask", flow.Decision{Verdict: flow.Waiting, By: flow.By{Kind: flow.ByMode, Name: "ask"}}, true,
		"No rule says anything: it waits while somebody is asked.")
	return x
}

func firstSentence(d flow.Decision) string {
	switch {
	case d.By.Kind == flow.ByPreset:
		return presetSentence(d)
	case d.Verdict == flow.Allow:
		return "The firewall is off, so everything passes."
	}
	return "Lockdown blocks everything but what this machine needs."
}

// asked makes a flow of a question, with what can be known without the flow.
func asked(q api.Question) (flow.Flow, error) {
	f := flow.Flow{Direction: q.Direction, Protocol: q.Protocol, Process: &flow.Process{
		Program: flow.Program{Path: q.Program, Script: q.Script},
	}}
	if f.Protocol == flow.AnyProtocol {
		f.Protocol = flow.TCP
	}
	if q.User != "" {
		u, err := user.Lookup(q.User)
		if err != nil {
			u, err = user.LookupId(q.User)
		}
		if _, number := strconv.ParseUint(q.User, 10, 32); err != nil && number == nil {
			u, err = &user.User{Uid: q.User}, nil // an account of which nothing is written
		}
		if err != nil {
			return f, api.Errorf(api.BadRequest, "there is no user %q", q.User)
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		if err != nil {
			return f, api.Errorf(api.BadRequest, "user %q: %v", q.User, err)
		}
		f.Process.UID, f.Process.User = uint32(uid), u.Username
	}
	end := flow.Endpoint{Port: q.Port}
	if a, err := netip.ParseAddr(q.To); err == nil {
		end.Addr = a.Unmap()
	} else {
		end.Name = rule.NormalName(q.To)
		if err := rule.CheckName(end.Name); err != nil {
			return f, api.Errorf(api.BadRequest, "%v", err)
		}
	}
	if end.Name == rule.Localhost() {
		end.Addr = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	f.Remote = end
	if q.Direction == flow.In {
		f.Local.Port, f.Remote.Port = q.Port, 0
	}
	return f, nil
}

// considered says in one sentence what came of a rule.
func considered(c rule.Consideration) string {
	if c.Off != "" {
		return fmt.Sprintf("It is %s.", c.Off)
	}
	var no, yes []string
	for _, k := range c.Checks {
		if k.Matched {
			yes = append(yes, k.Why)
		} else {
			no = append(no, k.Why)
		}
	}
	switch {
	case len(no) > 0:
		return "It does not match: " + strings.Join(no, "; ") + "."
	case c.Won:
		return fmt.Sprintf("It matches and decides: %s (%s).", c.Rule.Action, strings.Join(yes, "; "))
	}
	if c.To == nil {
		return "It matches."
	}
	return fmt.Sprintf("It matches, but rule %s wins by %s: %s there, %s here.", c.To.ID, c.By, c.Theirs, c.Ours)
}
