package machine

import (
	"fmt"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sekisho/app/flow"
)

// TestAgreesWithTheKernelOnIPTables is TestAgreesWithTheKernel for the extensions of
// iptables, both over nftables and of old.
func TestAgreesWithTheKernelOnIPTables(t *testing.T) {
	s := newScene(t)
	s.neighbours()
	for _, port := range []uint16{25, 54, 1000} {
		s.Remote.ServeEcho(port)
	}
	next, seen := uint16(43000), map[Outcome]int{}
	for _, tool := range []string{"nft", "legacy"} {
		rapid.Check(t, func(t *rapid.T) {
			next++
			f := drawFlow(t, s, next)
			family := "iptables"
			if f.Remote.Addr.Is6() {
				family = "ip6tables"
			}
			rules := drawIPTables(t, s, f.Remote.Addr)
			if !s.takes(rules, fmt.Sprintf("%s-%s-restore", family, tool)) {
				t.Skip("iptables does not take these rules")
			}
			r := s.look(f)
			seen[r.Outcome]++
			wait := 20 * time.Millisecond
			if r.Outcome == Passes {
				wait = time.Second
			}
			if r.Outcome != Perhaps {
				if got := s.echoes(f, next, wait); got != (r.Outcome == Passes) {
					t.Fatalf("%s: %s, but the echo came: %v\n%s\n%+v", tool, say(r), got, rules, f)
				}
			}
			if !s.takes(emptyTables, fmt.Sprintf("%s-%s-restore", family, tool)) {
				t.Fatal("the rules can't be taken away")
			}
		})
	}
	t.Logf("outcomes: %v", seen)
	if seen[Passes] < 5 || seen[Dropped] < 5 {
		t.Errorf("outcomes: %v: too much alike to say anything", seen)
	}
}

const emptyTables = "*raw\n:OUTPUT ACCEPT\n:PREROUTING ACCEPT\nCOMMIT\n*mangle\n:OUTPUT ACCEPT\n:POSTROUTING ACCEPT\n:PREROUTING ACCEPT\n:INPUT ACCEPT\nCOMMIT\n*filter\n:OUTPUT ACCEPT\n:INPUT ACCEPT\nCOMMIT\n"

func (s *scene) takes(rules, tool string) bool {
	return s.Home.Do(func() error {
		c := exec.Command(tool)
		c.Stdin = strings.NewReader(rules)
		return c.Run()
	}) == nil
}

// drawIPTables writes tables as iptables-save does.
func drawIPTables(t *rapid.T, s *scene, to netip.Addr) string {
	var b strings.Builder
	w := ruleWriter{t: t, s: s}
	for _, table := range []struct {
		name   string
		chains []string
	}{{"raw", []string{"OUTPUT", "PREROUTING"}}, {"mangle", []string{"OUTPUT", "POSTROUTING", "PREROUTING", "INPUT"}}, {"filter", []string{"OUTPUT", "INPUT"}}} {
		fmt.Fprintf(&b, "*%s\n:s0 -\n:s1 -\n", table.name)
		for _, c := range table.chains {
			policy := "ACCEPT" // nearly always: there are eight chains, and one that drops is enough
			if rapid.IntRange(0, 19).Draw(t, "policy") == 19 {
				policy = "DROP"
			}
			fmt.Fprintf(&b, ":%s %s\n", c, policy)
		}
		for i, c := range append([]string{"s0", "s1"}, table.chains...) {
			for range rapid.IntRange(0, 2).Draw(t, "rules") {
				fmt.Fprintf(&b, "-A %s %s\n", c, w.xtRule(table.name, i, to.Is6()))
			}
		}
		b.WriteString("COMMIT\n")
	}
	return b.String()
}

