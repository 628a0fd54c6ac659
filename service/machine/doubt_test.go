package machine

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"sekisho/app/flow"
)

// doubts lists what a report's first path can't tell.
func doubts(r Report) string {
	var all []string
	for _, s := range r.Paths[0].Steps {
		if s.Code == FilterDoubt {
			all = append(all, fmt.Sprintf("%s rule %d: %s", s.Filter.Chain, s.Filter.Number, s.Filter.Unsure))
		}
	}
	return strings.Join(all, "; ")
}

// TestCannotTell has rules whose outcome nobody can know beforehand: they are named, with
// the reason, and nothing is claimed.
func TestCannotTell(t *testing.T) {
	s := newScene(t)
	for _, c := range []struct{ name, rules, want, doubts string }{
		{"a limit", "table ip f { chain out { type filter hook output priority 0; tcp dport 25 limit rate 1/hour drop |}|}",
			"may be dropped by filter-rule (nft: ip f out, rule 1: tcp dport 25 limit rate 1/hour drop)", "out rule 1: a limit"},
		{"a limit before a drop", "table ip f { chain out { type filter hook output priority 0; tcp dport 25 limit rate 1/hour accept | drop |}|}",
			"may be dropped by filter-rule (nft: ip f out, rule 2: drop)", "out rule 1: a limit"},
		{"a limit that makes no difference", "table ip f { chain out { type filter hook output priority 0; limit rate 1/hour log | tcp dport 25 drop |}|}",
			"dropped by filter-rule (nft: ip f out, rule 2: tcp dport 25 drop)", ""},
		{"a source port that it may get", "table ip f { chain out { type filter hook output priority 0; tcp sport 40000 drop |}|}",
			"may be dropped by filter-rule (nft: ip f out, rule 1: tcp sport 40000 drop)", "out rule 1: the source port"},
		{"a source port that it can't get", "table ip f { chain out { type filter hook output priority 0; tcp sport 1-1023 drop |}|}", "passes", ""},
		{"chance", "table ip f { chain out { type filter hook output priority 0; numgen random mod 2 vmap { 0 : drop, 1 : accept } |}|}",
			"may be dropped by filter-rule (nft: ip f out, rule 1: numgen vmap { 0x00000000 : drop, 0x01000000 : accept })", "out rule 1: a number of the kernel's"},
		{"the packet's length", "table ip f { chain out { type filter hook output priority 0; ip length > 100 drop |}|}",
			"may be dropped by filter-rule (nft: ip f out, rule 1: ip length > 100 drop)", "out rule 1: the packet's length"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.t = t
			s.nft(c.rules)
			defer s.nft("flush ruleset")
			r := s.look(s.mail())
			if got := say(r); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if got := doubts(r); got != c.doubts {
				t.Errorf("doubts: got %q, want %q", got, c.doubts)
			}
		})
	}
}

// TestUnknownMatchOfIPTables: a match that Sekisho does not know, of both kinds of iptables.
func TestUnknownMatchOfIPTables(t *testing.T) {
	s := newScene(t)
	rules := "*filter\n:OUTPUT ACCEPT\n-A OUTPUT -p tcp -m statistic --mode nth --every 2 --packet 0 -j DROP\nCOMMIT\n"
	for tool, want := range map[string]string{
		"iptables-nft-restore":    "may be dropped by filter-rule (iptables-nft: ip filter OUTPUT, rule 1: meta l4proto tcp xt match statistic drop)",
		"iptables-legacy-restore": "may be dropped by filter-rule (iptables-legacy: ip filter OUTPUT, rule 1: meta l4proto tcp xt match statistic drop)",
	} {
		s.run(rules, tool)
		r := s.look(s.mail())
		if got := say(r); got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", tool, got, want)
		}
		if got, want := doubts(r), "OUTPUT rule 1: the match statistic of iptables"; got != want {
			t.Errorf("%s: doubts %q, want %q", tool, got, want)
		}
		s.run("*filter\n:OUTPUT ACCEPT\nCOMMIT\n", tool)
	}
}

