package daemon_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"sekisho/app/api"
	"sekisho/app/flow"
	"sekisho/app/prompt"
	"sekisho/app/rule"
	"sekisho/service/lab"
)

// attackScene has an allowed program, good, and one that no rule names, evil. Each
// attack goes to an address of its own, so that the wire and the prompts tell it from
// the others.
type attackScene struct {
	*scene
	good, evil *lab.Program
	wire       *lab.Wire
	n          int
}

func newAttackScene(t testing.TB) *attackScene {
	t.Helper()
	a := &attackScene{scene: newScene(t)}
	a.equip()
	a.rule(a.good, rule.Allow, rule.Remote{})
	return a
}

// newOlderScene is newAttackScene where before is done before the service runs.
func newOlderScene(t testing.TB, before func(*attackScene)) *attackScene {
	t.Helper()
	l := lab.New(t)
	l.Remote.ServeEcho(7)
	a := &attackScene{scene: &scene{Lab: l, t: t}}
	a.must(l.Home.Sysctl("net/ipv4/ping_group_range", "0 2147483647"))
	a.equip()
	before(a)
	a.service = l.Home.Service()
	a.api = api.Dial(a.service.Socket)
	t.Cleanup(func() {
		if err := a.api.Close(); err != nil {
			t.Error(err)
		}
	})
	a.rule(a.good, rule.Allow, rule.Remote{})
	return a
}

// must fails the test over the first error.
func (a *attackScene) must(errs ...error) {
	a.t.Helper()
	for _, err := range errs {
		if err != nil {
			a.t.Fatal(err)
		}
	}
}

// equip makes the programs and looks at the wire.
func (a *attackScene) equip() {
	a.good, a.evil = a.Home.Attacker("good"), a.Home.Attacker("evil")
	f, err := os.OpenFile(a.evil.Path, os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteString("evil") // another program by its content too
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		a.t.Fatal(err)
	}
	a.wire = a.Remote.Wire()
}

// attack is one that runs, or has run.
type attack struct {
	a       *attackScene
	target  netip.AddrPort
	command *lab.Command
	ping    bool
	lines   *bufio.Reader
	before  api.Counters
}

// fresh is an address that nobody has been to.
func (a *attackScene) fresh() netip.AddrPort {
	a.t.Helper()
	a.n++
	return netip.AddrPortFrom(a.Remote.AddAddress(fmt.Sprintf("198.18.%d.%d", a.n/250, a.n%250+1)), 7)
}

// plan prepares evil with the flags of its program, towards a fresh address.
func (a *attackScene) plan(args ...string) *attack {
	a.t.Helper()
	target := a.fresh()
	args = append([]string{a.evil.Path, "-target", target.String(), "-good", a.good.Path, "-hold", "20s"}, args...)
	return a.command(target, args...)
}

// command prepares any program, as an attack on a target.
func (a *attackScene) command(target netip.AddrPort, args ...string) *attack {
	a.t.Helper()
	c := a.Home.Command(a.t.Context(), args...).Filtered()
	c.Stderr = os.Stderr
	k := &attack{a: a, target: target, command: c, ping: slices.Contains(args, "ping")}
	if a.service != nil {
		k.before = a.status().Counters
	}
	return k
}

func (k *attack) start() *attack {
	k.a.t.Helper()
	out, err := k.command.StdoutPipe()
	if err == nil {
		k.lines = bufio.NewReader(out)
		err = k.command.Start()
	}
	if err != nil {
		k.a.t.Fatal(err)
	}
	return k
}

// says waits for a line of the attack's output.
func (k *attack) says(want string) {
	k.a.t.Helper()
	if line, err := k.lines.ReadString('\n'); err != nil || line != want+"\n" {
		k.a.t.Fatalf("the attack says %q, %v, want %q", line, err, want)
	}
}

// startWaiting starts an attack that waits to be told, with -wait, and returns what
// tells it.
func (k *attack) startWaiting() (now func()) {
	k.a.t.Helper()
	in, err := k.command.StdinPipe()
	if err != nil {
		k.a.t.Fatal(err)
	}
	for k.start(); ; {
		line, err := k.lines.ReadString('\n')
		if line == "ready\n" {
			break
		}
		if err != nil || line != "done\n" { // said by who started it
			k.a.t.Fatalf("the attack says %q, %v", line, err)
		}
	}
	return func() {
		if _, err := in.Write([]byte("now\n")); err != nil {
			k.a.t.Error(err)
		}
	}
}

