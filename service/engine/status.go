package engine

import (
	"context"
	"slices"
	"strings"

	"sekisho/app/api"
)

// Status says how the firewall is.
func (e *Engine) Status(context.Context) (api.Status, error) {
	e.drain()
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.status(), nil
}

func (e *Engine) status() api.Status {
	s := api.Status{
		Version: e.c.Version, Mode: e.mode.Mode, Enforcing: e.mode.Mode != api.ModeOff,
		Since: e.since, Rules: e.set.Len(), Waiting: len(e.waiting.flows), Kernel: e.c.Facts, Counters: e.counters,
	}
	s.Network, s.NetworkProfile = e.network()
	if e.mode.Then != "" {
		s.ModeUntil = e.mode.Until
	}
	if k, err := e.c.Kernel.Counters(); err == nil {
		n, before := &s.Counters, e.counted
		n.EventsLost = k.LostEvents - before.LostEvents
		n.OverLimit += k.SocketsFull - before.SocketsFull
		n.Refused = k.LastRefused + k.ForeignRefused - before.LastRefused - before.ForeignRefused
		n.Unidentified = k.Mismatches + k.UnknownProcesses - before.Mismatches - before.UnknownProcesses
		n.NotShown = k.Untold - before.Untold
	}
	if e.c.Dropped != nil {
		if n, err := e.c.Dropped(); err == nil {
			s.Counters.QueueDropped = n
		}
	}
	for _, p := range e.problems {
		s.Problems = append(s.Problems, p)
	}
	if e.mode.Mode == api.ModeOff {
		off := api.NewProblem(api.ProblemOff, "")
		off.Since = e.since
		s.Problems = append(s.Problems, off)
	}
	slices.SortFunc(s.Problems, func(a, b api.Problem) int { return strings.Compare(a.What, b.What) })
	return s
}
