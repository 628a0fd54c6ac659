package view

import (
	"net/netip"
	"testing"
	"time"

	"sekisho/app/flow"
)

var noon = time.Date(2026, 11, 3, 12, 0, 0, 0, time.UTC)

// sample is a flow of curl to example.com on port 443.
func sample(id string) flow.Flow {
	return flow.Flow{
		ID: id, Time: noon, Direction: flow.Out, Protocol: flow.TCP, State: flow.Open,
		Process:  &flow.Process{ProcessID: flow.ProcessID{PID: 7, Start: 1}, Program: flow.Program{Path: "/usr/bin/curl"}},
		Local:    flow.Endpoint{Addr: netip.MustParseAddr("10.0.0.2"), Port: 40000},
		Remote:   flow.Endpoint{Addr: netip.MustParseAddr("2606:50c0::154"), Port: 443, Name: "Example.com"},
		Decision: flow.Decision{Verdict: flow.Allow, By: flow.By{Kind: flow.ByRule, ID: "12", Name: "curl"}},
	}
}

func TestFilterMatches(t *testing.T) {
	incoming := sample("in")
	incoming.Direction, incoming.Local.Port, incoming.Remote.Name = flow.In, 8000, ""
	incoming.Process = &flow.Process{Program: flow.Program{Path: "/usr/bin/python3.11", Script: "/home/hana/my server.py"}}
	incoming.Decision = flow.Decision{Verdict: flow.Block, By: flow.By{Kind: flow.ByMode, Name: "block"}}
	tests := []struct {
		filter string
		out    bool // curl to example.com
		in     bool // my server.py reached on 8000
	}{
		{"", true, true},
		{"curl", true, false},
		{"CURL exam", true, false},
		{"curl nothing", false, false},
		{"program:curl", true, false},
		{"program:python3", false, true},
		{`program:"my server"`, false, true},
		{`"my server"`, false, true},
		{"name:example", true, false},
		{"name:curl", false, false},
		{"name:2606:50c0", true, true},
		{"2606:50c0::154", true, true},
		{"port:443", true, false},
		{"port:8000", false, true},
		{"port:8000-9000", false, true},
		{"port:9000-8000", false, true},
		{"port:1,443", true, false},
		{"port:https", true, false},
		{"port:44", false, false},
		{"direction:in", false, true},
		{"direction:o", true, false},
		{"direction:sideways", false, false},
		{"verdict:block", false, true},
		{"verdict:allow program:curl", true, false},
		{"program:", true, true},
		{"-program:curl", false, true},
		{"-curl", false, true},
		{"-", true, true},
		{"colour:red", false, false},
		{"ｐｒｏｇｒａｍ：ｃｕｒｌ", true, false},
		{"curl　example", true, false},
	}
	out, in := newConnection(sample("out")), newConnection(incoming)
	for _, tt := range tests {
		f := ParseFilter(tt.filter)
		if got := f.match(&out.subject); got != tt.out {
			t.Errorf("%q matches curl: %v", tt.filter, got)
		}
		if got := f.match(&in.subject); got != tt.in {
			t.Errorf("%q matches the incoming flow: %v", tt.filter, got)
		}
	}
}

// FuzzParseFilter holds that whatever is typed is read without a crash, that the result
// written out is read back as the same, and that turning every term round of a filter
// of one term turns its matches round.
func FuzzParseFilter(f *testing.F) {
	for _, s := range []string{"", "curl", `-program:"a b" port:1-2,3 x:y`, `port:99999 "`, "ｐort：443", "-\"-x\"", "name:\xff", "verdict:İ"} {
		f.Add(s)
	}
	row := newConnection(sample("x"))
	f.Fuzz(func(t *testing.T, s string) {
		p := ParseFilter(s)
		again := ParseFilter(p.String())
		if len(p.String()) <= maxFilter && !again.Equal(p) {
			t.Fatalf("%q is read as %q, and that as %q", s, p, again)
		}
		if p.match(&row.subject) != again.match(&row.subject) && len(p.String()) <= maxFilter {
			t.Fatalf("%q and %q match differently", s, p)
		}
		if len(p.terms) == 1 {
			turned := Filter{terms: []term{p.terms[0]}}
			turned.terms[0].not = !turned.terms[0].not
			if turned.match(&row.subject) == p.match(&row.subject) {
				t.Fatalf("%q and its opposite agree", s)
			}
		}
	})
}
