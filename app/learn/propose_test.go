package learn

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sekisho/app/flow"
	"sekisho/app/rule"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// seen is a flow that the mode let through. To is "name=address", or an address.
func seen(path string, d flow.Direction, protocol flow.Protocol, to string, port uint16) *flow.Flow {
	name, addr, named := strings.Cut(to, "=")
	if !named {
		name, addr = "", to
	}
	f := &flow.Flow{
		Time: start, Direction: d, Protocol: protocol, Process: &flow.Process{Program: flow.Program{Path: path}, UID: 1000},
		Remote:   flow.Endpoint{Addr: netip.MustParseAddr(addr), Name: name},
		Decision: flow.Decision{Verdict: flow.Allow, By: flow.By{Kind: flow.ByMode, Name: "learn"}},
	}
	if d == flow.In {
		f.Local.Port, f.Remote.Port = port, 40000
	} else {
		f.Local.Port, f.Remote.Port = 40000, port
	}
	return f
}

func notesOf(t *testing.T, flows ...*flow.Flow) []Note {
	t.Helper()
	c := NewCollector(nil)
	for _, f := range flows {
		if skip := c.Observe(f, Facts{LAN: f.Remote.Addr.IsPrivate()}); skip != "" {
			t.Fatalf("%+v was skipped: %s", f, skip)
		}
	}
	return c.Notes()
}

func text(proposals []Proposal) (lines []string) {
	for _, p := range proposals {
		r := p.Rule
		s := fmt.Sprintf("%s %s %s %s", r.Direction, r.Remote, rule.FormatPorts(r.Ports), p.Breadth)
		if r.Protocol != 0 {
			s += " " + r.Protocol.String()
		}
		lines = append(lines, s)
	}
	return lines
}