func (w *ruleWriter) xtRule(table string, chain int, v6 bool) string {
	targets := []string{"ACCEPT", "DROP", "RETURN", "s0"}
	switch {
	case chain == 0:
		targets = targets[:3]
	case chain > 1:
		targets = append(targets, "s1")
	}
	switch table {
	case "filter":
		targets = append(targets, "REJECT", "LOG")
	case "mangle":
		targets = append(targets, "MARK --set-mark 7", "MARK --or-mark 0x10", "CONNMARK --set-mark 3", "MARK --set-xmark 0x1/0x3")
	case "raw":
		targets = append(targets, "NOTRACK", "CT --notrack")
	}
	s := ""
	for range rapid.IntRange(0, 2).Draw(w.t, "matches") {
		m := w.xtMatch(v6)
		if option, _, _ := strings.Cut(strings.TrimPrefix(m, "! "), " "); !strings.Contains(s, option+" ") || option == "-m" && !strings.Contains(s, m) {
			s += m + " "
		}
	}
	how := "-j "
	target := w.pick("target", targets...)
	if strings.HasPrefix(target, "s") && rapid.IntRange(0, 3).Draw(w.t, "goto") == 0 {
		how = "-g "
	}
	return s + how + target
}

func (w *ruleWriter) xtMatch(v6 bool) string {
	there, here, net := w.s.Remote.Addr4.String(), w.s.Home.Addr4.String(), "10.96.0.0/13"
	far := "10.0.0.0-10.200.0.0"
	if v6 {
		there, here, net, far = w.s.Remote.Addr6.String(), w.s.Home.Addr6.String(), "fd98::/15", "fd00::-fe00::"
	}
	return w.pick("match",
		"-d "+there, "! -d "+there, "-s "+here, "-s "+net, "-d "+net, "-o eth0", "! -o eth0", "-o et+", "-i eth0", "! -i lo", "-o lo", "-p udp", "! -p tcp", "-p tcp",
		"-p udp -m udp --dport 25", "-p udp -m udp ! --dport 25", "-p udp -m udp --dport 20:60", "-p udp -m udp --sport 1024:65535", "-p udp -m udp --sport 25",
		"-p udp -m multiport --dports 25,54:60,1000", "-p udp -m multiport ! --dports 25,54", "-p udp -m multiport --ports 54,40000:65535", "-p udp -m multiport --sports 25,1000",
		"-m conntrack --ctstate NEW", "-m conntrack --ctstate ESTABLISHED,RELATED", "-m conntrack ! --ctstate NEW", "-m conntrack --ctstate INVALID", "-m conntrack --ctstate UNTRACKED",
		"-m conntrack --ctdir REPLY", "-m conntrack --ctdir ORIGINAL --ctstate NEW", "-m conntrack --ctproto 17", "-m conntrack --ctorigdst "+there, "-m conntrack --ctstatus SEEN_REPLY",
		"-m state --state NEW", "-m mark --mark 7", "-m mark ! --mark 0", "-m mark --mark 0x10/0x10", "-m mark --mark 1/3", "-m connmark --mark 3", "-m comment --comment x",
		"-m owner --uid-owner 1000", "-m owner ! --uid-owner 1000", "-m owner --uid-owner 1001-1005", "-m owner --gid-owner 1001", "-m owner --socket-exists",
		"-m addrtype --dst-type LOCAL", "-m addrtype --dst-type UNICAST", "-m addrtype ! --src-type LOCAL", "-m addrtype --src-type LOCAL --dst-type UNICAST",
		"-m iprange --dst-range "+far, "-m iprange ! --src-range "+far, "-m pkttype --pkt-type unicast")
}

// The answer to what was not tracked is the first that connection tracking sees.
func TestAnswerToTheUntracked(t *testing.T) {
	s := newScene(t)
	s.neighbours()
	s.Remote.ServeEcho(54)
	f := flow.Flow{Protocol: flow.UDP, Process: &flow.Process{}, Remote: flow.Endpoint{Addr: s.Remote.Addr4, Port: 54}}
	for states, want := range map[string]bool{"! --ctstate NEW": true, "--ctstate NEW": false} {
		rules := "*raw\n:OUTPUT ACCEPT\n-A OUTPUT -p udp -j CT --notrack\nCOMMIT\n*filter\n:INPUT ACCEPT\n-A INPUT -m conntrack " + states + " -j DROP\nCOMMIT\n"
		if !s.takes(rules, "iptables-nft-restore") {
			t.Fatal("iptables does not take the rules")
		}
		if r, got := s.look(f), s.echoes(f, 43999, 300*time.Millisecond); got != want || (r.Outcome == Passes) != want {
			t.Errorf("%s dropped: the echo came: %v, said %s", states, got, say(r))
		}
	}
}
