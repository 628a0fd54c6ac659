package view

import (
	"cmp"
	"net/netip"

	"sekisho/app/flow"
	"sekisho/app/rule"
	"sekisho/ui/text"
)

// DecidedBy is what let a flow through or stopped it, in a few words: "Your rule",
// "Mode: learn".
func DecidedBy(d flow.Decision) string {
	if d.Verdict == flow.Waiting {
		return text.T("by.waiting")
	}
	key := "by." + string(d.By.Kind)
	switch d.By.Kind {
	case flow.ByMode, flow.ByPreset, flow.ByLimit:
		if named := key + "." + d.By.Name; text.Has(named) {
			return text.T(named)
		}
	}
	if !text.Has(key) {
		return untrusted(string(d.By.Kind))
	}
	return text.T(key, "Name", untrusted(d.By.Name))
}

// ProgramName is what the program of a flow is called on screen.
func ProgramName(p *flow.Process) string {
	switch {
	case p == nil:
	case p.Path == flow.KernelPath:
		return text.T("program.kernel")
	case p.Path == flow.ForwardedPath:
		return text.T("program.forwarded")
	case p.DisplayName() != "":
		return untrusted(p.DisplayName())
	case p.Kernel:
		return text.T("program.kernel")
	}
	return text.T("program.unknown")
}

// BlockFromNow is the rule that blocks what a flow is, from now on: its program to or
// from that other end, on any port. ok is false for a flow whose program is unknown:
// a rule about any program would reach much further than the person means.
func BlockFromNow(f flow.Flow) (r rule.Rule, ok bool) {
	p := f.Process
	if p == nil || p.Path == "" && p.App == "" {
		return rule.Rule{}, false
	}
	r = rule.Rule{
		Enabled: true, Action: rule.Block, Origin: rule.FromEditor,
		Program:  rule.Program{Path: p.Path, Script: p.Script},
		Lifetime: rule.Lifetime{Kind: rule.Always},
	}
	if p.Path == "" {
		r.Program.App = p.App
	}
	if f.Direction == flow.In {
		r.Direction = rule.In
	}
	if f.Remote.Name != "" {
		r.Remote.Name = f.Remote.Name
	} else if f.Remote.Addr.IsValid() {
		r.Remote.Address = f.Remote.Addr
	}
	return r, r.Remote != rule.Remote{}
}

// Destination is the other end of a flow as it is shown: its name, and its address
// where that says more.
func Destination(e flow.Endpoint) (name, address string) {
	if e.Name != "" {
		name = text.Host(brackets.Replace(e.Name))
	}
	if e.Addr != (netip.Addr{}) {
		address = e.Addr.Unmap().String()
	}
	if name == "" {
		return cmp.Or(address, "—"), ""
	}
	return name, address
}

// Headline is a flow in a few words: "curl to example.com".
func Headline(f flow.Flow) []Span {
	host, _ := Destination(f.Remote)
	return spans(text.T("connection.headline."+f.Direction.String(), "Program", strong(ProgramName(f.Process)), "Remote", strong(host)))
}

// Describe is a flow in one line of text, for the clipboard.
func Describe(f flow.Flow) string {
	name, address := Destination(f.Remote)
	if address != "" {
		name += " (" + address + ")"
	}
	_, port := ServiceLabel(f)
	key := "connection.copy." + f.Direction.String()
	if port == "" {
		key += ".plain"
	}
	path := ""
	if f.Process != nil && f.Process.Path != "" {
		path = " (" + text.Safe(f.Process.Path) + ")"
	}
	return text.T(key, "Program", ProgramName(f.Process)+path, "Remote", name, "Port", port,
		"Protocol", f.Protocol.String(), "By", DecidedBy(f.Decision))
}

// ProgramGlyph is the glyph that stands in for a program's icon, and whether anything
// is known about the program.
func ProgramGlyph(p *flow.Process) (glyph string, known bool) {
	if p == nil {
		return "question", false
	}
	return programGlyph(p), p.Path != "" || p.Kernel
}

// RuleGlyph is the glyph that stands in for the icon of what a rule is about.
func RuleGlyph(p rule.Program) string {
	switch {
	case p.Script != "" || p.Path != "":
		return programGlyph(&flow.Process{UID: 1000, Program: flow.Program{Path: p.Path, Script: p.Script}})
	case p.Unit != "":
		return "gear"
	case p.App != "", p.Package != "":
		return "package"
	}
	return "globe"
}