func TestProposals(t *testing.T) {
	const app = "/usr/bin/app"
	out := func(protocol flow.Protocol, port uint16, to ...string) (all []*flow.Flow) {
		for _, h := range to {
			all = append(all, seen(app, flow.Out, protocol, h, port))
		}
		return all
	}
	in := func(protocol flow.Protocol, port uint16, from ...string) (all []*flow.Flow) {
		for _, h := range from {
			all = append(all, seen(app, flow.In, protocol, h, port))
		}
		return all
	}
	join := func(parts ...[]*flow.Flow) (all []*flow.Flow) {
		for _, p := range parts {
			all = append(all, p...)
		}
		return all
	}
	var fifty []string
	for i := range 50 {
		fifty = append(fifty, fmt.Sprintf("edge%d.example.com=203.0.113.%d", i, i+1))
	}
	for _, c := range []struct {
		name  string
		flows []*flow.Flow
		want  []string
	}{
		{"one host", out(flow.TCP, 443, "a.example.com=203.0.113.1"), []string{"out a.example.com 443 host tcp"}},
		{"one name with many addresses", out(flow.TCP, 443, "a.example.com=203.0.113.1", "a.example.com=203.0.113.2", "a.example.com=2001:db8::1"),
			[]string{"out a.example.com 443 host tcp"}},
		{"fifty addresses of one domain", out(flow.TCP, 443, fifty...), []string{"out *.example.com 443 owner tcp"}},
		{"a domain below a public suffix of two labels", out(flow.TCP, 443, "a.example.co.uk=203.0.113.1", "b.example.co.uk=203.0.113.2"),
			[]string{"out *.example.co.uk 443 owner tcp"}},
		{"names of others below one host for all", out(flow.TCP, 443, "d1.cloudfront.net=203.0.113.1", "d2.cloudfront.net=203.0.113.2"),
			[]string{"out d1.cloudfront.net 443 host tcp", "out d2.cloudfront.net 443 host tcp"}},
		{"a public suffix itself", out(flow.TCP, 443, "github.io=203.0.113.1", "a.github.io=203.0.113.2"),
			[]string{"out a.github.io 443 host tcp", "out github.io 443 host tcp"}},
		{"QUIC", join(out(flow.TCP, 443, "a.example.com=203.0.113.1"), out(flow.UDP, 443, "a.example.com=203.0.113.1")),
			[]string{"out a.example.com 443 host"}},
		{"QUIC beside HTTP", join(out(flow.TCP, 80, "a.example.com=203.0.113.1"), out(flow.TCP, 443, "a.example.com=203.0.113.1"), out(flow.UDP, 443, "a.example.com=203.0.113.1")),
			[]string{"out a.example.com 80,443 host"}},
		{"two protocols that have nothing to do with one another", join(out(flow.TCP, 22, "a.example.com=203.0.113.1"), out(flow.UDP, 60001, "a.example.com=203.0.113.1")),
			[]string{"out a.example.com 22 host tcp", "out a.example.com 60001 host udp"}},
		{"ports of one host", join(out(flow.TCP, 993, "mail.example.com=203.0.113.1"), out(flow.TCP, 587, "mail.example.com=203.0.113.1")),
			[]string{"out mail.example.com 587,993 host tcp"}},
		{"very many ports of one host", func() (all []*flow.Flow) {
			for i := range 20 {
				all = append(all, out(flow.TCP, uint16(30000+7*i), "ftp.example.com=203.0.113.1")...)
			}
			return all
		}(), []string{"out ftp.example.com any host tcp"}},
		{"one host nearby", out(flow.TCP, 631, "192.168.1.5"), []string{"out 192.168.1.5 631 host tcp"}},
		{"hosts nearby", join(out(flow.TCP, 631, "192.168.1.5", "nas.local=192.168.1.6"), out(flow.TCP, 9100, "192.168.1.7")),
			[]string{"out lan 631,9100 lan tcp"}},
		{"nameless addresses side by side", out(flow.UDP, 3478, "203.0.113.1", "203.0.113.2", "203.0.113.9"), []string{"out 203.0.113.0/24 3478 owner udp"}},
		{"nameless addresses apart", out(flow.TCP, 443, "203.0.113.1", "198.51.100.1"), []string{"out 198.51.100.1 443 host tcp", "out 203.0.113.1 443 host tcp"}},
		{"unrelated destinations", out(flow.TCP, 443, "a.com=203.0.113.1", "b.com=203.0.113.2", "c.com=203.0.113.3", "d.com=203.0.113.4", "e.com=203.0.113.5", "f.com=203.0.113.6"),
			[]string{"out any 443 anywhere tcp"}},
		{"unrelated destinations, and one at a port of its own", join(
			out(flow.TCP, 443, "a.com=203.0.113.1", "b.com=203.0.113.2", "c.com=203.0.113.3", "d.com=203.0.113.4", "e.com=203.0.113.5", "f.com=203.0.113.6"),
			out(flow.TCP, 5222, "chat.g.com=203.0.113.7")),
			[]string{"out any 443 anywhere tcp", "out chat.g.com 5222 host tcp"}},
		{"ping", out(flow.ICMP, 0, "203.0.113.1"), []string{"out 203.0.113.1 any host icmp"}},
		{"comes in from nearby", in(flow.TCP, 22000, "192.168.1.5", "192.168.1.6"), []string{"in lan 22000 lan tcp"}},
		{"comes in from one that has a name here", in(flow.TCP, 22000, "192.168.1.5"), []string{"in lan 22000 lan tcp"}},
		{"comes in from anywhere", join(in(flow.TCP, 51413, "203.0.113.1", "192.168.1.5"), in(flow.UDP, 51413, "198.51.100.7")),
			[]string{"in any 51413 anywhere"}},
		{"both ways", join(out(flow.TCP, 443, "a.com=203.0.113.1"), in(flow.TCP, 22, "192.168.1.5")),
			[]string{"out a.com 443 host tcp", "in lan 22 lan tcp"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			notes := notesOf(t, c.flows...)
			got, left := Propose(notes, Options{})
			if len(left) > 0 {
				t.Errorf("left: %+v", left)
			}
			if !reflect.DeepEqual(text(got), c.want) {
				t.Errorf("got\n  %s\nwant\n  %s", strings.Join(text(got), "\n  "), strings.Join(c.want, "\n  "))
			}
			check(t, notes, got, left, 25)
		})
	}
}

