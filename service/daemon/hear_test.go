package daemon_test

import (
	"net/netip"
	"testing"

	"github.com/google/nftables"

	"sekisho/app/prompt"
	"sekisho/app/rule"
	"sekisho/service/lab"
)

// hearScene has an echo server that the DNS knows as example.lab, another that it doesn't
// know, and a program that may talk to example.lab and to nobody else.
func hearScene(t *testing.T) (s *scene, program *lab.Program, other netip.AddrPort) {
	s = newScene(t)
	s.DNS.Set("example.lab", s.target.Addr())
	host := s.AddHost("other")
	host.ServeEcho(7)
	program = s.Home.Program("talker")
	s.rule(program, rule.Allow, rule.Remote{Name: "example.lab"})
	s.rule(program, rule.Block, rule.Remote{})
	return s, program, netip.AddrPortFrom(host.Addr4, 7)
}

// fine reports whether a program's only attempt did what it should.
func fine(out []lab.Outcome, err error) bool { return err == nil && len(out) == 1 && out[0].OK }

// spoken counts the packets with data that came from the filtered host.
func spoken(w *lab.Wire, port uint16) int {
	return len(w.Packets(func(p lab.Packet) bool { return p.Dst.Port() == port && len(p.Payload) > 0 }))
}

// A program that brings its own DNS says whom it means. That allows only if the system's
// name servers confirm it, or one could go anywhere by the name of somebody else (domain
// fronting); and before it is decided nothing that the program says leaves.
func TestAttackClaimedName(t *testing.T) {
	s, program, other := hearScene(t)
	wire := s.Home.Wire()
	get := func(host string) []string {
		return []string{"-send", "GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n"}
	}
	for _, c := range []struct {
		name string
		to   netip.AddrPort
		said []string
		ok   bool
	}{
		{"HTTP, its name at its address", s.target, get("example.lab"), true},
		{"TLS, its name at its address", s.target, []string{"-hello", "example.lab"}, true},
		{"HTTP, its name at another address", other, get("example.lab"), false},
		{"TLS, its name at another address", other, []string{"-hello", "example.lab"}, false},
		{"another name at its address", s.target, get("evil.lab"), false},
		{"no name", s.target, []string{"-send", "hello"}, false},
		{"a part of a hello", s.target, []string{"-send", "GET / HTTP/1.1\r\n"}, false},
		{"a proxy", s.target, []string{"-send", "CONNECT example.lab:7 HTTP/1.1\r\nHost: example.lab\r\n\r\n"}, false},
		{"its name again", s.target, get("example.lab"), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := spoken(wire, 7)
			out, _ := program.Run(t.Context(), append(append([]string{"-echo", "-timeout", "5s"}, c.said...), "tcp", c.to.String())...)
			if len(out) != 1 || out[0].OK != c.ok {
				t.Errorf("%+v", out)
			}
			if left := spoken(wire, 7) > before; left != c.ok {
				t.Errorf("data left: %v, want %v", left, c.ok)
			}
		})
	}
	if got := s.remoteName(program.Path, s.target); got != "example.lab" {
		t.Errorf("name in the history: %q", got)
	}
}

// What a connection says whose handshake alone was let go stays where it is, also while
// nobody listens and nftables holds nothing.
func TestAttackUnsaid(t *testing.T) {
	s, program, _ := hearScene(t)
	wire := s.Home.Wire()
	talk := func() *lab.Running {
		run := program.Start(t.Context(), "-echo", "-timeout", "2s", "-pause", "700ms", "-hello", "example.lab", "tcp", s.target.String())
		s.eventually("the handshake", func() bool {
			return wire.Saw(func(p lab.Packet) bool { return p.Src.Port() == 7 && p.SYN && p.ACK })
		})
		return run
	}
	if out, err := talk().Wait(); !fine(out, err) || spoken(wire, 7) == 0 {
		t.Fatalf("%+v, %v", out, err)
	}
	wire.Forget()
	run := talk()
	s.service.Kill()
	s.nft(func(c *nftables.Conn, _ *nftables.Table) error { c.FlushRuleset(); return nil })
	if out, _ := run.Wait(); len(out) != 1 || out[0].OK {
		t.Errorf("%+v", out)
	}
	if n := spoken(wire, 7); n != 0 {
		t.Errorf("%d packets with data left", n)
	}
	s.service.Start()
	if out, err := talk().Wait(); !fine(out, err) {
		t.Errorf("after the restart: %+v, %v", out, err)
	}
}

// Each program has its own names, however it looked them up; a rule for a name holds for
// its program alone.
func TestWhoseName(t *testing.T) {
	s := newScene(t)
	doh := s.AddHost("doh")
	names, resolver := doh.ServeDNS(), doh.Addr4
	names.Set("one.lab", s.target.Addr())
	names.ServeSecure(443)
	s.DNS.Set("one.lab", s.target.Addr())
	s.DNS.Set("two.lab", s.target.Addr()) // the same address
	stub := s.Home.ServeDNS()
	stub.Set("stub.lab", s.target.Addr())
	stub.Set("one.lab", s.target.Addr())
	if err := s.Home.SetResolv("nameserver 127.0.0.53\nnameserver " + s.Remote.Addr4.String() + "\n"); err != nil {
		t.Fatal(err)
	}
	secure := netip.AddrPortFrom(resolver, 443)
	make := func(who string) *lab.Program {
		program := s.Home.Program(who)
		s.rule(program, rule.Allow, rule.Remote{Address: resolver})
		return program
	}
	for _, c := range []struct {
		who, asked, want string
		how              []string
	}{
		{"stubborn", "stub.lab", "stub.lab", nil},
		{"first", "one.lab", "one.lab", []string{"-server", s.Remote.Addr4.String()}},
		{"second", "two.lab", "two.lab", []string{"-server", s.Remote.Addr4.String()}},
		{"browser", "one.lab", "", []string{"-secure", secure.String()}},
	} {
		program := make(c.who)
		run := program.Start(t.Context(), append(c.how, "-echo", "dns+tcp", c.asked+":7")...)
		p := s.prompts(1)[0]
		if p.Flow.Remote.Name != c.want || p.Flow.Process.Path != program.Path {
			t.Errorf("%s: asked about %s to %q, want %q", c.who, p.Flow.Process.Path, p.Flow.Remote.Name, c.want)
		}
		s.answer(p, rule.Allow, rule.Always, prompt.Scope{Kind: prompt.Host, To: prompt.Destination(p.Flow)})
		if out, err := run.Wait(); !fine(out, err) {
			t.Errorf("%s: %+v, %v", c.who, out, err)
		}
	}
	// With a rule for a name, what a browser says first is its name.
	browser := make("browser2")
	s.rule(browser, rule.Allow, rule.Remote{Name: "one.lab"})
	args := []string{"-secure", secure.String(), "-hello", "one.lab", "-echo", "dns+tcp", "one.lab:7"}
	if out, err := browser.Run(t.Context(), args...); !fine(out, err) {
		t.Errorf("%+v, %v", out, err)
	}
	if got := s.remoteName(browser.Path, s.target); got != "one.lab" {
		t.Errorf("the browser's name: %q", got)
	}
	run := make("browser3").Start(t.Context(), args...)
	p := s.prompts(1)[0]
	s.answer(p, rule.Block, rule.Once, prompt.DefaultScope(p.Flow))
	if out, _ := run.Wait(); len(out) != 1 || out[0].OK {
		t.Errorf("by another program's rule: %+v", out)
	}
}
