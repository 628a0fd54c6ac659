package daemon_test

import (
	"context"
	"net/netip"
	"slices"
	"testing"
	"time"

	"sekisho/app/api"
	"sekisho/app/prompt"
	"sekisho/app/rule"
	"sekisho/service/lab"
)

// scene is a lab in which the real service filters, with a client of it.
type scene struct {
	*lab.Lab
	t       testing.TB
	service *lab.Service
	api     *api.Client
	echo    *lab.Echo
	target  netip.AddrPort
}

func newScene(t testing.TB) *scene {
	t.Helper()
	return newSceneIn(t, lab.New(t))
}

// newSceneIn is newScene in a lab that was prepared.
func newSceneIn(t testing.TB, l *lab.Lab) *scene {
	t.Helper()
	s := &scene{Lab: l, t: t, echo: l.Remote.ServeEcho(7)}
	if err := l.Home.Sysctl("net/ipv4/ping_group_range", "0 2147483647"); err != nil {
		t.Fatal(err)
	}
	s.target = netip.AddrPortFrom(l.Remote.Addr4, 7)
	s.service = l.Home.Service()
	s.api = api.Dial(s.service.Socket)
	t.Cleanup(func() {
		if err := s.api.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Log(s.service.Log())
		}
	})
	return s
}

// prompts waits until n prompts wait for an answer.
func (s *scene) prompts(n int) []prompt.Prompt {
	s.t.Helper()
	var list []prompt.Prompt
	s.eventually("prompts", func() bool {
		all, err := s.api.Prompts(s.t.Context())
		if err != nil {
			s.t.Fatal(err)
		}
		list = slices.DeleteFunc(all, func(p prompt.Prompt) bool { return p.State != prompt.Waiting })
		return len(list) == n
	})
	return list
}

// eventually looks again and again until ok, for ten seconds.
func (s *scene) eventually(what string, ok func() bool) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 10*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			s.t.Fatalf("%s: not within ten seconds", what)
		case <-tick.C:
		}
	}
}

func (s *scene) answer(p prompt.Prompt, a rule.Action, l rule.LifetimeKind, scope prompt.Scope) *rule.Rule {
	s.t.Helper()
	r, err := s.api.Answer(s.t.Context(), p.ID, prompt.Answer{Action: a, Lifetime: l, Scope: scope, Generation: p.Generation})
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

func (s *scene) status() api.Status {
	s.t.Helper()
	st, err := s.api.Status(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return st
}

// A program without a rule waits; nothing leaves before the answer, and the person is
// told who it is and what it looked up.
func TestAsk(t *testing.T) {
	for _, c := range []struct {
		name   string
		mode   string
		action rule.Action
		ok     bool
	}{
		{"allow TCP", "dns+tcp", rule.Allow, true},
		{"block TCP", "dns+tcp", rule.Block, false},
		{"allow UDP", "dns+udp", rule.Allow, true},
		{"block UDP", "dns+udp", rule.Block, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t)
			s.DNS.Set("example.lab", s.target.Addr())
			wire := s.Remote.Wire()
			program := s.Home.Program("asker")
			run := program.Start(t.Context(), "-echo", c.mode, "example.lab:7")
			p := s.prompts(1)[0]

			f := p.Flow
			if f.Process.Path != program.Path || int(f.Process.PID) != run.PID() || f.Process.User != "root" {
				t.Errorf("process: %+v", f.Process)
			}
			if want := []string{program.Path, "-echo", c.mode, "example.lab:7"}; !slices.Equal(f.Process.Args, want) {
				t.Errorf("arguments: %q, want %q", f.Process.Args, want)
			}
			if len(f.Process.Parents) == 0 || f.Process.Parents[0].Path == "" {
				t.Errorf("parents: %+v", f.Process.Parents)
			}
			if f.Remote.Name != "example.lab" || f.Remote.Addr != s.target.Addr() || f.Remote.Port != 7 {
				t.Errorf("remote: %+v", f.Remote)
			}
			if n := len(wire.Packets(lab.To(s.target.Addr()).FromPort(f.Local.Port))); n != 0 {
				t.Fatalf("%d packets left before the answer", n)
			}
			s.answer(p, c.action, rule.Once, prompt.DefaultScope(f))
			out, _ := run.Wait()
			if len(out) != 1 || out[0].OK != c.ok {
				t.Fatalf("%+v", out)
			}
			if !c.ok && out[0].Errno != "ECONNREFUSED" && out[0].Errno != "EPERM" && out[0].Errno != "EHOSTUNREACH" {
				t.Errorf("errno: %q", out[0].Errno)
			}
			if left := wire.Saw(lab.To(s.target.Addr()).FromPort(f.Local.Port)); left != c.ok {
				t.Errorf("packets on the wire: %v, want %v", left, c.ok)
			}
			if rules, err := s.api.Rules(t.Context()); err != nil || len(rules) != 0 {
				t.Errorf("once left rules: %v, %v", rules, err)
			}
		})
	}
}