// check holds what is promised of all proposals.
func check(t interface {
	Helper()
	Fatalf(string, ...any)
}, notes []Note, got []Proposal, left []Note, most int) {
	t.Helper()
	if len(got) > most {
		t.Fatalf("%d proposals, at most %d: %v", len(got), most, text(got))
	}
	var rules []rule.Rule
	flows, ids := uint64(0), map[string]bool{}
	for _, p := range got {
		r := p.Rule
		if err := rule.Validate(r); err != nil {
			t.Fatalf("%+v: %v", r, err)
		}
		if ids[p.ID] || len(p.Notes) == 0 {
			t.Fatalf("%+v is there twice, or for nothing", p)
		}
		ids[p.ID] = true
		r.ID = p.ID
		rules = append(rules, r)
		for _, n := range p.Notes {
			flows += n.Flows
			if !r.Matches(n.Query(), rule.Clock{}) {
				t.Fatalf("%+v is not about %+v", r, n)
			}
		}
	}
	all := rule.NewSet(rules)
	for _, n := range notes {
		if r, ok := all.Decide(n.Query(), rule.Clock{}); !ok || r.Action != rule.Allow {
			flows += n.Flows
			found := false
			for _, l := range left {
				found = found || l.Key == n.Key
			}
			if !found {
				t.Fatalf("%+v is decided by none of %v", n, text(got))
			}
		}
	}
	want := uint64(0)
	for _, n := range notes {
		want += n.Flows
	}
	if flows != want {
		t.Fatalf("the proposals speak of %d flows, there were %d", flows, want)
	}
}

// The "done when" of learning: ten programs of a desktop, 200 connections.
func TestTwoHundredConnections(t *testing.T) {
	notes := notesOf(t, desktop()...)
	total := uint64(0)
	programs := map[string]bool{}
	for _, n := range notes {
		total += n.Flows
		programs[n.Path+n.Script] = true
	}
	if total != 200 || len(programs) != 10 {
		t.Fatalf("%d connections of %d programs", total, len(programs))
	}
	got, left := Propose(notes, Options{})
	t.Logf("%d connections of %d programs: %d rules\n  %s", total, len(programs), len(got), strings.Join(text(got), "\n  "))
	if len(left) > 0 {
		t.Errorf("left: %+v", left)
	}
	check(t, notes, got, left, 25)
}

// desktop is a day of ten programs.
func desktop() (all []*flow.Flow) {
	add := func(path string, d flow.Direction, protocol flow.Protocol, port uint16, to ...string) {
		for _, h := range to {
			all = append(all, seen(path, d, protocol, h, port))
		}
	}
	browser := "/usr/lib/firefox/firefox"
	for i := range 70 {
		add(browser, flow.Out, flow.TCP, 443, fmt.Sprintf("www.site%d.com=203.0.113.%d", i%35, i+1))
	}
	for i := range 20 {
		add(browser, flow.Out, flow.UDP, 443, fmt.Sprintf("www.site%d.com=203.0.113.%d", i, i+1))
	}
	add(browser, flow.Out, flow.TCP, 80, "neverssl.com=198.51.100.1")
	mail := "/usr/bin/thunderbird"
	add(mail, flow.Out, flow.TCP, 993, "imap.example.org=198.51.100.2", "imap.example.org=198.51.100.3", "imap.other.net=198.51.100.4")
	add(mail, flow.Out, flow.TCP, 587, "smtp.example.org=198.51.100.2", "smtp.other.net=198.51.100.4")
	for i := range 20 {
		add("/usr/share/spotify/spotify", flow.Out, flow.TCP, 443, fmt.Sprintf("ap%d.spotify.com=198.51.100.%d", i, 10+i))
	}
	add("/usr/share/spotify/spotify", flow.In, flow.TCP, 57621, "192.168.1.9")
	for i := range 15 {
		add("/usr/bin/syncthing", flow.Out, flow.TCP, 22000, fmt.Sprintf("198.18.%d.7", i))
	}
	add("/usr/bin/syncthing", flow.In, flow.TCP, 22000, "192.168.1.10", "192.168.1.11", "198.18.4.7")
	add("/usr/bin/syncthing", flow.Out, flow.UDP, 21027, "192.168.1.255")
	add("/usr/bin/syncthing", flow.Out, flow.TCP, 443, "relays.syncthing.net=198.51.100.80", "discovery.syncthing.net=198.51.100.81")
	for i := range 25 {
		add("/usr/bin/transmission-gtk", flow.Out, flow.TCP, uint16(10000+i*91), fmt.Sprintf("198.18.100.%d", i*9))
	}
	add("/usr/bin/transmission-gtk", flow.In, flow.UDP, 51413, "198.18.100.9", "198.18.101.9", "198.18.102.9")
	add("/usr/bin/gnome-weather", flow.Out, flow.TCP, 443, "api.met.no=198.51.100.90")
	add("/usr/bin/simple-scan", flow.Out, flow.TCP, 9100, "192.168.1.40")
	add("/usr/bin/simple-scan", flow.Out, flow.UDP, 161, "192.168.1.40", "192.168.1.41")
	add("/usr/bin/ping", flow.Out, flow.ICMP, 0, "198.51.100.1", "198.51.100.91")
	for i := range 12 {
		add("/usr/bin/kdeconnectd", flow.Out, flow.TCP, uint16(1714+i), "192.168.1.50", "192.168.1.51")
	}
	for i := len(all); i < 200; i++ {
		f := seen("/usr/bin/python3.13", flow.Out, flow.TCP, "pypi.org=198.51.100.99", 443)
		f.Process.Script = "/home/a/backup.py"
		all = append(all, f)
	}
	return all
}

