package engine

import (
	"context"
	"slices"
	"time"

	"sekisho/app/api"
	"sekisho/app/flow"
	"sekisho/app/prompt"
)

// maxSeenPrograms bounds what Programs tells of; those of the latest flows come first.
const maxSeenPrograms = 2000

// Programs lists the programs of the history's flows that sees lets through, with what is
// known of their files now. It reads files: it may take a while.
func (e *Engine) Programs(ctx context.Context, sees func(flow.Flow) bool, owns func(user string) bool) ([]api.SeenProgram, error) {
	e.drain()
	e.save()
	var all []*api.SeenProgram
	byKey := map[string]*api.SeenProgram{}
	err := e.c.Store.History(time.Time{}, "", flow.Waiting, maxActivity, func(f flow.Flow) bool { // the newest first
		if f.Process != nil && f.Process.IsFile() && sees(f) {
			p := byKey[f.Process.Key()]
			if p == nil && len(all) < maxSeenPrograms {
				p = &api.SeenProgram{Process: *f.Process, Last: f.Time}
				all, byKey[f.Process.Key()] = append(all, p), p
			}
			if p != nil {
				addFlow(p, &f)
			}
		}
		return ctx.Err() == nil
	})
	if err != nil {
		return nil, api.Errorf(api.Failed, "the history can't be read: %v", err)
	}
	e.mu.Lock()
	rules := slices.Clone(e.set.Rules())
	e.mu.Unlock()
	list := make([]api.SeenProgram, 0, len(all))
	for _, p := range all {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		e.complete(p)
		for i := range rules {
			if owns(rules[i].User) && rules[i].About(&p.Process) {
				p.Rules = append(p.Rules, rules[i].ID)
			}
		}
		list = append(list, *p)
	}
	return list, nil
}

func addFlow(p *api.SeenProgram, f *flow.Flow) {
	p.First = f.Time
	p.Bytes.Sent += f.Bytes.Sent
	p.Bytes.Received += f.Bytes.Received
	if f.Decision.Verdict == flow.Allow {
		p.Allowed++
	} else {
		p.Blocked++
	}
}

// complete adds what is known of the file that is at the program's path now.
func (e *Engine) complete(p *api.SeenProgram) {
	q := e.checked(e.withPackage(&p.Process))
	p.Provenance = e.c.Processes.Provenance(q)
	about := flow.Flow{Direction: flow.In, Process: q} // of no address
	p.Process, p.Warnings = *q, prompt.Warnings(&about, &p.Provenance, time.Now())
}
