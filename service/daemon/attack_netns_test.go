package daemon_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"sekisho/app/prompt"
	"sekisho/app/rule"
	"sekisho/service/lab"
)

// from prepares evil, or another program, on a host of its own: in another network
// namespace, but under the firewall's eye.
func (a *attackScene) from(h *lab.Host, program *lab.Program, kind string) *attack {
	a.t.Helper()
	k := a.towards(a.fresh())
	command := h.Command(a.t.Context(), program.Path, "-target", k.target.String(), "-good", a.good.Path, "-kind", kind, "-hold", "20s", "send").Filtered()
	k.command, k.ping, k.before = command, kind == "ping", a.status().Counters
	return k
}

// refused wants the attack to be told that it may not.
func (k *attack) refused() {
	k.a.t.Helper()
	k.start()
	line, err := k.lines.ReadString('\n')
	if err != nil || !strings.Contains(line, "operation not permitted") {
		k.a.t.Errorf("in another network namespace: %q, %v", line, err)
	}
	k.ends()
}

// Nothing undecided leaves from another network namespace, whether anything can be held
// there or not; what is decided holds there too, from the first packet on.
func TestAttackOtherNetworks(t *testing.T) {
	a := newAttackScene(t)
	blocked := a.Home.Attacker("blocked")
	a.rule(blocked, rule.Block, rule.Remote{})
	for _, kind := range []string{"tcp", "udp", "udp-connected", "udplite", "raw", "ping"} {
		t.Run(kind, func(t *testing.T) {
			a.t = t
			box := a.AddHost("box")
			a.must(box.Sysctl("net/ipv4/ping_group_range", "0 2147483647"))
			k := a.from(box, a.good, kind).start()
			k.says("done")
			a.eventually("what is allowed", k.leaked)
			a.must(k.command.Process.Kill())
			a.from(box, blocked, kind).refused()
			a.from(box, a.evil, kind).refused()
			a.from(box, blocked, kind).refused()
			first := kind
			if kind == "raw" { // refused before it says where to
				first = "udp"
			}
			// Who was refused made the namespace known: from now on packets wait there.
			a.eventually("a packet that waits", func() bool {
				k = a.from(box, a.evil, first).start()
				line, err := k.lines.ReadString('\n')
				if line == "done\n" {
					return true
				}
				if err != nil || !strings.Contains(line, "operation not permitted") {
					t.Fatalf("%q, %v", line, err)
				}
				time.Sleep(50 * time.Millisecond)
				k.ends()
				return false
			})
			k.asks(a.evil.Path)
			a.from(box, a.evil, kind).start().asks(a.evil.Path)
			a.from(box, blocked, kind).refused()
		})
	}
}

// Who was refused where nothing can be held is asked about all the same, and the answer
// is for the next attempt.
func TestRefusedElsewhereIsOffered(t *testing.T) {
	a := newAttackScene(t)
	for _, kind := range []string{"tcp", "udp", "ping"} {
		for _, allow := range []rule.Action{rule.Allow, rule.Block} {
			t.Run(fmt.Sprintf("%s %s", kind, allow), func(t *testing.T) {
				a.t = t
				box := a.AddHost("box")
				a.must(box.Sysctl("net/ipv4/ping_group_range", "0 2147483647"))
				k := a.from(box, a.evil, kind)
				k.refused()
				p := k.prompt()
				if p.Flow.Process.Path != a.evil.Path {
					t.Errorf("asked about %s", p.Flow.Process.Path)
				}
				a.answer(p, allow, rule.Once, prompt.DefaultScope(p.Flow))
				again := a.from(box, a.evil, kind)
				again.command.Args = k.command.Args
				again.target = k.target
				again.start()
				line, err := again.lines.ReadString('\n')
				if err != nil || (line == "done\n") != (allow == rule.Allow) {
					t.Errorf("after %s: %q, %v", allow, line, err)
				}
				if allow == rule.Allow {
					a.eventually("the next attempt", again.leaked)
				} else if again.leaked() {
					t.Error("it left")
				}
				a.must(again.command.Process.Kill())
			})
		}
	}
}