// Whatever is noted, few rules allow all of it, and the order of notes changes nothing.
func TestProposeProperty(t *testing.T) {
	hosts := []string{
		"a.example.com=203.0.113.1", "b.example.com=203.0.113.2", "example.org=203.0.113.3", "x.co.uk=203.0.113.4", "c.github.io=203.0.113.5",
		"nas=192.168.1.3", "printer.local=192.168.1.4", "192.168.1.5", "203.0.113.7", "203.0.113.8", "203.0.113.9", "198.51.100.1",
		"2001:db8::1", "2001:db8::2", "2001:db8::3", "fd00::7", "com=203.0.113.11", "bad name=203.0.113.12", "1.2.3=203.0.113.13",
	}
	for i := range 40 {
		hosts = append(hosts, fmt.Sprintf("h%d.net%d.de=198.18.%d.%d", i, i/3, i, i))
	}
	protocols := []flow.Protocol{flow.TCP, flow.TCP, flow.TCP, flow.UDP, flow.UDP, flow.ICMP, flow.ICMPv6, flow.SCTP, 0, 99}
	fewest, widened := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		programs := rapid.IntRange(1, 10).Draw(t, "programs")
		c := NewCollector(nil)
		for range rapid.IntRange(0, 200).Draw(t, "flows") {
			p := rapid.IntRange(1, programs).Draw(t, "program")
			f := seen(fmt.Sprintf("/usr/bin/p%d", p), rapid.SampledFrom([]flow.Direction{flow.Out, flow.Out, flow.Out, flow.In}).Draw(t, "direction"),
				rapid.SampledFrom(protocols).Draw(t, "protocol"), rapid.SampledFrom(hosts).Draw(t, "to"),
				rapid.OneOf(rapid.SampledFrom([]uint16{443, 80, 53, 22}), rapid.Uint16()).Draw(t, "port"))
			if p == 1 {
				f.Process.Path = flow.KernelPath
			}
			if p == 2 {
				f.Process.Script = rapid.SampledFrom([]string{"", "/home/a/s.py"}).Draw(t, "script")
				f.Process.Inline = rapid.Bool().Draw(t, "inline")
			}
			if p == 3 {
				f.Process.App = "app"
				f.Process.Script = rapid.SampledFrom([]string{"", "/home/a/s.py"}).Draw(t, "script")
			}
			f.Process.UID = rapid.Uint32Range(0, 20).Draw(t, "uid")
			f.Time = start.Add(time.Duration(rapid.IntRange(0, 99).Draw(t, "time")) * time.Second)
			c.Observe(f, Facts{
				LAN:     f.Remote.Addr.IsPrivate() || rapid.IntRange(0, 9).Draw(t, "lan") == 0,
				Network: rapid.SampledFrom([]string{"home", "home", "public", "Work", "", "a", "b", "c"}).Draw(t, "network"),
			})
		}
		notes := c.Notes()
		most := rapid.SampledFrom([]int{0, 1, 12}).Draw(t, "most")
		limit := map[int]int{0: 27, 1: 11, 12: 12}[most] // p2 is two programs
		got, left := Propose(notes, Options{Most: most})
		if len(left) > 0 {
			t.Fatalf("left %+v", left)
		}
		check(t, notes, got, left, limit)
		if len(got) > fewest {
			fewest = len(got)
		}
		for _, p := range got {
			if p.Breadth == Anything {
				widened++
			}
		}
		review := NewReview(got)
		for _, p := range got {
			if err := review.Answer(p.ID, Accepted); err != nil {
				t.Fatal(err)
			}
		}
		if asked := review.Asked(); len(asked) > 0 {
			t.Fatalf("with all accepted, %+v is asked about", asked)
		}
		shuffled := rapid.Permutation(notes).Draw(t, "order")
		again, _ := Propose(shuffled, Options{Most: most})
		if !reflect.DeepEqual(got, again) {
			t.Fatalf("another order gives %v, not %v", text(again), text(got))
		}
	})
	if fewest < 10 || widened == 0 {
		t.Errorf("at most %d proposals, %d wide ones: the test proves little", fewest, widened)
	}
}

