package daemon_test

import (
	"fmt"
	"strings"
	"testing"

	"sekisho/app/prompt"
	"sekisho/app/rule"
	"sekisho/service/lab"
)

// With a disk that takes nothing any more, filtering goes on, people are told, and what
// happens then is saved once there is room.
func TestDiskTakesNothing(t *testing.T) {
	s := newScene(t)
	s.service.Stop()
	s.atHome("mount -t tmpfs -o size=2m none " + s.service.State)
	s.service.Start()
	allowed, blocked := s.Home.Program("allowed"), s.Home.Program("blocked")
	s.rule(allowed, rule.Allow, rule.Remote{})
	s.rule(blocked, rule.Block, rule.Remote{})
	s.atHome(fmt.Sprintf("dd if=/dev/zero of=%s/filler bs=4k 2>/dev/null || true", s.service.State))
	s.fillDatabase()
	wire := s.Remote.Wire()
	s.eventually("the problem", func() bool {
		s.allowed(allowed, "full")
		return s.problem("not saved")
	})
	if out, _ := blocked.Run(t.Context(), "tcp", s.target.String()); len(out) != 1 || out[0].Errno != "EPERM" {
		t.Errorf("blocked: %+v", out)
	}
	wire.Forget()
	run := s.Home.Program("undecided").Start(t.Context(), "tcp", s.target.String())
	p := s.prompts(1)[0]
	if wire.Saw(lab.SYN(s.target)) {
		t.Error("an undecided SYN left")
	}
	s.answer(p, rule.Allow, rule.Once, prompt.DefaultScope(p.Flow)) // needs no room
	if out, err := run.Wait(); err != nil || !out[0].OK {
		t.Errorf("answered: %+v, %v", out, err)
	}
	if st := s.status(); st.Counters.NotSaved == 0 {
		t.Error("nobody counts what is not saved")
	}
	s.atHome("rm " + s.service.State + "/filler")
	s.eventually("the end of the problem", func() bool {
		s.allowed(allowed, "room")
		return !s.problem("not saved")
	})
	if strings.Contains(s.service.Log(), "panic") {
		t.Error("it panicked")
	}
}
