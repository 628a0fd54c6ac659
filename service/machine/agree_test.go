package machine

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"sekisho/app/flow"
)

// TestAgreesWithTheKernel makes random packet filters, says what becomes of a datagram to
// Remote's echo server and of its answer, and has the kernel do it.
func TestAgreesWithTheKernel(t *testing.T) {
	s := newScene(t)
	s.neighbours()
	for _, port := range []uint16{25, 54, 1000} {
		s.Remote.ServeEcho(port)
	}
	next, seen := uint16(33000), map[Outcome]int{}
	rapid.Check(t, func(t *rapid.T) {
		next++
		f := drawFlow(t, s, next)
		rules := drawRules(t, s)
		if !s.accepted("flush ruleset\n" + rules) {
			t.Skip("nft does not take these rules")
		}
		r := s.look(f)
		seen[r.Outcome]++
		if r.Outcome == Perhaps {
			return
		}
		wait := 20 * time.Millisecond
		if r.Outcome == Passes {
			wait = time.Second
		}
		if got := s.echoes(f, next, wait); got != (r.Outcome == Passes) {
			t.Fatalf("%s, but the echo came: %v\n%s\n%+v", say(r), got, rules, f)
		}
	})
	s.nft("flush ruleset")
	t.Logf("outcomes: %v", seen)
	if seen[Passes] < 5 || seen[Dropped] < 5 {
		t.Errorf("outcomes: %v: too much alike to say anything", seen)
	}
}

// accepted sets rules, unless they contradict themselves.
func (s *scene) accepted(rules string) bool {
	return s.Home.Do(func() error {
		c := exec.Command("nft", "-f", "-")
		c.Stdin = strings.NewReader(rules)
		return c.Run()
	}) == nil
}

// echoes sends a datagram from a port of Home and reports whether it comes back.
func (s *scene) echoes(f flow.Flow, port uint16, wait time.Duration) bool {
	s.t.Helper()
	var c net.Conn
	dial := net.Dialer{LocalAddr: &net.UDPAddr{Port: int(port)}, Control: func(_, _ string, raw syscall.RawConn) error {
		return raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1) })
	}}
	err := s.Home.Do(func() error {
		return asUser(f.Process.UID, f.Process.UID, func() (err error) {
			c, err = dial.DialContext(context.Background(), "udp", netip.AddrPortFrom(f.Remote.Addr, f.Remote.Port).String())
			return err
		})
	})
	if err != nil {
		s.t.Fatalf("dial: %v", err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("hello")); err != nil {
		return false // the kernel says so of what it drops on the way out
	}
	_ = c.SetReadDeadline(time.Now().Add(wait))
	n, err := c.Read(make([]byte, 16))
	return err == nil && n == 5
}

func drawFlow(t *rapid.T, s *scene, port uint16) flow.Flow {
	f := s.mail()
	f.Protocol = flow.UDP
	f.Process = &flow.Process{UID: rapid.SampledFrom([]uint32{1000, 1001}).Draw(t, "uid")}
	f.Remote.Addr = rapid.SampledFrom([]netip.Addr{s.Remote.Addr4, s.Remote.Addr4, s.Remote.Addr6}).Draw(t, "to")
	f.Remote.Port = rapid.SampledFrom([]uint16{25, 54, 1000}).Draw(t, "port")
	if rapid.Bool().Draw(t, "source port is known") {
		f.Local.Port = port
	}
	return f
}

// drawRules writes one to three tables of random chains and rules.
func drawRules(t *rapid.T, s *scene) string {
	var b strings.Builder
	for i := range rapid.IntRange(1, 3).Draw(t, "tables") {
		family := rapid.SampledFrom([]string{"ip", "inet", "inet", "ip6"}).Draw(t, "family")
		fmt.Fprintf(&b, "table %s t%d {\n", family, i)
		w := ruleWriter{t: t, s: s, family: family}
		fmt.Fprintf(&b, namedSets, s.Remote.Addr4, s.Remote.Addr6)
		for j := range 3 {
			fmt.Fprintf(&b, "\tchain s%d {\n%s\t}\n", j, w.rules(j))
		}
		for j := range rapid.IntRange(1, 3).Draw(t, "base chains") {
			hook := rapid.SampledFrom([]string{"output", "output", "postrouting", "prerouting", "input"}).Draw(t, "hook")
			kind := "filter"
			if hook == "output" && rapid.IntRange(0, 3).Draw(t, "route") == 0 {
				kind = "route"
			}
			fmt.Fprintf(&b, "\tchain b%d {\n\t\ttype %s hook %s priority %d; policy %s;\n%s\t}\n", j, kind, hook,
				rapid.SampledFrom([]int{-300, -150, 0, 0, 10}).Draw(t, "priority"),
				rapid.SampledFrom([]string{"accept", "accept", "accept", "drop"}).Draw(t, "policy"), w.rules(3))
		}
		b.WriteString("}\n")
	}
	return b.String()
}

// namedSets are of every table: each way in which the kernel keeps elements.
const namedSets = `
	set n4 { type ipv4_addr; flags interval; elements = { 10.0.0.0/8, 192.0.2.1-192.0.2.9 }
	}
	set n6 { type ipv6_addr; flags interval; elements = { fd00::/8 }
	}
	set one { type inet_service; elements = { 25, 80 }
	}
	set gaps { type inet_service; flags interval; elements = { 0-24, 26-53, 55-65535 }
	}
	set pair { type ipv4_addr . inet_service; flags interval; elements = { 10.0.0.0/8 . 50-60, %[1]s . 25 }
	}
	set pair6 { type ipv6_addr . inet_service; elements = { %[2]s . 54 }
	}
	map way { type inet_service : verdict; flags interval; elements = { 20-30 : accept, 54 : drop }
	}
	map rest { type inet_service : verdict; elements = { 25 : accept, * : drop }
	}
`

