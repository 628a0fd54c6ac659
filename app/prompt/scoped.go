package prompt

import (
	"strconv"

	"sekisho/app/flow"
	"sekisho/app/rule"
)

// here is the moment at which scopes are compared: only a rule until it quits looks at
// it, and finds itself in the same boot.
var here = rule.Clock{Boot: "here"}

// scoped is the rule of an answer as it matches here, before its lifetime begins.
func scoped(p Prompt, a Answer, by Author) (rule.Rule, error) {
	remote, err := a.Scope.remote()
	if err != nil {
		return rule.Rule{}, err
	}
	r := rule.Rule{
		Enabled: true, Action: a.Action, Direction: rule.Out, Remote: remote,
		Lifetime: rule.Lifetime{Kind: rule.Always},
	}
	if p.Flow.Direction == flow.In {
		r.Direction = rule.In
	}
	if a.Scope.Port != 0 {
		r.Ports = []rule.PortRange{{From: a.Scope.Port, To: a.Scope.Port}}
		r.Protocol = p.Flow.Protocol
	}
	process := p.Flow.Process
	if process == nil {
		return r, nil
	}
	r.Program.Path = process.Path
	if !process.Inline {
		r.Program.Script = process.Script
	}
	if by.OwnOnly {
		r.User = strconv.FormatUint(uint64(process.UID), 10)
	}
	if a.Lifetime == rule.Quit {
		r.Lifetime, err = rule.NewLifetime(rule.Quit, 0, here, quitting(process))
	}
	return r, err
}

// quitting is the process whose end is the end of the program: p, or the furthest
// ancestor that runs the same program without another in between. Inline code is
// never the same as its parent's.
func quitting(p *flow.Process) flow.ProcessID {
	last := p.ProcessID
	if p.Inline {
		return last
	}
	name := p.DisplayName()
	for _, a := range p.Parents {
		if a.Path != p.Path || a.Name != name || a.PID == 0 || a.Start == 0 {
			break
		}
		last = a.ProcessID
	}
	if last.PID == 0 || last.Start == 0 {
		return flow.ProcessID{}
	}
	return last
}

// sameProgram reports whether f's flows may be settled with those of asked: what has
// no name of its own (inline code, a process that was not found) is the same only as
// itself, and inline code is never a script.
func sameProgram(asked, f *flow.Process) bool {
	if asked == nil || f == nil {
		return asked == f
	}
	if (asked.Replaced || f.Replaced) && asked.Executable != f.Executable {
		return false
	}
	if asked.Inline || f.Inline || asked.Path == "" {
		return asked.ProcessID == f.ProcessID && asked.Key() == f.Key()
	}
	return asked.Key() == f.Key()
}
