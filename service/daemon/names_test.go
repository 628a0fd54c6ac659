package daemon_test

import (
	"net/netip"
	"testing"

	"sekisho/app/flow"
	"sekisho/app/prompt"
	"sekisho/app/rule"
)

// A name counts from a server that the system uses or that the program may ask by a rule,
// and not from one that the mode let pass: anybody can run one that says anything.
func TestWhoseAnswersCount(t *testing.T) {
	for _, c := range []struct {
		how  string
		want string
		let  func(*scene, string)
	}{
		{"by a rule", "example.lab", func(s *scene, program string) {
			_, err := s.api.AddRule(t.Context(), rule.Rule{
				Enabled: true, Action: rule.Allow, Program: rule.Program{Path: program}, Ports: []rule.PortRange{{From: 53, To: 53}},
			}, 0)
			if err != nil {
				s.t.Fatal(err)
			}
		}},
		{"by an answer", "example.lab", nil},
		{"by the mode", "", func(s *scene, _ string) {
			if err := s.api.SetMode(t.Context(), "learn", 0); err != nil {
				s.t.Fatal(err)
			}
		}},
	} {
		t.Run(c.how, func(t *testing.T) {
			s := newScene(t)
			other := s.AddHost("other")
			other.ServeDNS().Set("example.lab", s.target.Addr())
			program := s.Home.Program("asker")
			if c.let != nil {
				c.let(s, program.Path)
			}
			run := program.Start(t.Context(), "-server", other.Addr4.String(), "dns+tcp", "example.lab:7")
			if c.let == nil {
				for _, p := range s.prompts(1) {
					s.answer(p, rule.Allow, rule.Once, prompt.DefaultScope(p.Flow))
				}
			}
			var got string
			if c.want == "" { // the mode lets it connect at once
				if out, err := run.Wait(); err != nil {
					t.Fatalf("%+v, %v", out, err)
				}
				got = s.remoteName(program.Path, s.target)
			} else {
				p := s.prompts(1)[0]
				got = p.Flow.Remote.Name
				s.answer(p, rule.Allow, rule.Once, prompt.DefaultScope(p.Flow))
				if out, err := run.Wait(); err != nil {
					t.Fatalf("%+v, %v", out, err)
				}
			}
			if got != c.want {
				t.Errorf("name: %q, want %q", got, c.want)
			}
		})
	}
}

// remoteName is the name under which the history has a flow of program to target.
func (s *scene) remoteName(program string, target netip.AddrPort) (name string) {
	s.t.Helper()
	s.eventually("the flow", func() bool {
		found := false
		err := s.api.Activity(s.t.Context(), activityOf(program), func(f flow.Flow) {
			if f.Remote.Addr == target.Addr() && f.Remote.Port == target.Port() {
				found, name = true, f.Remote.Name
			}
		})
		return err == nil && found
	})
	return name
}