// asks waits until a prompt about the attack's target is there, and wants it to be about
// a program. It is answered: blocked, once.
func (k *attack) asks(who string) prompt.Prompt {
	k.a.t.Helper()
	p := k.prompt()
	if got := p.Flow.Process; got.Path != who {
		k.a.t.Errorf("asked about %s (%s), want %s", got.Path, got.Script, who)
	}
	k.blocked(p)
	return p
}

// asksScript is asks for what an interpreter runs; "" is code without a file.
func (k *attack) asksScript(script string) prompt.Prompt {
	k.a.t.Helper()
	p := k.prompt()
	if got := p.Flow.Process; got.Script != script || script == "" && !got.Inline {
		k.a.t.Errorf("asked about %+v, want the script %q", got.Program, script)
	}
	k.blocked(p)
	return p
}

func (k *attack) prompt() prompt.Prompt {
	k.a.t.Helper()
	return k.question(func(p prompt.Prompt) bool { return p.State == prompt.Waiting })
}

// question waits until a prompt about the attack's target is there that is wanted.
func (k *attack) question(wanted func(prompt.Prompt) bool) prompt.Prompt {
	k.a.t.Helper()
	var found prompt.Prompt
	k.a.eventually("the prompt about "+strings.Join(k.command.Args, " "), func() bool {
		all, err := k.a.api.Prompts(k.a.t.Context())
		if err != nil {
			k.a.t.Fatal(err)
		}
		for _, p := range all {
			if wanted(p) && p.Flow.Remote.Addr == k.target.Addr() {
				found = p
				return true
			}
		}
		if k.leaked() {
			k.a.t.Fatalf("it left, and nobody was asked")
		}
		return false
	})
	return found
}

func (k *attack) blocked(p prompt.Prompt) {
	k.a.t.Helper()
	k.a.answer(p, rule.Block, rule.Once, prompt.DefaultScope(p.Flow))
	k.ends()
}

// denied waits until what cannot be known was denied and counted.
func (k *attack) denied() {
	k.a.t.Helper()
	k.a.eventually("a refusal that is counted", func() bool {
		return k.a.status().Counters.Unattributed > k.before.Unattributed || k.leaked()
	})
	k.ends()
}

// ends kills the attack and wants nothing of it on the wire.
func (k *attack) ends() {
	k.a.t.Helper()
	if k.leaked() {
		k.a.t.Errorf("it left: %d packets", len(k.a.wire.Packets(k.evil)))
	}
	_ = k.command.Process.Kill()
	_ = k.command.Wait()
	if k.a.wire.Lost() > 0 {
		k.a.t.Error("the wire lost packets, and proves nothing")
	}
}

func (k *attack) leaked() bool { return k.a.wire.Saw(k.evil) }

// evil matches what an attack sent: anything to its target but what says that it is
// good's, and what the kernel says to the answers.
func (k *attack) evil(p lab.Packet) bool {
	return p.Dst.Addr() == k.target.Addr() && !bytes.HasPrefix(p.Payload, []byte("good")) && (p.Protocol != flow.ICMP || k.ping)
}

// comes wants what good sends at the same time to arrive: the way is open, for good alone.
func (k *attack) comes(n int) {
	k.a.t.Helper()
	k.a.eventually(fmt.Sprintf("%d datagrams of the allowed program", n), func() bool {
		return len(k.a.wire.Packets(func(p lab.Packet) bool {
			return p.Dst.Addr() == k.target.Addr() && bytes.HasPrefix(p.Payload, []byte("good"))
		})) >= n
	})
}

// passes wants good itself to pass, as a proof that the way is open.
func (a *attackScene) passes(when string) {
	a.t.Helper()
	target := a.fresh()
	ctx, cancel := context.WithTimeout(a.t.Context(), 5*time.Second)
	defer cancel()
	out, err := a.Home.Command(ctx, a.good.Path, "-target", target.String(), "-kind", "udp", "send").Filtered().CombinedOutput()
	if err != nil {
		a.t.Fatalf("%s: the allowed program itself: %s, %v", when, out, err)
	}
	if _, err := a.wire.Await(ctx, lab.Datagram(target)); err != nil {
		a.t.Fatalf("%s: the allowed program itself: %v", when, err)
	}
}
