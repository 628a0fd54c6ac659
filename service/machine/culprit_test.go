package machine

import "testing"

// TestMailIsNotSent has another packet filter on Home stop the mail program, and wants
// exactly its rule named; without it the connection is made.
func TestMailIsNotSent(t *testing.T) {
	s := newScene(t)
	s.Remote.ServeEcho(25)
	f := s.mail()
	if got := say(s.look(f)); got != "passes" || !s.connects(f) {
		t.Fatalf("with no rules: %s, want passes", got)
	}
	for _, c := range []struct{ name, rules, want string }{
		{"a rule", `table inet filter {| chain out { type filter hook output priority 0; tcp dport 80 drop
			tcp dport { 25, 465 } meta skuid 1000 counter drop comment "no mail" |}|}`,
			"dropped by filter-rule (nft: inet filter out, rule 2: tcp dport { 25, 465 } meta skuid 1000 drop)"},
		{"a policy", `table ip f { chain out { type filter hook output priority 0; policy drop; ct state established accept; tcp dport 443 accept |}|}`,
			"dropped by filter-policy (nft: ip f out)"},
		{"the answer's", `table inet f { chain in { type filter hook input priority 0; policy drop; iif lo accept; tcp dport 22 accept |}|}`,
			"dropped by filter-policy (nft: inet f in) answer"},
		{"what follows", `table inet f { chain out { type filter hook output priority 0; ct state established tcp dport 25 reject with tcp reset |}|}`,
			"rejected by filter-rule (nft: inet f out, rule 1: ct state established tcp dport 25 reject with tcp reset) next"},
		{"a jump, a set and a mark", `table ip a {| set bad { type ipv4_addr; flags interval; elements = { 10.0.0.0/8, 192.0.2.1 } |}
			chain mangle { type route hook output priority -150; ip daddr @bad meta mark set 0x7 |}
			chain end { oifname "eth0" reject |}
			chain sub { meta mark 7 goto end |}
			chain out { type filter hook output priority 0; meta l4proto tcp jump sub |}|}`,
			`rejected by filter-rule (nft: ip a end, rule 1: oifname "eth0" reject with icmp port-unreachable)`},
		{"a verdict map", `table inet f {| chain web { accept |}| chain post { drop |}
			chain out { type filter hook output priority 0; tcp dport vmap { 1-24 : accept, 25 : jump post, 443 : goto web } |}|}`,
			"dropped by filter-rule (nft: inet f post, rule 1: drop)"},
		{"a concatenation", `table inet f {| set s { type ipv4_addr . inet_service; flags interval; elements = { 10.0.0.0/8 . 20-30 } |}
			chain out { type filter hook output priority 0; ip daddr . tcp dport @s drop |}|}`,
			"dropped by filter-rule (nft: inet f out, rule 1: ip daddr . tcp dport @s drop)"},
		{"postrouting", `table inet f { chain p { type filter hook postrouting priority 0; oifname != "wg0" meta nfproto ipv4 drop |}|}`,
			`dropped by filter-rule (nft: inet f p, rule 1: oifname != "wg0" meta nfproto ipv4 drop)`},
		{"egress", `table netdev f { chain e { type filter hook egress device eth0 priority 0; tcp dport 25 drop |}|}`,
			`dropped by filter-rule (nft: netdev f e, rule 1: tcp dport 25 drop)`},
		{"ingress, the answer's", `table netdev f { chain e { type filter hook ingress device eth0 priority 0; tcp sport 25 drop |}|}`,
			`dropped by filter-rule (nft: netdev f e, rule 1: tcp sport 25 drop) answer`},
		{"raw, untracked", `table ip f { chain r { type filter hook output priority -300; tcp dport 25 notrack |}
			chain out { type filter hook output priority 0; ct state untracked drop |}|}`,
			`dropped by filter-rule (nft: ip f out, rule 1: ct state untracked drop)`},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.t = t
			s.nft(c.rules)
			defer s.nft("flush ruleset")
			if got := say(s.look(f)); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if c.name != "what follows" && s.connects(f) {
				t.Error("it connects")
			}
		})
	}
}