// TestOwnTablesAreLeftOut: what Sekisho itself put there is the engine's to explain.
func TestOwnTablesAreLeftOut(t *testing.T) {
	s := newScene(t)
	s.nft("table inet sekisho_1 { chain output { type filter hook output priority 10; tcp dport 25 drop |}|}")
	if got, want := say(s.look(s.mail())), "dropped by filter-rule (nft: inet sekisho_1 output, rule 1: tcp dport 25 drop)"; got != want {
		t.Errorf("another's: got %s, want %s", got, want)
	}
	s.machine.Own = func(table string) bool { return table == "sekisho_1" }
	if got := say(s.look(s.mail())); got != "passes" {
		t.Errorf("ours: got %s, want passes", got)
	}
	if got, want := say(s.try(s.mail())), "dropped by filter-rule (sekisho: inet sekisho_1 output, rule 1: tcp dport 25 drop)"; got != want {
		t.Errorf("traced: got %s, want %s", got, want)
	}
}

// TestSwitchedOffTable: a dormant table does nothing.
func TestSwitchedOffTable(t *testing.T) {
	s := newScene(t)
	s.nft("table ip f { flags dormant | chain out { type filter hook output priority 0; policy drop |}|}")
	if got := say(s.look(s.mail())); got != "passes" {
		t.Errorf("got %s, want passes", got)
	}
}

// TestSentElsewhere: a rule sends mail to this machine itself, where another drops it.
func TestSentElsewhere(t *testing.T) {
	s := newScene(t)
	s.nft(`table ip nat {| chain o { type nat hook output priority -100; tcp dport 25 redirect to :2525 |}|}
		table ip f {| chain in { type filter hook input priority 0; iif lo tcp dport 2525 drop |}|}`)
	r := s.look(s.mail())
	if got, want := say(r), "dropped by filter-rule (nft: ip f in, rule 1: iif 1 tcp dport 2525 drop)"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if s.connects(s.mail()) {
		t.Error("it connects")
	}
	if got, want := say(s.try(s.mail())), say(r); got != want {
		t.Errorf("traced: got %s, want %s", got, want)
	}
}

