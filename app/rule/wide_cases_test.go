package rule

import (
	"net/netip"
	"testing"

	"sekisho/app/flow"
)

func TestWide(t *testing.T) {
	const path = "/usr/bin/python3"
	of := func(a Action, change func(r *Rule)) Rule {
		r := Rule{Enabled: true, Action: a, Program: Program{Path: path}}
		change(&r)
		return r
	}
	all := func(r *Rule) {}
	host := func(r *Rule) { r.Remote.Name = "example.com" }
	port := func(r *Rule) { r.Ports = []PortRange{{443, 443}} }
	once := func(r *Rule) { r.Lifetime.Kind = Once }
	anyone := func(r *Rule) { r.Program = Program{} }
	for _, c := range []struct {
		name       string
		rules      []Rule
		process    *flow.Process
		want       WideVerdict
		perProcess bool
	}{
		{"no rule", nil, bare, NoRule, false},
		{"rule of another", []Rule{of(Allow, func(r *Rule) { r.Program.Path = "/usr/bin/curl" })}, bare, NoRule, false},
		{"rule of the other direction", []Rule{of(Allow, func(r *Rule) { r.Direction = In })}, bare, NoRule, false},
		{"switched off", []Rule{of(Allow, func(r *Rule) { r.Enabled = false })}, bare, NoRule, false},
		{"allow", []Rule{of(Allow, all)}, bare, AllowAll, false},
		{"block", []Rule{of(Block, all)}, bare, BlockAll, false},
		{"allow, both directions", []Rule{of(Allow, func(r *Rule) { r.Direction = Both })}, bare, AllowAll, false},
		{"any program", []Rule{of(Block, anyone)}, bare, BlockAll, false},
		{"any program, of nobody", []Rule{of(Block, anyone)}, nil, BlockAll, false},
		{"one host", []Rule{of(Allow, host)}, bare, Depends, false},
		{"one port", []Rule{of(Allow, port)}, bare, Depends, false},
		{"one protocol", []Rule{of(Allow, func(r *Rule) { r.Protocol = flow.TCP })}, bare, Depends, false},
		{"all of IPv4 is not all", []Rule{of(Allow, func(r *Rule) { r.Remote.Network = netip.MustParsePrefix("0.0.0.0/0") })}, bare, Depends, false},
		{"allow but one host", []Rule{of(Allow, all), of(Block, host)}, bare, Depends, false},
		{"allow, one host too", []Rule{of(Allow, all), of(Allow, host)}, bare, AllowAll, false},
		{"once", []Rule{of(Allow, once)}, bare, Depends, false},
		{"once before always", []Rule{of(Allow, all), of(Allow, func(r *Rule) { host(r); once(r) })}, bare, Depends, false},
		{"a less specific one has no say", []Rule{of(Allow, all), of(Block, func(r *Rule) { anyone(r); host(r) })}, bare, AllowAll, false},
		{"nor one for a user, beneath", []Rule{of(Allow, all), of(Block, func(r *Rule) { anyone(r); r.User = "bob" })}, bare, AllowAll, false},
		{"ended", []Rule{of(Block, func(r *Rule) { host(r); r.Lifetime = Lifetime{Kind: Boot, Boot: "old"} }), of(Allow, all)}, bare, AllowAll, false},

		{"script", []Rule{of(Allow, func(r *Rule) { r.Program.Script = python.Script })}, alice, AllowAll, true},
		{"script of another", []Rule{of(Allow, func(r *Rule) { r.Program.Script = python.Script })}, other, NoRule, true},
		{"script, but inline", []Rule{of(Allow, func(r *Rule) { r.Program.Script = python.Script })}, inline, NoRule, true},
		{"interpreter, with a script blocked", []Rule{
			of(Allow, all), of(Block, func(r *Rule) { r.Program.Script = python.Script }),
		}, other, AllowAll, true},
		{"until it quits", []Rule{of(Allow, func(r *Rule) { r.Lifetime = quitsWith(7, 70).Lifetime })}, alice, AllowAll, true},
		{"until all quit", []Rule{of(Allow, func(r *Rule) { r.Lifetime = quitsWith(0, 0).Lifetime })}, alice, AllowAll, false},
		{"user", []Rule{of(Allow, func(r *Rule) { r.User = "alice" })}, alice, AllowAll, true},
		{"user of another", []Rule{of(Allow, func(r *Rule) { r.User = "bob" })}, alice, NoRule, true},
		{"parent", []Rule{of(Block, func(r *Rule) { r.Program.Parent = "/usr/bin/bash" })}, alice, BlockAll, true},
		{"checksum not known yet", []Rule{of(Block, func(r *Rule) { r.Program.SHA256 = genSums[0] })}, alice, Depends, true},
		{"checksum not known yet, above an allow", []Rule{
			of(Block, func(r *Rule) { r.Program.SHA256 = genSums[0] }), of(Allow, all),
		}, alice, Depends, true},
		{"checksum not known yet, above a block", []Rule{
			of(Block, func(r *Rule) { r.Program.SHA256 = genSums[0] }), of(Block, all),
		}, alice, BlockAll, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := NewSet(c.rules).Wide(c.process, flow.Out, Clock{Boot: "b"})
			if got.Verdict != c.want || got.PerProcess != c.perProcess {
				t.Errorf("%s, per process %v; want %s, %v", got.Verdict, got.PerProcess, c.want, c.perProcess)
			}
			if lasting := c.want == AllowAll || c.want == BlockAll; (got.Rule != nil) != lasting {
				t.Errorf("%s by %+v", got.Verdict, got.Rule)
			}
		})
	}
}

func TestNeedsSHA256(t *testing.T) {
	sum := func(path string) []Rule {
		return []Rule{{Enabled: true, Action: Allow, Program: Program{Path: path, SHA256: genSums[0]}}}
	}
	for _, c := range []struct {
		rules []Rule
		want  bool
	}{
		{nil, false}, {sum("/usr/bin/curl"), true}, {sum("/usr/bin/wget"), false}, {sum(""), true},
	} {
		if got := NewSet(c.rules).NeedsSHA256("/usr/bin/curl"); got != c.want {
			t.Errorf("%+v: %v", c.rules, got)
		}
	}
}
