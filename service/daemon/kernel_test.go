package daemon_test

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"sekisho/app/flow"
	"sekisho/app/prompt"
	"sekisho/app/rule"
	"sekisho/service/lab"
)

func (s *scene) rule(program *lab.Program, a rule.Action, remote rule.Remote) rule.Rule {
	s.t.Helper()
	r, err := s.api.AddRule(s.t.Context(), rule.Rule{Enabled: true, Action: a, Program: rule.Program{Path: program.Path}, Remote: remote}, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

// Ten thousand connections of an allowed program, none of which visits the queue.
func TestAllowedStaysInTheKernel(t *testing.T) {
	s := newScene(t)
	program := s.Home.Program("allowed")
	s.rule(program, rule.Allow, rule.Remote{})
	before := s.status().Counters
	if out, err := program.Run(t.Context(), "-count", "10000", "-reset", "tcp", s.target.String()); err != nil {
		t.Fatalf("%d outcomes, %v", len(out), err)
	}
	after := s.status().Counters
	if n := after.Queued - before.Queued; n != 0 {
		t.Errorf("%d of 10,000 connections visited the queue", n)
	}
	if n := after.Flows - before.Flows; n != 10_000 {
		t.Errorf("%d flows were shown, want 10,000", n)
	}
}

// A known decision is enforced whether the service lives or not; an undecided one waits
// for it.
func TestServiceDead(t *testing.T) {
	s := newScene(t)
	allowed, blocked, undecided := s.Home.Program("allowed"), s.Home.Program("blocked"), s.Home.Program("undecided")
	s.rule(allowed, rule.Allow, rule.Remote{})
	s.rule(blocked, rule.Block, rule.Remote{})
	s.DNS.Set("example.lab", s.target.Addr())
	wire := s.Remote.Wire()
	s.service.Kill()

	if out, err := allowed.Run(t.Context(), "dns+tcp", "example.lab:7"); err != nil {
		t.Errorf("allowed: %+v, %v", out, err)
	}
	for _, mode := range []string{"tcp", "udp", "udp-unconnected"} {
		if out, _ := blocked.Run(t.Context(), mode, s.target.String()); len(out) != 1 || out[0].Errno != "EPERM" {
			t.Errorf("blocked %s: %+v", mode, out)
		}
	}
	wire.Forget()
	run := undecided.Start(t.Context(), "tcp", s.target.String())
	select {
	case <-run.Ended():
		t.Error("an undecided connection ended while nobody could decide")
	case <-time.After(1500 * time.Millisecond):
	}
	if wire.Saw(lab.SYN(s.target)) {
		t.Error("an undecided SYN left while the service was dead")
	}
	s.service.Start()
	p := s.prompts(1)[0]
	if p.Flow.Process.Path != undecided.Path {
		t.Errorf("the prompt that came back is of %s", p.Flow.Process.Path)
	}
	s.answer(p, rule.Allow, rule.Once, prompt.DefaultScope(p.Flow))
	if out, err := run.Wait(); err != nil {
		t.Errorf("undecided, answered: %+v, %v", out, err)
	}
}

// A thousand processes that connect, or send, and exit at once: all named right.
func TestBurstIsNamed(t *testing.T) {
	for _, mode := range []string{"tcp", "udp"} {
		t.Run(mode, func(t *testing.T) {
			s := newScene(t)
			program := s.Home.Program("brief")
			s.rule(program, rule.Block, rule.Remote{Address: netip.MustParseAddr("192.0.2.1")}) // so that each is looked at
			if err := s.api.SetMode(t.Context(), "allow", 0); err != nil {
				t.Fatal(err)
			}
			const count = 1000
			spawned, err := program.Burst(t.Context(), count, 8, 20000, mode, s.target.String())
			if err != nil || len(spawned) != count {
				t.Fatalf("%d spawned, %v", len(spawned), err)
			}
			named := map[uint16]*flow.Process{}
			s.eventually("every flow", func() bool {
				clear(named)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				err := s.api.Activity(ctx, activityOf(program.Path), func(f flow.Flow) { named[uint16(f.Process.PID)] = f.Process })
				return err == nil && len(named) >= count
			})
			for _, p := range spawned {
				got := named[uint16(p.PID)]
				if got == nil || got.Path != program.Path || int(got.PID) != p.PID || len(got.Args) == 0 {
					t.Errorf("pid %d, port %d: %+v", p.PID, p.Port, got)
				}
			}
			if n := s.status().Counters.Unattributed; n != 0 {
				t.Errorf("%d flows were not attributed", n)
			}
		})
	}
}

// Programs outside the cgroup are neither delayed nor dropped, whatever the service does.
func TestOutsideIsUntouched(t *testing.T) {
	s := newScene(t)
	if err := s.api.SetMode(t.Context(), "lockdown", 0); err != nil {
		t.Fatal(err)
	}
	try := func(when string) {
		for _, mode := range []string{"tcp", "udp", "udp-unconnected"} {
			out, err := s.Home.Command(t.Context(), s.Home.Program("outside").Path, "-echo", mode, s.target.String()).Output()
			if err != nil {
				t.Errorf("%s: %s: %s, %v", when, mode, out, err)
			}
		}
		if out, err := s.Home.Command(t.Context(), s.Home.Program("outside").Path, "ping", s.target.Addr().String()).Output(); err != nil {
			t.Errorf("%s: ping: %s, %v", when, out, err)
		}
	}
	try("lockdown")
	s.service.Kill()
	try("dead")
}

// Every kind of socket waits and is decided, on IPv4 and IPv6.
func TestEveryKindAsks(t *testing.T) {
	for _, addr := range []string{"4", "6"} {
		for _, mode := range []string{"tcp", "udp", "udp-unconnected", "ping"} {
			for _, a := range []rule.Action{rule.Allow, rule.Block} {
				t.Run(fmt.Sprintf("%s IPv%s %s", mode, addr, a), func(t *testing.T) {
					s := newScene(t)
					host := s.Remote.Addr4
					if addr == "6" {
						host = s.Remote.Addr6
					}
					target := netip.AddrPortFrom(host, 7).String()
					if mode == "ping" {
						target = host.String()
					}
					wire := s.Remote.Wire()
					program := s.Home.Program("asker")
					run := program.Start(t.Context(), "-timeout", "1s", "-echo", mode, target)
					p := s.prompts(1)[0]
					if wire.Saw(lab.To(host).From(s.homeAddr(addr))) && mode != "ping" {
						t.Error("it left before the answer")
					}
					s.answer(p, a, rule.Always, prompt.Scopes(p.Flow)[0])
					out, _ := run.Wait()
					if len(out) != 1 || out[0].OK != (a == rule.Allow) {
						t.Fatalf("%+v", out)
					}
					// The second time nobody is asked.
					out, _ = program.Run(t.Context(), "-timeout", "1s", "-echo", mode, target)
					if len(out) != 1 || out[0].OK != (a == rule.Allow) {
						t.Fatalf("again: %+v", out)
					}
				})
			}
		}
	}
}

func (s *scene) homeAddr(family string) netip.Addr {
	if family == "6" {
		return s.Home.Addr6
	}
	return s.Home.Addr4
}
