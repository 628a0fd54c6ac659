package engine

import (
	"net/netip"
	"slices"

	"sekisho/app/api"
	"sekisho/app/flow"
	"sekisho/app/rule"
	"sekisho/service/bpf"
)

// What a machine says to itself is allowed and shown, except where a rule names it. So that
// it needs no decision for each port, the kernel lets it pass where no rule may name it.

// query asks the rules about f.
func (e *Engine) query(f *flow.Flow) rule.Query {
	a := f.Remote.Addr.Unmap()
	q := rule.QueryOf(f, a.IsValid() && e.onLAN(a))
	q.Network = e.profileOf(f)
	q.Lists = e.listsOf(f)
	if a.IsLoopback() {
		q.Named = e.presetOn(rule.PresetLoopback)
		if q.Remote.Name == "" {
			q.Remote.Name = rule.Localhost() // nobody looks it up in DNS
		}
	}
	return q
}

// loopback is what the kernel does with what a machine says to itself.
func (e *Engine) loopback() bpf.Verdict {
	if !e.presetOn(rule.PresetLoopback) {
		return bpf.Ask
	}
	if e.mode.Mode == api.ModeLockdown || e.mode.Mode == api.ModeOff {
		return bpf.Allow // rules are not looked at
	}
	if t := e.set.Loopback(); t.Addrs || t.Names && e.named {
		return bpf.Depends
	}
	return bpf.Allow
}

// namedLoopback takes note of a name that some program found to be a loopback address:
// from now on rules with names may be about these.
func (e *Engine) namedLoopback(addrs []netip.Addr) {
	if e.named || !slices.ContainsFunc(addrs, func(a netip.Addr) bool { return a.Unmap().IsLoopback() }) {
		return
	}
	e.named = true
	if e.loopback() != e.control.Loopback {
		e.refreshed()
	}
}
