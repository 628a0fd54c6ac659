package rule

import (
	"net/netip"
	"slices"

	"sekisho/app/flow"
)

// compiled is a rule as the Set keeps it: normal, with what matching needs worked out.
// It is never written to after newCompiled.
type compiled struct {
	Rule
	uid       uint32
	byNumber  bool // User is a number
	mayEnd    bool // some Clock may end it
	universal bool // matches every flow of a process that it matches
	traits    bool // looks at more of a process than the path of its executable
	order     order
}

func newCompiled(r Rule, position int) compiled {
	c := compiled{Rule: Normal(r)}
	c.uid, c.byNumber = userNumber(c.User)
	c.mayEnd = c.Lifetime.Kind != Always && c.Lifetime.Kind != Once
	c.universal = c.Remote.IsAny() && len(c.Ports) == 0 && c.Protocol == flow.AnyProtocol && c.Network == ""
	p := &c.Program
	c.traits = *p != (Program{Path: p.Path}) || c.User != "" || c.Lifetime.bound()
	c.order = orderOf(&c.Rule, position)
	return c
}

// Matches reports whether r, which need not be normal, decides q: it is switched on,
// its lifetime has not ended, and every operand that is set is true of q. Who asks
// often uses a Set.
func (r *Rule) Matches(q Query, now Clock) bool {
	c := newCompiled(*r, 0)
	q.normal()
	return c.Enabled && c.usable() && c.matches(&q, now)
}

// About reports whether r names programs, and p is one of them: there may be flows of p
// that r decides.
func (r *Rule) About(p *flow.Process) bool {
	if r.Program == (Program{}) || r.Program.Path != "" && r.Program.Path != p.Path {
		return false
	}
	c := newCompiled(*r, 0)
	return c.matchesProcess(p)
}

// matches judges a rule of a Set, which is enabled and usable; q is normal.
func (c *compiled) matches(q *Query, now Clock) bool {
	return c.matchesFlow(q) && c.matchesProcess(q.Process) && c.live(now)
}

func (c *compiled) live(now Clock) bool { return !c.mayEnd || !Ended(&c.Rule, now) }

func (c *compiled) matchesFlow(q *Query) bool {
	return c.Direction.matches(q.Direction) &&
		(!q.Named || !c.Remote.IsAny()) &&
		(c.Protocol == flow.AnyProtocol || c.Protocol == q.Protocol) &&
		(len(c.Ports) == 0 || q.Protocol.HasPorts() && matchesPorts(c.Ports, q.port())) &&
		c.Remote.matches(q) && matchesNetwork(c.Network, q.Network)
}

func (c *compiled) matchesProcess(p *flow.Process) bool {
	return c.Program.matches(p) && c.unitIsMeant(p) && c.appIsMeant(p) && c.packageIsMeant(p) && c.Lifetime.matches(p) &&
		(c.User == "" || matchesUser(c.User, c.uid, c.byNumber, p))
}

// unitIsMeant: a unit that a user named is meant only by rules about that user.
func (r *Rule) unitIsMeant(p *flow.Process) bool {
	return r.Program.Unit == "" || !p.OwnUnit || r.User != ""
}

// appIsMeant: an application that any program of the user can claim to be is allowed
// nothing by that name.
func (r *Rule) appIsMeant(p *flow.Process) bool {
	return r.Program.App == "" || !p.OwnApp || r.Action == Block
}

// packageIsMeant: what a package is allowed is not for a file that is no longer what the
// package installed, nor for what its interpreter is given to run, unless the rule names
// that program or script.
func (r *Rule) packageIsMeant(p *flow.Process) bool {
	return r.Program.Package == "" || r.Action == Block ||
		p.Integrity != flow.Modified && (r.Program.Path != "" || r.Program.Script != "" || p.Script == "" && !p.Inline)
}

// matches: both are normal.
func (r *Remote) matches(q *Query) bool {
	switch {
	case r.Name != "":
		return r.Name == q.Remote.Name
	case r.Domain != "":
		return inDomain(q.Remote.Name, r.Domain)
	case r.Address.IsValid():
		return r.Address == q.Remote.Addr
	case r.Network != netip.Prefix{}:
		return r.Network.Contains(q.Remote.Addr)
	case r.Range != AddrRange{}:
		return r.Range.Contains(q.Remote.Addr)
	case r.LAN:
		return q.LAN
	}
	return r.List == "" || slices.Contains(q.Lists, r.List)
}