// TestIncoming: who connects to this machine's mail server is stopped on the way in, or the
// answer is on the way out.
func TestIncoming(t *testing.T) {
	s := newScene(t)
	f := flow.Flow{Direction: flow.In, Protocol: flow.TCP, Process: &flow.Process{UID: 33}, Local: flow.Endpoint{Port: 25}, Remote: flow.Endpoint{Addr: s.Remote.Addr6}}
	for _, c := range []struct{ rules, want string }{
		{"", "passes"},
		{"table inet f { chain in { type filter hook input priority 0; policy drop; ct state established accept; tcp dport 22 accept; icmpv6 type nd-neighbor-solicit accept |}|}", "dropped by filter-policy (nft: inet f in)"},
		{"table ip6 f { chain p { type filter hook prerouting priority -300; ip6 saddr fd00::/8 drop |}|}", "dropped by filter-rule (nft: ip6 f p, rule 1: ip6 saddr fd00::/8 drop)"},
		{"table ip6 f { chain o { type filter hook output priority 0; meta skuid 33 tcp sport 25 drop |}|}", "dropped by filter-rule (nft: ip6 f o, rule 1: meta skuid 33 tcp sport 25 drop) answer"},
		{"table ip f { chain in { type filter hook input priority 0; policy drop |}|}", "passes"},
	} {
		s.nft("flush ruleset\n" + c.rules)
		if got := say(s.look(f)); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}

// TestNeighbourDiscovery: who lets in only what answers is not found over IPv6.
func TestNeighbourDiscovery(t *testing.T) {
	s := newScene(t)
	s.nft("table inet f { chain in { type filter hook input priority 0; policy drop; ct state established,related accept |}|}")
	f := s.mail()
	if got := say(s.look(f)); got != "passes" {
		t.Errorf("IPv4: %s", got)
	}
	f.Remote.Addr = s.Remote.Addr6
	if got, want := say(s.look(f)), "may be dropped by filter-policy (nft: inet f in) neighbour"; got != want {
		t.Errorf("IPv6: got %s, want %s", got, want)
	}
	if s.connects(f) {
		t.Error("it connects")
	}
	s.nft("add rule inet f in icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } ip6 hoplimit 255 accept")
	if got := say(s.look(f)); got != "passes" {
		t.Errorf("allowed: %s", got)
	}
}

// TestBridge: a machine that talks by a bridge, as hosts of virtual machines do, passes
// the bridge's own chains too.
func TestBridge(t *testing.T) {
	s := newScene(t)
	s.Remote.ServeEcho(25)
	s.run("", "sh", "-ec", fmt.Sprintf(`ip link add br9 type bridge
		ip link set eth0 master br9; ip addr flush dev eth0; ip link set br9 up; ip addr add %s/24 dev br9`, s.Home.Addr4))
	f := s.mail()
	if got := say(s.look(f)); got != "passes" || !s.connects(f) {
		t.Fatalf("without rules: %s, want passes", got)
	}
	for rules, want := range map[string]string{
		"table bridge f { chain o { type filter hook output priority 0; ip daddr 10.0.0.0/8 tcp dport 25 drop |}|}": "dropped by filter-rule (nft: bridge f o, rule 1: ip daddr 10.0.0.0/8 tcp dport 25 drop)",
		"table bridge f { chain i { type filter hook input priority 0; ether type ip tcp sport 25 drop |}|}":        `dropped by filter-rule (nft: bridge f i, rule 1: ether type ip tcp sport 25 drop) answer`,
	} {
		s.nft("flush ruleset\n" + rules)
		if got := say(s.look(f)); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		if s.connects(f) {
			t.Error("it connects")
		}
	}
}

// TestPassedOn: what this machine passes on for others meets the hook forward, as Docker
// and libvirt use it.
func TestPassedOn(t *testing.T) {
	s := newScene(t)
	f := flow.Flow{
		Direction: flow.Out, Protocol: flow.TCP, Process: &flow.Process{Program: flow.Program{Path: flow.ForwardedPath}},
		Local: flow.Endpoint{Addr: netip.MustParseAddr("192.0.2.7"), Port: 4000}, Remote: flow.Endpoint{Addr: s.Remote.Addr4, Port: 25},
	}
	if got := say(s.look(f)); got != "passes" {
		t.Errorf("got %s, want passes", got)
	}
	s.run("*filter\n:FORWARD DROP\n:DOCKER-USER -\n-A FORWARD -j DOCKER-USER\n-A DOCKER-USER -p tcp --dport 25 -j DROP\n-A FORWARD -j ACCEPT\nCOMMIT\n", "iptables-nft-restore")
	if got, want := say(s.look(f)), "dropped by filter-rule (docker: ip filter DOCKER-USER, rule 1: tcp dport 25 drop)"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	s.nft("flush ruleset")
	s.nft("table ip libvirt_network {| chain guest_input { ip daddr 10.99.0.0/16 reject |}| chain forward { type filter hook forward priority 0; jump guest_input |}|}")
	if got, want := say(s.look(f)), "rejected by filter-rule (libvirt: ip libvirt_network guest_input, rule 1: ip daddr 10.99.0.0/16 reject with icmp port-unreachable)"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestManyJumps: chains that jump to each other in more ways than can be gone through end
// in time, without a claim.
func TestManyJumps(t *testing.T) {
	s := newScene(t)
	var b strings.Builder
	b.WriteString("table ip f {\n")
	for i := range 8 {
		fmt.Fprintf(&b, "chain c%d {\n", i)
		for range 20 {
			if i > 0 {
				fmt.Fprintf(&b, "jump c%d\n", i-1)
			} else {
				b.WriteString("counter\n")
			}
		}
		b.WriteString("}\n")
	}
	// Behind a hook that nothing passes here: the kernel would take as long.
	b.WriteString("chain passing { type filter hook forward priority 0; jump c7\n drop\n}\n}\n")
	s.nft(b.String())
	f := s.mail()
	f.Process.Path, f.Local.Addr = flow.ForwardedPath, netip.MustParseAddr("192.0.2.7")
	if r := s.look(f); r.Outcome != Perhaps || !strings.Contains(doubts(r), "more rules than there is time for") {
		t.Errorf("got %s; doubts %q", say(r), doubts(r))
	}
}