// ruleWriter writes rules of one table. Chains jump to those with a lower number only.
type ruleWriter struct {
	t      *rapid.T
	s      *scene
	family string
}

func (w *ruleWriter) pick(what string, from ...string) string {
	return rapid.SampledFrom(from).Draw(w.t, what)
}

func (w *ruleWriter) rules(chain int) string {
	var b strings.Builder
	for range rapid.IntRange(0, 4).Draw(w.t, "rules") {
		var parts []string
		v6 := w.family == "ip6" || w.family == "inet" && rapid.Bool().Draw(w.t, "IPv6")
		for range rapid.IntRange(0, 2).Draw(w.t, "matches") {
			parts = append(parts, w.match(v6))
		}
		fmt.Fprintf(&b, "\t\t%s %s\n", strings.Join(parts, " "), w.action(chain))
	}
	return b.String()
}

func (w *ruleWriter) action(chain int) string {
	actions := []string{"accept", "accept", "drop", "reject", "return", "counter", "meta mark set 7", "meta mark set meta mark or 0x10", "ct mark set 3"}
	for i := range chain {
		actions = append(actions, fmt.Sprintf("jump s%d", i), fmt.Sprintf("goto s%d", i))
	}
	a := w.pick("action", actions...)
	if chain > 0 && rapid.IntRange(0, 7).Draw(w.t, "map") == 0 {
		if m := w.pick("named map", "", "", "way", "rest"); m != "" {
			return "udp dport vmap @" + m
		}
		if rapid.Bool().Draw(w.t, "state map") {
			return "ct state vmap { established : accept, invalid : drop, new : " + w.pick("verdict", "accept", "drop", "continue") + " }"
		}
		return fmt.Sprintf("udp dport vmap { 20-30 : jump s%d, 54 : %s, 1000 : continue }", chain-1, w.pick("verdict", "accept", "drop", "return"))
	}
	return a
}

func (w *ruleWriter) match(v6 bool) string {
	s4, s6 := w.s.Remote.Addr4.String(), w.s.Remote.Addr6.String()
	here4 := w.s.Home.Addr4.String()
	matches := []string{
		"udp dport " + w.number(), "udp dport != " + w.number(), "udp dport 20-60", "udp dport != 20-60", "udp dport { 25, 1000-2000 }", "udp dport != { 54, 80 }",
		"udp sport 33000-65535", "udp sport < 1024", "udp sport { 25, 54, 40000-65535 }", "th dport 25",
		"meta skuid 1000", "meta skuid != 1000", "meta skuid > 1000", "meta skgid { 5, 1001 }",
		"meta mark 7", "meta mark & 0x10 == 0x10", "meta mark != 0", "ct mark 3", "meta mark 1-9",
		`oifname "eth0"`, `oifname != "lo"`, `oifname "et*"`, `oifname { "lo", "eth0" }`, `iifname "eth0"`, `iifname ""`, `iifname != "lo"`,
		"ct state new", "ct state established", "ct state { established, related }", "ct state != invalid",
		"ct direction original", "ct direction reply", "ct status seen-reply", "ct status dnat", "ct original proto-dst 25", "ct state invalid",
		"meta l4proto udp", "meta l4proto { tcp, udp }", "meta l4proto != tcp", "meta pkttype host", "numgen random mod 2 == 0",
		"udp dport @one", "udp dport != @one", "udp dport @gaps", "udp dport != @gaps", "udp sport @gaps", "udp sport @one",
		"fib daddr type unicast", "fib daddr type local", "fib saddr type local", "fib saddr . iif oif missing",
	}
	if !v6 {
		matches = append(matches, "ip daddr "+s4, "ip daddr != "+s4, "ip saddr "+here4, "ip daddr 10.0.0.0/8", "ip daddr 10.99.0.0/17", "ip daddr { 10.0.0.0/8, 192.0.2.1 }",
			"ip daddr . udp dport { "+s4+" . 25, 192.0.2.1 . 54 }", "ip daddr . udp dport { 10.0.0.0/8 . 50-60 }", "ip protocol udp", "ip ttl 64", "ip ttl < 64",
			"ip saddr . udp sport { "+s4+" . 25 }", "ip daddr 10.0.0.0-10.200.0.0", "ip saddr & 0.0.0.255 == 2", "ip daddr @n4", "ip saddr != @n4", "ip daddr . udp dport @pair", "ip daddr . udp sport @pair", "meta skuid . ip daddr { 1000 . "+s4+" }")
	}
	if v6 {
		matches = append(matches, "ip6 daddr "+s6, "ip6 daddr != "+s6, "ip6 daddr fd00::/8", "ip6 daddr @n6", "ip6 daddr . udp dport @pair6", "ip6 nexthdr udp", "ip6 hoplimit 64", "ip6 saddr { fe80::/10, fd99::/16 }",
			"ip6 daddr . udp dport { "+s6+" . 54, ::1 . 25 }")
	}
	if w.family == "inet" {
		matches = append(matches, "meta nfproto ipv4", "meta nfproto ipv6", "meta nfproto . meta l4proto { ipv4 . udp }")
	}
	return w.pick("match", matches...)
}

func (w *ruleWriter) number() string { return w.pick("port", "25", "54", "1000") }
