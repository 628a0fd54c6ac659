package daemon_test

import (
	"testing"
	"time"

	"sekisho/app/flow"
	"sekisho/app/rule"
)

// What a program sends and gets is counted, while it goes on and in the history.
func TestTraffic(t *testing.T) {
	for _, mode := range []string{"tcp", "udp"} {
		t.Run(mode, func(t *testing.T) {
			s := newScene(t)
			program := s.Home.Program("talker")
			s.rule(program, rule.Allow, rule.Remote{})
			run := program.Start(t.Context(), "-echo", "-send", "hello, world", "-hold", "1s", mode, s.target.String())
			var live flow.Flow
			s.eventually("the live connection's bytes", func() bool {
				all, err := s.api.Connections(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				for _, f := range all {
					if f.Process.Path == program.Path {
						live = f
					}
				}
				return live.Bytes == flow.Bytes{Sent: 12, Received: 12}
			})
			if live.Local.Port == 0 || live.State != flow.Open || time.Since(live.Time) > 10*time.Second {
				t.Errorf("%+v", live)
			}
			if out, err := run.Wait(); err != nil {
				t.Fatalf("%+v, %v", out, err)
			}
			s.eventually("the connection in the history", func() bool {
				var past flow.Flow
				err := s.api.Activity(t.Context(), activityOf(program.Path), func(f flow.Flow) { past = f })
				return err == nil && past.State == flow.Closed && past.Bytes == live.Bytes
			})
			s.eventually("its end", func() bool {
				all, err := s.api.Connections(t.Context())
				return err == nil && len(all) == 0
			})
		})
	}
}
