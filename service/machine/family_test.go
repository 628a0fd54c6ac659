package machine

import "testing"

// ufwRules are the chains that ufw 0.36 sets up, with its user saying "deny out 25/tcp"
// and "default deny incoming, allow outgoing".
const ufwRules = `*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:ufw-after-input - [0:0]
:ufw-after-logging-input - [0:0]
:ufw-after-logging-output - [0:0]
:ufw-after-output - [0:0]
:ufw-before-input - [0:0]
:ufw-before-logging-input - [0:0]
:ufw-before-logging-output - [0:0]
:ufw-before-output - [0:0]
:ufw-logging-allow - [0:0]
:ufw-logging-deny - [0:0]
:ufw-not-local - [0:0]
:ufw-reject-input - [0:0]
:ufw-reject-output - [0:0]
:ufw-skip-to-policy-input - [0:0]
:ufw-skip-to-policy-output - [0:0]
:ufw-track-input - [0:0]
:ufw-track-output - [0:0]
:ufw-user-input - [0:0]
:ufw-user-limit - [0:0]
:ufw-user-limit-accept - [0:0]
:ufw-user-logging-input - [0:0]
:ufw-user-logging-output - [0:0]
:ufw-user-output - [0:0]
-A INPUT -j ufw-before-logging-input
-A INPUT -j ufw-before-input
-A INPUT -j ufw-after-input
-A INPUT -j ufw-after-logging-input
-A INPUT -j ufw-reject-input
-A INPUT -j ufw-track-input
-A OUTPUT -j ufw-before-logging-output
-A OUTPUT -j ufw-before-output
-A OUTPUT -j ufw-after-output
-A OUTPUT -j ufw-after-logging-output
-A OUTPUT -j ufw-reject-output
-A OUTPUT -j ufw-track-output
-A ufw-after-input -p udp -m udp --dport 137 -j ufw-skip-to-policy-input
-A ufw-after-input -m addrtype --dst-type BROADCAST -j ufw-skip-to-policy-input
-A ufw-after-logging-input -m limit --limit 3/min --limit-burst 10 -j LOG --log-prefix "[UFW BLOCK] "
-A ufw-before-input -i lo -j ACCEPT
-A ufw-before-input -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A ufw-before-input -m conntrack --ctstate INVALID -j ufw-logging-deny
-A ufw-before-input -m conntrack --ctstate INVALID -j DROP
-A ufw-before-input -p icmp -m icmp --icmp-type 8 -j ACCEPT
-A ufw-before-input -p udp -m udp --sport 67 --dport 68 -j ACCEPT
-A ufw-before-input -j ufw-not-local
-A ufw-before-input -d 224.0.0.251/32 -p udp -m udp --dport 5353 -j ACCEPT
-A ufw-before-input -j ufw-user-input
-A ufw-before-output -o lo -j ACCEPT
-A ufw-before-output -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A ufw-before-output -j ufw-user-output
-A ufw-logging-allow -m limit --limit 3/min --limit-burst 10 -j LOG --log-prefix "[UFW ALLOW] "
-A ufw-logging-deny -m conntrack --ctstate INVALID -m limit --limit 3/min --limit-burst 10 -j RETURN
-A ufw-logging-deny -m limit --limit 3/min --limit-burst 10 -j LOG --log-prefix "[UFW BLOCK] "
-A ufw-not-local -m addrtype --dst-type LOCAL -j RETURN
-A ufw-not-local -m addrtype --dst-type MULTICAST -j RETURN
-A ufw-not-local -m addrtype --dst-type BROADCAST -j RETURN
-A ufw-not-local -m limit --limit 3/min --limit-burst 10 -j ufw-logging-deny
-A ufw-not-local -j DROP
-A ufw-skip-to-policy-input -j DROP
-A ufw-skip-to-policy-output -j ACCEPT
-A ufw-track-output -p tcp -m conntrack --ctstate NEW -j ACCEPT
-A ufw-track-output -p udp -m conntrack --ctstate NEW -j ACCEPT
-A ufw-user-input -p tcp -m tcp --dport 22 -j ACCEPT
-A ufw-user-limit -m limit --limit 3/min -j LOG --log-prefix "[UFW LIMIT BLOCK] "
-A ufw-user-limit -j REJECT --reject-with icmp-port-unreachable
-A ufw-user-limit-accept -j ACCEPT
-A ufw-user-output -p tcp -m tcp --dport 25 -j REJECT --reject-with tcp-reset
COMMIT
`

