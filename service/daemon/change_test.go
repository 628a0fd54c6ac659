package daemon_test

import (
	"testing"
	"time"

	"sekisho/app/api"
	"sekisho/app/prompt"
	"sekisho/app/rule"
	"sekisho/service/lab"
)

// A change takes hold of connections that are open: they end when a rule blocks them,
// when the rule that allowed them goes or ends, and in lockdown.
func TestChangeEndsConnections(t *testing.T) {
	for name, change := range map[string]func(s *scene, r rule.Rule) error{
		"block rule": func(s *scene, r rule.Rule) error {
			_, err := s.api.AddRule(s.t.Context(), rule.Rule{
				Enabled: true, Action: rule.Block, Program: r.Program, Remote: rule.Remote{Address: s.target.Addr()},
			}, 0)
			return err
		},
		"rule removed":  func(s *scene, r rule.Rule) error { return s.api.RemoveRule(s.t.Context(), r.ID) },
		"rule disabled": func(s *scene, r rule.Rule) error { return s.api.EnableRule(s.t.Context(), r.ID, false) },
		"lockdown":      func(s *scene, _ rule.Rule) error { return s.api.SetMode(s.t.Context(), api.ModeLockdown, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			file := s.script("holder.py", "c = socket.create_connection(TARGET)\nc.sendall(b'x')\nc.recv(1)\nc.settimeout(8)\ntry: c.recv(1)\nexcept TimeoutError: sys.exit(3)\nexcept OSError: pass\n")
			r, err := s.api.AddRule(t.Context(), rule.Rule{
				Enabled: true, Action: rule.Allow, Program: rule.Program{Path: python(t), Script: file},
			}, 0)
			if err != nil {
				t.Fatal(err)
			}
			c := s.start(python(t), file)
			s.eventually("the connection", func() bool {
				open, err := s.api.Connections(t.Context())
				return err == nil && len(open) == 1
			})
			time.Sleep(50 * time.Millisecond) // its first byte has come back
			if err := change(s, r); err != nil {
				t.Fatal(err)
			}
			if err := c.Wait(); err != nil {
				t.Errorf("the connection goes on: %v", err)
			}
		})
	}
}

// A rule that has ended stays so, whatever is changed while it is still on the disk.
func TestEndedStaysEnded(t *testing.T) {
	s := newScene(t)
	program, other := s.Home.Program("program"), s.Home.Program("other")
	r := s.rule(other, rule.Allow, rule.Remote{})
	for range 10 {
		once, err := s.api.AddRule(t.Context(), rule.Rule{
			Enabled: true, Action: rule.Allow, Program: rule.Program{Path: program.Path}, Lifetime: rule.Lifetime{Kind: rule.Once},
		}, 0)
		if err != nil {
			t.Fatal(err)
		}
		s.allowed(program, "once")
		if err := s.api.EnableRule(t.Context(), r.ID, true); err != nil { // reads all rules back
			t.Fatal(err)
		}
		rules, err := s.api.Rules(t.Context())
		if err != nil || len(rules) != 1 {
			t.Fatalf("rule %s is back: %+v, %v", once.ID, rules, err)
		}
	}
	run := program.Start(t.Context(), "tcp", s.target.String())
	p := s.prompts(1)[0]
	s.answer(p, rule.Block, rule.Once, prompt.DefaultScope(p.Flow))
	_, _ = run.Wait()
}

// A rule for once is for one flow, with all its datagrams.
func TestOnceIsAFlow(t *testing.T) {
	s := newScene(t)
	file := s.script("twice.py", "u = socket.socket(type=socket.SOCK_DGRAM); u.settimeout(2)\n"+
		"for i in range(5): u.sendto(b'x', TARGET); u.recv(9)\n")
	_, err := s.api.AddRule(t.Context(), rule.Rule{
		Enabled: true, Action: rule.Allow, Program: rule.Program{Path: python(t), Script: file}, Lifetime: rule.Lifetime{Kind: rule.Once},
	}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.start(python(t), file).Wait(); err != nil {
		t.Fatal(err)
	}
	_ = s.start(python(t), file)
	s.prompts(1)
}

// "Until it quits" is over even if it quits while no service runs.
func TestQuitsWhileDead(t *testing.T) {
	s := newScene(t)
	program := s.Home.Program("program")
	run := program.Start(t.Context(), "-hold", "30s", "tcp", s.target.String())
	p := s.prompts(1)[0]
	s.answer(p, rule.Allow, rule.Quit, prompt.DefaultScope(p.Flow))
	s.service.Kill()
	if err := run.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_, _ = run.Wait()
	s.service.Start()
	if rules, err := s.api.Rules(t.Context()); err != nil || len(rules) != 0 {
		t.Fatalf("%+v, %v", rules, err)
	}
}

// An unconnected socket is judged by where each datagram goes, whoever sends when.
func TestOneSocketTwoDestinations(t *testing.T) {
	s := newScene(t)
	second := s.Remote.AddAddress("198.51.100.7")
	s.Remote.ServeEcho(9)
	file := s.script("two.py", `
import threading
u = socket.socket(type=socket.SOCK_DGRAM)
def send(to):
    for i in range(300):
        try: u.sendto(b'x', to)
        except OSError: pass
ts = [threading.Thread(target=send, args=(t,)) for t in (TARGET, ('`+second.String()+`', 9))]
for t in ts: t.start()
for t in ts: t.join()
time.sleep(2)
`)
	_, err := s.api.AddRule(t.Context(), rule.Rule{
		Enabled: true, Action: rule.Allow, Program: rule.Program{Path: python(t), Script: file}, Remote: rule.Remote{Address: s.target.Addr()},
	}, 0)
	if err != nil {
		t.Fatal(err)
	}
	wire := s.Remote.Wire()
	c := s.start(python(t), file)
	p := s.prompts(1)[0]
	if p.Flow.Remote.Addr != second {
		t.Errorf("asked about %v", p.Flow.Remote)
	}
	if err := c.Wait(); err != nil {
		t.Fatal(err)
	}
	if n := len(wire.Packets(lab.To(s.target.Addr()).From(s.Home.Addr4))); n < 300 {
		t.Errorf("%d of 300 datagrams to the allowed destination left", n)
	}
	if wire.Saw(lab.To(second).From(s.Home.Addr4)) {
		t.Error("a datagram to the undecided destination left")
	}
}
