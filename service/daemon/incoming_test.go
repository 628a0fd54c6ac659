package daemon_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"sekisho/app/flow"
	"sekisho/app/prompt"
	"sekisho/app/rule"
	"sekisho/service/lab"
)

// visit connects from the other host and says what came back, "" for nothing within wait.
func (s *scene) visit(network, address, say string, wait time.Duration) string {
	s.t.Helper()
	return <-s.visiting(network, address, say, wait)
}

// visiting is visit without waiting for its end.
func (s *scene) visiting(network, address, say string, wait time.Duration) <-chan string {
	s.t.Helper()
	answer := make(chan string, 1)
	begun := make(chan struct{})
	go func() {
		defer close(answer)
		var c net.Conn
		err := s.Remote.Do(func() (err error) {
			close(begun)
			c, err = (&net.Dialer{Timeout: wait}).Dial(network, address)
			return err
		})
		if err != nil {
			return
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(wait))
		if _, err := c.Write([]byte(say)); err != nil {
			return
		}
		b := make([]byte, 1024)
		if n, err := c.Read(b); err == nil {
			answer <- string(b[:n])
		}
	}()
	<-begun
	return answer
}

func reached(v *lab.Server, say string) bool {
	return slices.ContainsFunc(v.Arrivals(), func(a lab.Reached) bool { return say == "" || a.Data == say })
}

func (s *scene) allow(r rule.Rule) rule.Rule {
	s.t.Helper()
	r.Action = rule.Allow
	return s.addRule(r)
}

func (s *scene) block(r rule.Rule) rule.Rule {
	s.t.Helper()
	r.Action = rule.Block
	return s.addRule(r)
}