// Two programs, three destinations each, all at once: six prompts, none settled with another.
func TestSixAtOnce(t *testing.T) {
	s := newScene(t)
	type asked struct {
		run     *lab.Running
		program *lab.Program
		port    uint16
	}
	var all []asked
	for port := range uint16(3) {
		s.Remote.ServeEcho(1000 + port)
	}
	for _, name := range []string{"one", "two"} {
		program := s.Home.Program(name)
		for port := range uint16(3) {
			target := netip.AddrPortFrom(s.Remote.Addr6, 1000+port)
			all = append(all, asked{program.Start(t.Context(), "tcp", target.String()), program, 1000 + port})
		}
	}
	for n := len(all); n > 0; n-- {
		waiting := s.prompts(n)
		p := waiting[(n*7)%n] // any order
		i := slices.IndexFunc(all, func(a asked) bool {
			return a.program.Path == p.Flow.Process.Path && a.port == p.Flow.Remote.Port
		})
		action := rule.Allow
		if n%2 == 0 {
			action = rule.Block
		}
		s.answer(p, action, rule.Once, prompt.DefaultScope(p.Flow))
		out, _ := all[i].run.Wait()
		if len(out) != 1 || out[0].OK != (action == rule.Allow) {
			t.Fatalf("%s to port %d after %s: %+v", all[i].program.Path, all[i].port, action, out)
		}
		all = slices.Delete(all, i, i+1)
		for _, a := range all {
			select {
			case <-a.run.Ended():
				t.Fatalf("%s to port %d ended by somebody else's answer", a.program.Path, a.port)
			default:
			}
		}
	}
}

// An answer settles at once all that it covers.
func TestAnswerCovers(t *testing.T) {
	s := newScene(t)
	for port := range uint16(3) {
		s.Remote.ServeEcho(1000 + port)
	}
	program := s.Home.Program("asker")
	var runs []*lab.Running
	for port := range uint16(3) {
		runs = append(runs, program.Start(t.Context(), "tcp", netip.AddrPortFrom(s.target.Addr(), 1000+port).String()))
	}
	p := s.prompts(3)[0]
	s.answer(p, rule.Allow, rule.Always, prompt.Scope{Kind: prompt.Anything})
	for _, r := range runs {
		if out, err := r.Wait(); err != nil || !out[0].OK {
			t.Errorf("%+v, %v", out, err)
		}
	}
	s.prompts(0)
}

// What nobody answers is blocked at its deadline and stays in the inbox.
func TestMissed(t *testing.T) {
	s := newScene(t)
	settings, err := s.api.Settings(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	settings.Deadline = time.Second
	if err := s.api.SetSettings(t.Context(), settings); err != nil {
		t.Fatal(err)
	}
	program := s.Home.Program("asker")
	out, _ := program.Run(t.Context(), "tcp", s.target.String())
	if len(out) != 1 || out[0].Errno != "ECONNREFUSED" {
		t.Fatalf("%+v", out)
	}
	var inbox []prompt.Prompt
	s.eventually("the inbox", func() bool {
		if inbox, err = s.api.Prompts(t.Context()); err != nil {
			t.Fatal(err)
		}
		return len(inbox) == 1 && inbox[0].State == prompt.Ended
	})
	s.service.Restart()
	if inbox, err = s.api.Prompts(t.Context()); err != nil || len(inbox) != 1 {
		t.Fatalf("after a restart: %+v, %v", inbox, err)
	}
	// Answered later, it leaves a rule for the next time.
	s.answer(inbox[0], rule.Allow, rule.Always, prompt.DefaultScope(inbox[0].Flow))
	if out, err := program.Run(t.Context(), "tcp", s.target.String()); err != nil {
		t.Fatalf("%+v, %v", out, err)
	}
}

func activityOf(program string) api.ActivityFilter { return api.ActivityFilter{Program: program} }