// The same address on another local network is another machine.
func TestLocalRulesHoldWhereTheyWereLearnt(t *testing.T) {
	c := NewCollector(nil)
	note := func(path string, d flow.Direction, to string, network string) {
		f := seen(path, d, flow.TCP, to, 631)
		if skip := c.Observe(f, Facts{LAN: f.Remote.Addr.IsPrivate(), Network: network}); skip != "" {
			t.Fatal(skip)
		}
	}
	note("/usr/bin/a", flow.Out, "192.168.1.5", "home")
	note("/usr/bin/a", flow.Out, "192.168.1.5", "Work")
	note("/usr/bin/b", flow.Out, "192.168.1.5", "home")
	note("/usr/bin/b", flow.Out, "192.168.1.6", "home")
	note("/usr/bin/c", flow.In, "192.168.1.5", "home")
	note("/usr/bin/d", flow.Out, "192.168.1.5", "home")
	note("/usr/bin/d", flow.Out, "192.168.1.5", "")
	note("/usr/bin/e", flow.Out, "203.0.113.5", "home")
	note("/usr/bin/f", flow.Out, "nas.example.com=192.168.1.5", "home")
	note("/usr/bin/f", flow.Out, "nas.example.com=203.0.113.5", "public")
	got, left := Propose(c.Notes(), Options{})
	check(t, c.Notes(), got, left, 6)
	networks := map[string]string{}
	for _, p := range got {
		networks[p.Rule.Program.Path] = p.Rule.Network
	}
	want := map[string]string{"/usr/bin/a": "home,work", "/usr/bin/b": "home", "/usr/bin/c": "home", "/usr/bin/d": "", "/usr/bin/e": "", "/usr/bin/f": ""}
	if !reflect.DeepEqual(networks, want) {
		t.Errorf("%v, want %v", networks, want)
	}
}

// As much as a Collector keeps is proposed of in a moment.
func BenchmarkProposeFull(b *testing.B) {
	c := NewCollector(nil)
	for p := range MaxPrograms {
		for i := range 2 * maxNotes {
			f := seen(fmt.Sprintf("/usr/bin/p%d", p), flow.Direction(i%2), flow.TCP, fmt.Sprintf("h%d.d%d.com=198.18.%d.%d", i, i, i/250, i%250), uint16(i%97)+1)
			c.Observe(f, Facts{})
		}
	}
	notes := c.Notes()
	b.ResetTimer()
	for b.Loop() {
		Propose(notes, Options{})
	}
}