func (s *scene) addRule(r rule.Rule) rule.Rule {
	s.t.Helper()
	r.Enabled, r.Origin = true, rule.FromCommand
	if r.Lifetime.Kind == "" {
		r.Lifetime.Kind = rule.Always
	}
	added, err := s.api.AddRule(s.t.Context(), r, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	return added
}

// What wants in is held and asked about, and gets no answer before the person's.
func TestIncomingAsks(t *testing.T) {
	for _, network := range []string{"tcp", "udp"} {
		for _, six := range []bool{false, true} {
			for _, action := range []rule.Action{rule.Allow, rule.Block} {
				t.Run(fmt.Sprintf("%s, IPv6 %v, %s", network, six, action), func(t *testing.T) {
					s := newScene(t)
					home, remote := s.Home.Addr4, s.Remote.Addr4
					if six {
						home, remote = s.Home.Addr6, s.Remote.Addr6
					}
					address := netip.AddrPortFrom(home, 8000).String()
					server := s.Home.Serve(t.Context(), "server", network, address)
					wire := s.Remote.Wire()
					answer := s.visiting(network, address, "knock", 5*time.Second)
					p := s.prompts(1)[0]
					f := p.Flow
					if f.Direction != flow.In || f.Process.Path != server.Path || int(f.Process.PID) != server.PID() ||
						f.Remote.Addr != remote || f.Local.Port != 8000 || f.Protocol.String() != network {
						t.Errorf("%+v of %+v", f, f.Process)
					}
					if reached(server, "") || wire.Saw(lab.To(remote).FromPort(8000)) {
						t.Fatal("it came through, or got an answer, before the person's")
					}
					s.answer(p, action, rule.Once, prompt.DefaultScope(f))
					got := <-answer
					if want := map[rule.Action]string{rule.Allow: "knock", rule.Block: ""}[action]; got != want {
						t.Errorf("answer %q, want %q", got, want)
					}
					if action == rule.Block && (reached(server, "") || wire.Saw(lab.To(remote).FromPort(8000))) {
						t.Error("who is blocked got an answer")
					}
					if action == rule.Block {
						return
					}
					// Once is for this one.
					if got := s.visit(network, address, "again", 300*time.Millisecond); got != "" {
						t.Error("once let the next one in too")
					}
				})
			}
		}
	}
}

// Rules for what comes in hold by program, port and who comes.
func TestIncomingRules(t *testing.T) {
	s := newScene(t)
	at := func(port uint16) string { return netip.AddrPortFrom(s.Home.Addr4, port).String() }
	server := s.Home.Serve(t.Context(), "server", "tcp", at(8000))
	second := server.Again(t.Context(), "tcp", at(8001))
	udp := server.Again(t.Context(), "udp", at(8000))
	s.allow(rule.Rule{
		Direction: rule.In, Program: rule.Program{Path: server.Path}, Protocol: flow.TCP,
		Ports: []rule.PortRange{{From: 8000, To: 8000}}, Remote: rule.Remote{Address: s.Remote.Addr4},
	})
	s.block(rule.Rule{Direction: rule.In, Program: rule.Program{Path: server.Path}})
	for range 2 { // the second time by what the kernel knows
		if got := s.visit("tcp", at(8000), "hello", 5*time.Second); got != "hello" {
			t.Errorf("allowed: %q", got)
		}
		if s.visit("tcp", at(8001), "hello", 300*time.Millisecond) != "" || reached(second, "") {
			t.Error("another port came through")
		}
		if s.visit("udp", at(8000), "hello", 300*time.Millisecond) != "" || reached(udp, "") {
			t.Error("another protocol came through")
		}
	}
}

// Two programs share a port: each gets only what it may.
func TestIncomingReuseport(t *testing.T) {
	for _, network := range []string{"tcp", "udp"} {
		t.Run(network, func(t *testing.T) {
			s := newScene(t)
			address := netip.AddrPortFrom(s.Home.Addr4, 8000).String()
			good := s.Home.Serve(t.Context(), "good", "-reuseport", network, address)
			evil := s.Home.Serve(t.Context(), "evil", "-reuseport", network, address)
			s.allow(rule.Rule{Direction: rule.In, Program: rule.Program{Path: good.Path}})
			s.block(rule.Rule{Direction: rule.In, Program: rule.Program{Path: evil.Path}})
			var answers []<-chan string
			for range 40 {
				answers = append(answers, s.visiting(network, address, "hello", time.Second))
			}
			n := 0
			for _, a := range answers {
				if <-a == "hello" {
					n++
				}
			}
			if n == 0 || n == 40 || !reached(good, "hello") {
				t.Errorf("%d of 40 were answered: want those that met the allowed program", n)
			}
			if reached(evil, "") {
				t.Error("the blocked program got some")
			}
		})
	}
}

// The answer to what a program asked comes in; what anybody else sends to the same port
// does not, even to a port that the kernel gave it.
func TestOnlyTheAskedAnswer(t *testing.T) {
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
	s.allow(rule.Rule{Direction: rule.Out, Program: rule.Program{Path: program.Path}})
	wire := s.Remote.Wire()
	run := program.Start(t.Context(), "-echo", "-hold", "2s", "udp-unconnected", netip.AddrPortFrom(s.Remote.Addr4, 7).String())
	var port uint16
	s.eventually("the question", func() bool {
		for _, p := range wire.Packets(lab.Datagram(s.target)) {
			port = p.Src.Port()
		}
		return port != 0
	})
	s.visit("udp", netip.AddrPortFrom(s.Home.Addr4, port).String(), "stranger", 300*time.Millisecond)
	s.eventually("the question about the stranger", func() bool {
		all, err := s.api.Prompts(t.Context())
		return err == nil && slices.ContainsFunc(all, func(p prompt.Prompt) bool {
			return p.Flow.Direction == flow.In && p.Flow.Process.Path == program.Path && p.Flow.Local.Port == port
		})
	})
	if out, err := run.Wait(); err != nil || !out[0].OK || out[0].Reply == "stranger" {
		t.Errorf("%+v, %v", out, err)
	}
}

// A server answers who may come in; it begins nothing by that.
func TestServerAnswersOnly(t *testing.T) {
	s := newScene(t)
	address := netip.AddrPortFrom(s.Home.Addr4, 8000)
	server := s.Home.Serve(t.Context(), "server", "udp", address.String())
	s.allow(rule.Rule{Direction: rule.In, Program: rule.Program{Path: server.Path}})
	s.block(rule.Rule{Direction: rule.Out, Program: rule.Program{Path: server.Path}})
	if got := s.visit("udp", address.String(), "hello", 5*time.Second); got != "hello" {
		t.Errorf("answer %q", got)
	}
}

// A new block ends at once what came in before.
func TestIncomingBlockEnds(t *testing.T) {
	s := newScene(t)
	address := netip.AddrPortFrom(s.Home.Addr4, 8000)
	server := s.Home.Serve(t.Context(), "server", "tcp", address.String())
	r := s.allow(rule.Rule{Direction: rule.In, Program: rule.Program{Path: server.Path}})
	var c net.Conn
	if err := s.Remote.Do(func() (err error) {
		c, err = net.DialTimeout("tcp", address.String(), 5*time.Second)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	b := make([]byte, 16)
	if _, err := c.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(b); err != nil || string(b[:n]) != "hello" {
		t.Fatalf("%q, %v", b[:n], err)
	}
	r.Action = rule.Block
	if _, err := s.api.EditRule(t.Context(), r, 0); err != nil {
		t.Fatal(err)
	}
	_ = c.SetReadDeadline(time.Now().Add(2 * time.Second))
	if _, err := c.Read(b); err == nil {
		t.Error("it goes on")
	} else if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("it was not ended")
	}
}

// Nobody listens: the machine answers as if no firewall were there.
func TestIncomingToNobody(t *testing.T) {
	s := newScene(t)
	err := s.Remote.Do(func() error {
		_, err := net.DialTimeout("tcp", netip.AddrPortFrom(s.Home.Addr4, 8000).String(), 5*time.Second)
		return err
	})
	if err == nil || !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("%v, want connection refused", err)
	}
}
