package main

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"sekisho/service/lab"
)

// phases are played one after another; modules that one of them loaded stay. One filters
// a control group, the other the whole machine.
var phases = []struct {
	queue string
	play  func(*scene)
}{
	{"xtables", func(s *scene) { path(s, "xtables", false) }},
	{"native", func(s *scene) { path(s, "native", true) }},
}

// withoutQueue is on a kernel that has no means to hold a packet yet.
func withoutQueue(s *scene) {
	s.check("--check says what is missing, and only that", func() {
		out := s.checks()
		if strings.Count(out, "missing  ") != 1 || !strings.Contains(out, "missing  queue (nftables): ") {
			s.Errorf("%s", out)
		}
	})
}

// path is the whole path of a connection, in both directions.
func path(s *scene, queue string, whole bool) {
	if whole {
		s.check("--check says that all is there", s.checksAll)
	}
	if !s.check("the service gets ready", func() { s.start(queue, whole) }) {
		return
	}
	s.check("TCP is held, asked, allowed", func() { s.asks("tcp", "allow") })
	s.check("TCP is held, asked, refused", func() { s.asks("tcp", "block") })
	s.check("UDP is held, asked, allowed", func() { s.asks("udp", "allow") })
	s.check("incoming TCP is held, asked, allowed", func() { s.wantsIn("tcp", "allow") })
	s.check("rules put back let go of nothing", s.putBack)
	if !whole {
		s.check("a killed service comes back, what was held with it", func() { s.restarts((*lab.Service).Kill) })
		return
	}
	s.check("ping is held, asked, allowed", func() { s.asks("ping", "allow") })
	s.check("a rule is the kernel's to decide", s.decides)
	s.check("incoming TCP is held, asked, refused", func() { s.wantsIn("tcp", "block") })
	s.check("incoming UDP is held, asked, allowed", func() { s.wantsIn("udp", "allow") })
	s.check("a rule for incoming is the kernel's to decide", s.letsIn)
	s.check("who ran, of 1,500 that connect and end", s.named)
	s.check("the kernel is asked as a program", s.kernel)
	s.check("what is forwarded is asked", s.forwards)
	s.check("another network namespace is asked", s.elsewhere)
	s.check("a stopped service comes back, what was held with it", func() { s.restarts((*lab.Service).Stop) })
}

// checks is what sekishod --check says.
func (s *scene) checks() string {
	var out, complaint strings.Builder
	c := s.Home.Command(s.ctx, "/bin/sekishod", "--check")
	c.Stdout, c.Stderr = &out, &complaint
	err := c.Run()
	if missing := strings.Contains(out.String(), "missing"); missing != (err != nil) || complaint.Len() > 0 {
		s.Errorf("it ended with %v: %s%s", err, out.String(), complaint.String())
	}
	return out.String()
}

// checksAll is on a kernel that has both ways to queue by now.
func (s *scene) checksAll() {
	out := s.checks()
	if strings.Contains(out, "missing") || !strings.Contains(out, "ok       queue (nftables)\n") || !strings.Contains(out, "ok       queue (xtables NFQUEUE)\n") {
		s.Errorf("%s", out)
	}
}

func (s *scene) start(queue string, whole bool) {
	s.target = netip.AddrPortFrom(s.Remote.Addr4, 7)
	s.Remote.ServeEcho(7)
	s.must("allow ping sockets", s.Home.Sysctl("net/ipv4/ping_group_range", "0 2147483647"))
	began := time.Now()
	options := []lab.ServiceOption{lab.Programs("/bin")}
	if whole {
		options = append(options, lab.Args("--cgroup", ""))
	}
	s.service = s.Home.Service(options...)
	s.say("after %v", time.Since(began).Round(time.Millisecond))
	if whole { // this program is the lab's servers and guests
		s.rule("--program", "/init", "--action", "allow", "--direction", "both")
	}
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
	if out, err := may.Run(s.ctx, "-count", "100", "-reset", "tcp", s.target.String()); err != nil || slices.ContainsFunc(out, func(o lab.Outcome) bool { return !o.OK }) {
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