// What is proposed reads back from JSON as it was.
func TestProposalsAsJSON(t *testing.T) {
	got, _ := Propose(notesOf(t, desktop()...), Options{Most: 10})
	b, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	var back []Proposal
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, back) {
		t.Errorf("%s", b)
	}
}

func TestInterpretersAreNamed(t *testing.T) {
	inline := seen("/usr/bin/python3", flow.Out, flow.TCP, "a.com=203.0.113.1", 443)
	inline.Process.Inline, inline.Process.Script = true, "/home/a/s.py"
	script := seen("/usr/bin/python3", flow.Out, flow.TCP, "b.com=203.0.113.2", 443)
	script.Process.Script = "/home/a/s.py"
	got, _ := Propose(notesOf(t, inline, script, seen("/usr/bin/perl", flow.Out, flow.TCP, "c.com=203.0.113.3", 443)),
		Options{Interpreter: func(p string) bool { return p == "/usr/bin/perl" }})
	named := map[string]bool{}
	for _, p := range got {
		named[p.Rule.Program.Path+" "+p.Rule.Program.Script] = p.Interpreter
	}
	want := map[string]bool{"/usr/bin/python3 ": true, "/usr/bin/python3 /home/a/s.py": false, "/usr/bin/perl ": true}
	if !reflect.DeepEqual(named, want) {
		t.Errorf("%v, want %v", named, want)
	}
}

// An application's paths change with every version.
func TestApplicationsAreOneProgram(t *testing.T) {
	var flows []*flow.Flow
	for i := range 5 {
		f := seen(fmt.Sprintf("/snap/chat/%d/usr/bin/chat", i), flow.Out, flow.TCP, "chat.com=203.0.113.1", 443)
		f.Process.App = "chat"
		own := seen("/home/a/bin/tool", flow.Out, flow.TCP, "tool.com=203.0.113.2", 443)
		own.Process.App, own.Process.OwnApp = "chat", true // anybody could say so
		flows = append(flows, f, own)
	}
	notes := notesOf(t, flows...)
	got, left := Propose(notes, Options{})
	check(t, notes, got, left, 2)
	if len(got) != 2 || got[0].Rule.Program != (rule.Program{Path: "/home/a/bin/tool"}) || got[1].Rule.Program != (rule.Program{App: "chat"}) {
		t.Errorf("%+v", got)
	}
}

func TestWhatRulesDecideNeedsNoProposal(t *testing.T) {
	existing := rule.NewSet([]rule.Rule{
		{ID: "1", Enabled: true, Action: rule.Allow, Program: rule.Program{Path: "/usr/bin/app"}, Remote: rule.Remote{Domain: "example.com"}},
		{ID: "2", Enabled: true, Action: rule.Block, Direction: rule.Both, Remote: rule.Remote{Domain: "tracker.net"}},
		{ID: "3", Enabled: true, Action: rule.Block, Direction: rule.Both, Remote: rule.Remote{Domain: "elsewhere.net"}, Ports: []rule.PortRange{{From: 25, To: 25}}},
	})
	notes := notesOf(t,
		seen("/usr/bin/app", flow.Out, flow.TCP, "a.example.com=203.0.113.1", 443),
		seen("/usr/bin/app", flow.Out, flow.TCP, "a.example.org=203.0.113.2", 443))
	got, _ := Propose(notes, Options{Existing: existing})
	if want := []string{"out a.example.org 443 host tcp"}; !reflect.DeepEqual(text(got), want) {
		t.Fatalf("%v, want %v", text(got), want)
	}
	if len(got[0].Overrides) != 0 {
		t.Errorf("overrides %v", got[0].Overrides)
	}
	for i := range 9 {
		notes = append(notes, notesOf(t, seen("/usr/bin/app", flow.Out, flow.TCP, fmt.Sprintf("x%d.com=203.0.113.%d", i, 20+i), 443))...)
	}
	got, _ = Propose(notes, Options{Existing: existing})
	if len(got) != 1 || got[0].Breadth != Anywhere || !reflect.DeepEqual(got[0].Overrides, []string{"2"}) {
		t.Errorf("%v overrides %v, want rule 2: it blocks by name for any program", text(got), got[0].Overrides)
	}
}
