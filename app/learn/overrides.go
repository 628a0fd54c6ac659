package learn

import (
	"net/netip"

	"sekisho/app/flow"
	"sekisho/app/rule"
)

// overrides finds the rules that block, and that proposals would win over: a rule for a
// program is more specific than one for any, whatever that one names. It tries a flow of
// each such rule with each program.
func overrides(proposals []Proposal, o *Options) {
	if o.Existing == nil {
		return
	}
	rules := append([]rule.Rule(nil), o.Existing.Rules()...)
	for i := range proposals {
		r := proposals[i].Rule
		r.ID = proposals[i].ID
		rules = append(rules, r)
	}
	with := rule.NewSet(rules)
	for i := range proposals {
		p := &proposals[i]
		for j, existing := 0, o.Existing.Rules(); j < len(existing); j++ {
			b := &existing[j]
			if b.Action != rule.Block || !b.Enabled || b.Program.Path != "" && p.Rule.Program.Path != "" && b.Program.Path != p.Rule.Program.Path {
				continue
			}
			q := sample(b, p)
			before, blocked := o.Existing.Decide(q, o.Clock)
			after, ok := with.Decide(q, o.Clock)
			if blocked && before.ID == b.ID && ok && after.ID == p.ID {
				p.Overrides = append(p.Overrides, b.ID)
			}
		}
	}
}

// sample is a flow of p's program that b is about, as far as p says nothing else.
func sample(b *rule.Rule, p *Proposal) rule.Query {
	q := p.Notes[0].Query()
	if b.Direction == rule.In && p.Rule.Direction == rule.Both {
		q.Direction = flow.In
	}
	switch r := b.Remote; {
	case r.Name != "":
		q.Remote.Name, q.Remote.Addr, q.LAN = r.Name, netip.Addr{}, false
	case r.Domain != "":
		q.Remote.Name, q.Remote.Addr, q.LAN = r.Domain, netip.Addr{}, false
	case r.Address.IsValid():
		q.Remote.Name, q.Remote.Addr = "", r.Address
	case r.Network.IsValid():
		q.Remote.Name, q.Remote.Addr = "", r.Network.Addr()
	case r.Range != rule.AddrRange{}:
		q.Remote.Name, q.Remote.Addr = "", r.Range.From
	case r.LAN:
		q.LAN = true
	}
	if b.Protocol != flow.AnyProtocol {
		q.Protocol = b.Protocol
	}
	if len(b.Ports) > 0 {
		if q.Direction == flow.In {
			q.LocalPort = b.Ports[0].From
		} else {
			q.Remote.Port = b.Ports[0].From
		}
	}
	if b.Network != "" {
		q.Network = firstProfile(b.Network)
	}
	return q
}

func firstProfile(s string) string {
	for i := range s {
		if s[i] == ',' {
			return s[:i]
		}
	}
	return s
}
