package main

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"sekisho/service/lab"
)

// phases are played one after another; modules that one of them loaded stay.
var phases = []struct {
	name, queue string
	play        func(*scene)
}{
	{"xtables", "xtables", func(s *scene) { path(s, "xtables") }},
	{"native", "native", func(s *scene) { path(s, "native") }},
}

// withoutQueue is on a kernel that has no means to hold a packet yet.
func withoutQueue(s *scene) {
	s.check("--check says what is missing", func() {
		out, err := s.Home.Command(s.ctx, "/bin/sekishod", "--check").Output()
		if err == nil || !strings.Contains(string(out), "missing  ") || !strings.Contains(string(out), "NFQUEUE") {
			s.Fatalf("%v: %s", err, out)
		}
		for l := range strings.Lines(string(out)) {
			if strings.HasPrefix(l, "missing") {
				s.say("%s", l)
			}
		}
	})
}

// path is the whole path of a connection, in one scene after another's end.
func path(s *scene, queue string) {
	s.check("--check says that all is there", func() { s.checksAll(queue) })
	if !s.check("the service gets ready", func() { s.start(queue) }) {
		return
	}
	s.check("TCP is held, asked, allowed", func() { s.asks("tcp", "allow") })
	s.check("TCP is held, asked, refused", func() { s.asks("tcp", "block") })
	s.check("UDP is held, asked, allowed", func() { s.asks("udp", "allow") })
	s.check("ping is held, asked, allowed", func() { s.asks("ping", "allow") })
	s.check("a rule is the kernel's to decide", s.decides)
	s.check("a killed service comes back, what was held with it", func() { s.restarts((*lab.Service).Kill) })
	s.check("a stopped service comes back, what was held with it", func() { s.restarts((*lab.Service).Stop) })
	s.check("rules put back let go of nothing", s.putBack)
	if queue == "native" { // it is the same for both
		s.check("who ran, of 1,500 that connect and end", s.named)
	}
}

// checksAll has sekishod --check tell what the kernel has.
func (s *scene) checksAll(queue string) {
	out, err := s.Home.Command(s.ctx, "/bin/sekishod", "--check").Output()
	s.must("sekishod --check", err)
	want := map[string]string{"native": "native queue", "xtables": "xtables NFQUEUE target"}[queue]
	if !strings.Contains(string(out), want) || strings.Contains(string(out), "missing") {
		s.Fatalf("want %q: %s", want, out)
	}
	for l := range strings.Lines(string(out)) {
		s.Logf("%s", strings.TrimSuffix(l, "\n"))
	}
}

func (s *scene) start(queue string) {
	s.target = netip.AddrPortFrom(s.Remote.Addr4, 7)
	s.Remote.ServeEcho(7)
	s.must("allow ping sockets", s.Home.Sysctl("net/ipv4/ping_group_range", "0 2147483647"))
	began := time.Now()
	s.service = s.Home.Service(lab.Programs("/bin"), lab.Args(s.args...))
	s.say("after %v", time.Since(began).Round(time.Millisecond))
	st := s.status()
	if !st.Enforcing || st.Kernel.Queue != queue || len(st.Problems) > 0 {
		s.Errorf("status: %+v; want the %s queue", st, queue)
	}
}

// asks has a program connect, and nothing leave before the answer.
func (s *scene) asks(mode, action string) {
	wire := s.Remote.Wire()
	program := s.Home.Program("asker")
	target := s.target.String()
	if mode == "ping" {
		target = s.target.Addr().String()
	}
	run := program.Start(s.ctx, "-timeout", "30s", "-echo", mode, target)
	p := s.prompt(program.Path)
	if p.Program.PID != uint32(run.PID()) || !slices.Contains(p.Program.Args, target) || p.Remote.Address != s.target.Addr() {
		s.Errorf("the prompt: %+v", p)
	}
	if wire.Saw(lab.To(s.target.Addr())) {
		s.Errorf("it left before the answer")
	}
	s.answer(p, action)
	out, _ := run.Wait()
	if len(out) != 1 || out[0].OK != (action == "allow") {
		s.Errorf("%+v", out)
	}
	if wire.Saw(lab.To(s.target.Addr())) != (action == "allow") {
		s.Errorf("on the wire: %+v", wire.Packets(lab.To(s.target.Addr())))
	}
}

// decides has the kernel know, of one program that it may and of another that it may not.
func (s *scene) decides() {
	may, mayNot := s.Home.Program("may"), s.Home.Program("maynot")
	s.rule("--program", may.Path, "--action", "allow")
	s.rule("--program", mayNot.Path, "--action", "block")
	before := s.status().Counters
	if out, err := may.Run(s.ctx, "-count", "300", "-reset", "tcp", s.target.String()); err != nil || slices.ContainsFunc(out, func(o lab.Outcome) bool { return !o.OK }) {
		s.Errorf("allowed: %+v, %v", out, err)
	}
	for _, mode := range []string{"tcp", "udp", "udp-unconnected"} {
		if out, _ := mayNot.Run(s.ctx, mode, s.target.String()); len(out) != 1 || out[0].Errno != "EPERM" {
			s.Errorf("blocked %s: %+v", mode, out)
		}
	}
	if n := s.status().Counters.Queued - before.Queued; n != 0 {
		s.Errorf("%d connections visited the queue", n)
	}
}
