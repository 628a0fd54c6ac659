package daemon_test

import (
	"net/netip"
	"testing"
	"time"

	"sekisho/app/flow"
	"sekisho/app/prompt"
	"sekisho/app/rule"
	"sekisho/service/lab"
)

// newSendScene is a scene in which everything that is sent anywhere arrives, and questions
// end soon.
func newSendScene(t *testing.T) *scene {
	t.Helper()
	s := newScene(t)
	for _, network := range []string{"198.18.0.0/15", "2001:db8::/32"} {
		s.Remote.AnswerFor(netip.MustParsePrefix(network))
	}
	for _, name := range []string{"net/ipv4/tcp_fastopen"} {
		if err := s.Home.Sysctl(name, "5"); err != nil { // also without a cookie from the server
			t.Fatal(err)
		}
		if err := s.Remote.Sysctl(name, "3"); err != nil {
			t.Fatal(err)
		}
	}
	settings, err := s.api.Settings(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	settings.Deadline = time.Second
	if err := s.api.SetSettings(t.Context(), settings); err != nil {
		t.Fatal(err)
	}
	return s
}

// asked lists the prompts that there were.
func (s *scene) asked() []prompt.Prompt {
	s.t.Helper()
	all, err := s.api.Prompts(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return all
}

// allowTo makes a rule that allows a program one address, one port and one protocol; what is
// zero is not looked at.
func (s *scene) allowTo(path string, to netip.AddrPort, p flow.Protocol) {
	s.t.Helper()
	s.ruleTo(rule.Allow, path, to, p)
}

func (s *scene) ruleTo(a rule.Action, path string, to netip.AddrPort, p flow.Protocol) rule.Rule {
	s.t.Helper()
	r := rule.Rule{Enabled: true, Action: a, Program: rule.Program{Path: path}, Remote: rule.Remote{Address: to.Addr()}, Protocol: p}
	if to.Port() != 0 {
		r.Ports = []rule.PortRange{{From: to.Port(), To: to.Port()}}
	}
	r, err := s.api.AddRule(s.t.Context(), r, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

// sends runs a call of a sender to its end.
func (s *scene) sends(program *lab.Sender, args ...string) lab.Sent {
	s.t.Helper()
	sent, err := program.Start(s.t.Context(), args...).Wait()
	if err != nil {
		s.t.Fatal(err)
	}
	return sent
}

// askedAbout reports whether a program was asked about for a destination.
func (s *scene) askedAbout(path string, to netip.Addr) bool {
	s.t.Helper()
	for _, p := range s.asked() {
		if p.Flow.Process.Path == path && p.Flow.Remote.Addr == to {
			return true
		}
	}
	return false
}

var (
	allowed4   = netip.MustParseAddrPort("198.18.1.1:7")
	elsewhere4 = netip.MustParseAddrPort("198.18.1.2:7")
	allowed6   = netip.MustParseAddrPort("[2001:db8::1:1]:7")
	elsewhere6 = netip.MustParseAddrPort("[2001:db8::1:2]:7")
)
