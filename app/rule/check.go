package rule

import (
	"fmt"
	"strings"

	"sekisho/app/flow"
)

// checks goes through the operands that are set; q is normal. It finds a match where
// compiled.matches does; only the lifetime's end is left to off.
func (c *compiled) checks(q *Query) []Check {
	l := list{}
	l.add("direction", c.Direction.matches(q.Direction), "direction", q.Direction.String(), c.Direction.String())
	c.checkProgram(&l, q.Process)
	if c.User != "" {
		l.add("user", matchesUser(c.User, c.uid, c.byNumber, q.Process), "user", userText(q.Process), c.User)
	}
	c.checkRemote(&l, q)
	if c.Protocol != flow.AnyProtocol {
		l.add("protocol", c.Protocol == q.Protocol, "protocol", q.Protocol.String(), c.Protocol.String())
	}
	if len(c.Ports) > 0 {
		c.checkPorts(&l, q)
	}
	if c.Network != "" {
		l.add("network_profile", matchesNetwork(c.Network, q.Network), "network", q.Network, c.Network)
	}
	if !c.usable() {
		err := validateOperands(&c.Rule)
		l = append(l, Check{Operand: operandOf(err), Why: err.Error()})
	}
	return l
}

type list []Check

// add notes one operand: what the flow has and what the rule wants.
func (l *list) add(operand string, matched bool, what, has, want string) {
	why := what + " " + has
	switch {
	case matched && has == want:
		why += " matches"
	case matched:
		why += " matches " + want
	case has == "":
		why = what + " is unknown, not " + want
	default:
		why += " is not " + want
	}
	*l = append(*l, Check{Operand: operand, Matched: matched, Has: has, Want: want, Why: why})
}

func (c *compiled) checkProgram(l *list, q *flow.Process) {
	p := &c.Program
	if p.Path == "" && q.Path == flow.ForwardedPath {
		*l = append(*l, Check{Operand: "program", Why: "a rule for any program is not about what is passed on for others"})
	}
	if p.Path != "" {
		l.add("program.path", p.Path == q.Path, "program", q.Path, p.Path)
	}
	switch {
	case p.Script == "":
	case q.Inline:
		*l = append(*l, Check{Operand: "program.script", Why: "code given to the interpreter directly is not " + p.Script})
	case q.Script == "":
		*l = append(*l, Check{Operand: "program.script", Why: "the program runs no script, so not " + p.Script})
	default:
		l.add("program.script", p.matchesScript(q), "script", q.Script, p.Script)
	}
	if p.SHA256 != "" {
		l.add("program.sha256", p.SHA256 == q.SHA256, "checksum", q.SHA256, p.SHA256)
	}
	c.checkOrigin(l, q)
	switch {
	case p.Unit == "":
	case !c.unitIsMeant(q):
		*l = append(*l, Check{Operand: "program.unit", Why: q.Unit + " is a unit of the user's own; only rules that name the user are about it"})
	default:
		l.add("program.unit", p.Unit == q.Unit, "unit", q.Unit, p.Unit)
	}
	if p.Parent != "" {
		l.add("program.parent", p.matchesParent(q), "started by", ancestors(q), p.Parent)
	}
	if c.Lifetime.bound() {
		want := c.Lifetime.Process.PID
		l.add("lifetime.process", c.Lifetime.matches(q), "process", fmt.Sprint(q.PID), fmt.Sprintf("%d or one that it started", want))
	}
}

// checkOrigin is about where the program came from.
func (c *compiled) checkOrigin(l *list, q *flow.Process) {
	p := &c.Program
	switch {
	case p.App == "":
	case p.App == q.App && !c.appIsMeant(q):
		*l = append(*l, Check{Operand: "program.app", Why: "any program of the user can say that it is part of " + q.App + ", so nothing is allowed by that name"})
	default:
		l.add("program.app", p.App == q.App, "application", q.App, p.App)
	}
	switch {
	case p.Package == "":
	case p.Package == q.Package && q.Integrity != flow.Modified && !c.packageIsMeant(q):
		*l = append(*l, Check{Operand: "program.package", Why: "what an interpreter of " + q.Package + " is given to run is not that package's"})
	case p.Package == q.Package && !c.packageIsMeant(q):
		*l = append(*l, Check{Operand: "program.package", Why: "the file is no longer what " + q.Package + " installed"})
	default:
		l.add("program.package", p.Package == q.Package, "package", q.Package, p.Package)
	}
	switch {
	case p.Folder == "":
	case q.Inline:
		*l = append(*l, Check{Operand: "program.folder", Why: "code given to the interpreter directly is in no folder"})
	default:
		l.add("program.folder", p.matchesFolder(q), "program", subject(q), "below "+p.Folder)
	}
}

func (c *compiled) checkRemote(l *list, q *Query) {
	set := c.Remote.fields()
	if len(set) == 0 {
		if q.Named {
			*l = append(*l, Check{Operand: "remote", Why: "it names no destination, and only rules that do are about this machine itself"})
		}
		return
	}
	operand, matched := "remote."+set[0], c.Remote.matches(q)
	switch {
	case c.Remote.LAN:
		why := "is not on the local network"
		if matched {
			why = "is on the local network"
		}
		*l = append(*l, Check{Operand: operand, Matched: matched, Has: hostText(q), Want: "lan", Why: hostText(q) + " " + why})
	case c.Remote.List != "":
		why := "is not on the list " + c.Remote.List
		if matched {
			why = "is on the list " + c.Remote.List
		}
		*l = append(*l, Check{Operand: operand, Matched: matched, Has: strings.Join(q.Lists, ", "), Want: c.Remote.List, Why: hostText(q) + " " + why})
	case c.Remote.Name != "" || c.Remote.Domain != "":
		l.add(operand, matched, "host", hostText(q), c.Remote.String())
	default:
		has := ""
		if q.Remote.Addr.IsValid() {
			has = q.Remote.Addr.String()
		}
		l.add(operand, matched, "address", has, c.Remote.String())
	}
}

func (c *compiled) checkPorts(l *list, q *Query) {
	if !q.Protocol.HasPorts() {
		why := q.Protocol.String() + " has no ports"
		if q.Protocol == flow.AnyProtocol {
			why = "the protocol is unknown, so the port is"
		}
		*l = append(*l, Check{Operand: "ports", Why: why})
		return
	}
	l.add("ports", matchesPorts(c.Ports, q.port()), "port", fmt.Sprint(q.port()), FormatPorts(c.Ports))
}

func hostText(q *Query) string {
	switch {
	case q.Remote.Name != "":
		return q.Remote.Name
	case q.Remote.Addr.IsValid():
		return q.Remote.Addr.String()
	}
	return ""
}

func userText(p *flow.Process) string {
	switch {
	case !ownerKnown(p) && p.UID == 0:
		return ""
	case p.User == "":
		return fmt.Sprint(p.UID)
	}
	return fmt.Sprintf("%s (%d)", p.User, p.UID)
}

func ancestors(p *flow.Process) string {
	paths := make([]string, len(p.Parents))
	for i := range p.Parents {
		paths[i] = p.Parents[i].Path
	}
	return strings.Join(paths, ", ")
}
