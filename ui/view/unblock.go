package view

import (
	"sekisho/app/flow"
	"sekisho/app/rule"
)

// AllowFromNow is the rule that lets through from now on what was blocked: this program,
// that other end, this port. ok is false for a flow whose program or other end is
// unknown: a rule about any program would reach much further than the person means.
func AllowFromNow(f flow.Flow) (r rule.Rule, ok bool) {
	r, ok = BlockFromNow(f)
	if !ok {
		return rule.Rule{}, false
	}
	r.Action = rule.Allow
	r.Protocol = f.Protocol
	if port := askedPort(f); port != 0 {
		r.Ports = []rule.PortRange{{From: port, To: port}}
	}
	return r, true
}
