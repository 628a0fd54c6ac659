package daemon_test

import (
	"net/netip"
	"testing"

	"sekisho/app/flow"
	"sekisho/app/prompt"
	"sekisho/app/rule"
	"sekisho/service/lab"
)

// talk has a program say something to another one of the same machine, and tells whether
// it was heard.
func (s *scene) talk(client *lab.Program, network, address string) bool {
	s.t.Helper()
	out, err := client.Run(s.t.Context(), "-echo", "-timeout", "1s", network, address)
	return err == nil && len(out) == 1 && out[0].OK
}

// What a machine says to itself passes and is shown; a rule for anything does not touch it,
// one that names it does, in its direction.
func TestLoopback(t *testing.T) {
	for _, network := range []string{"tcp", "udp"} {
		for _, host := range []string{"127.0.0.1", "127.8.9.10", "::1"} {
			t.Run(network+" "+host, func(t *testing.T) {
				s := newScene(t)
				addr := netip.MustParseAddr(host)
				address := netip.AddrPortFrom(addr, 8000).String()
				server := s.Home.Serve(t.Context(), "server", network, address)
				client := s.Home.Program("client")
				s.block(rule.Rule{Direction: rule.Both, Program: rule.Program{Path: client.Path}})
				s.block(rule.Rule{Direction: rule.Both, Program: rule.Program{Path: server.Path}})
				if !s.talk(client, network, address) {
					t.Fatal("a rule for anything stopped it")
				}
				shown := false
				err := s.api.Activity(t.Context(), activityOf(client.Path), func(f flow.Flow) {
					shown = shown || f.Remote.Addr == addr && f.Decision.Verdict == flow.Allow && f.Decision.By.Kind == flow.ByPreset
				})
				if err != nil || !shown {
					t.Errorf("shown: %v, %v", shown, err)
				}
				for _, d := range []rule.Direction{rule.Out, rule.In} {
					path := map[rule.Direction]string{rule.Out: client.Path, rule.In: server.Path}[d]
					names := rule.Remote{Address: addr}
					if d == rule.In && addr.Is4() { // whoever talks to 127.8.9.10 does so from 127.0.0.1
						names = rule.Remote{Network: netip.MustParsePrefix("127.0.0.0/8")}
					}
					r := s.block(rule.Rule{Direction: d, Program: rule.Program{Path: path}, Remote: names})
					if s.talk(client, network, address) {
						t.Errorf("direction %v: a rule that names it does not hold", d)
					}
					if err := s.api.RemoveRule(t.Context(), r.ID); err != nil {
						t.Fatal(err)
					}
				}
				if !s.talk(client, network, address) {
					t.Error("it does not pass again")
				}
			})
		}
	}
}

// With the preset switched off it is asked about like anything, by whom it leaves.
func TestLoopbackAsked(t *testing.T) {
	s := newScene(t)
	settings, err := s.api.Settings(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	settings.DisabledPresets = []string{"loopback"}
	if err := s.api.SetSettings(t.Context(), settings); err != nil {
		t.Fatal(err)
	}
	address := netip.MustParseAddrPort("127.0.0.1:8000").String()
	server := s.Home.Serve(t.Context(), "server", "tcp", address)
	client := s.Home.Program("client")
	run := client.Start(t.Context(), "-echo", "tcp", address)
	for _, path := range []string{client.Path, server.Path} { // out first, then in
		p := s.prompts(1)[0]
		if p.Flow.Process.Path != path {
			t.Fatalf("asked about %s, want %s", p.Flow.Process.Path, path)
		}
		s.answer(p, rule.Allow, rule.Once, prompt.DefaultScope(p.Flow))
	}
	if out, err := run.Wait(); err != nil || !out[0].OK {
		t.Errorf("%+v, %v", out, err)
	}
}