// firewalldRules are what firewalld 1.3 makes of a policy that refuses mail, shortened to
// the zones of one interface.
const firewalldRules = `table inet firewalld {
	ct helper helper-netbios-ns-udp { type "netbios-ns" protocol udp
		l3proto ip
	}
	chain mangle_PREROUTING { type filter hook prerouting priority mangle + 10; policy accept;
		jump mangle_PREROUTING_ZONES
	}
	chain mangle_PREROUTING_ZONES { return
	}
	chain filter_PREROUTING { type filter hook prerouting priority filter + 10; policy accept;
		icmpv6 type { nd-router-advert, nd-neighbor-solicit } accept
		meta nfproto ipv6 fib saddr . mark . iif oif missing drop
	}
	chain filter_IN_public_allow { tcp dport 22 accept
		ip6 daddr fe80::/64 udp dport 546 accept
	}
	chain filter_IN_public_pre { return
	}
	chain filter_IN_public {
		jump filter_IN_public_pre
		jump filter_IN_public_allow
		meta l4proto { icmp, ipv6-icmp } accept
		reject with icmpx admin-prohibited
	}
	chain filter_INPUT_ZONES { iifname "eth0" goto filter_IN_public
		goto filter_IN_public
	}
	chain filter_INPUT { type filter hook input priority filter + 10; policy accept;
		ct state { established, related } accept
		ct status dnat accept
		iifname "lo" accept
		ct state invalid drop
		jump filter_INPUT_ZONES
		reject with icmpx admin-prohibited
	}
	chain filter_OUT_mail_deny { tcp dport 25 ct state { new, untracked } reject
	}
	chain filter_OUT_mail { jump filter_OUT_mail_deny
		return
	}
	chain filter_OUTPUT_POLICIES { oifname "eth0" jump filter_OUT_mail
		oifname "eth0" return
	}
	chain filter_OUTPUT { type filter hook output priority filter + 10; policy accept;
		ct state { established, related } accept
		oifname "lo" accept
		ip6 daddr { ::/96, ::ffff:0.0.0.0/96, 2002:0000::/24 } reject with icmpv6 addr-unreachable
		jump filter_OUTPUT_POLICIES
	}
}
`

// TestOtherFirewallsAreNamed has each other firewall on Home stop mail in its own way.
func TestOtherFirewallsAreNamed(t *testing.T) {
	s := newScene(t)
	s.Remote.ServeEcho(25)
	s.Remote.ServeEcho(587)
	for _, c := range []struct{ name, input, tool, undo, want string }{
		{"iptables-nft", "*filter\n:OUTPUT ACCEPT\n-A OUTPUT -p tcp -m multiport --dports 25,465,500:600 -m owner --uid-owner 1000 -m comment --comment \"no mail\" -j REJECT\nCOMMIT\n",
			"iptables-nft-restore", "*filter\n:OUTPUT ACCEPT\nCOMMIT\n",
			"rejected by filter-rule (iptables-nft: ip filter OUTPUT, rule 1: meta l4proto tcp th dport { 25, 465, 500-600 } meta skuid 1000 reject with port-unreachable)"},
		{"iptables-legacy", "*mangle\n:OUTPUT ACCEPT\n-A OUTPUT -p tcp --dport 25 -j MARK --set-mark 5\nCOMMIT\n*filter\n:OUTPUT ACCEPT\n:mail -\n-A OUTPUT ! -o lo -d 10.0.0.0/8 -p tcp -j mail\n-A mail -m mark --mark 5 -j DROP\nCOMMIT\n",
			"iptables-legacy-restore", "*mangle\n:OUTPUT ACCEPT\nCOMMIT\n*filter\n:OUTPUT ACCEPT\nCOMMIT\n",
			"dropped by filter-rule (iptables-legacy: ip filter mail, rule 1: meta mark & 0xffffffff 0x5 drop)"},
		{"ufw", ufwRules, "iptables-nft-restore", "*filter\n:INPUT ACCEPT\n:OUTPUT ACCEPT\nCOMMIT\n",
			"rejected by filter-rule (ufw: ip filter ufw-user-output, rule 1: tcp dport 25 reject with tcp reset)"},
		{"ufw over ip_tables", ufwRules, "iptables-legacy-restore", "*filter\n:INPUT ACCEPT\n:OUTPUT ACCEPT\nCOMMIT\n",
			"rejected by filter-rule (ufw: ip filter ufw-user-output, rule 1: tcp dport 25 reject with tcp reset)"},
		{"firewalld", firewalldRules, "nft", "flush ruleset",
			"rejected by filter-rule (firewalld: inet firewalld filter_OUT_mail_deny, rule 1: tcp dport 25 ct state { new, untracked } reject with icmpx port-unreachable)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.t = t
			tool := []string{c.tool}
			if c.tool == "nft" {
				tool = []string{"nft", "-f", "-"}
			}
			s.run(c.input, tool...)
			defer s.run(c.undo, tool...)
			f := s.mail()
			got := s.look(f)
			if say(got) != c.want {
				t.Errorf("got  %s\nwant %s", say(got), c.want)
			}
			if s.connects(f) {
				t.Error("it connects")
			}
			f.Remote.Port, f.Process.UID = 587, 1001
			if got := say(s.look(f)); got != "passes" || !s.connects(f) {
				t.Errorf("another port: %s, want passes", got)
			}
		})
	}
}
