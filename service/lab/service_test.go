package lab

import (
	"strings"
	"testing"
)

func TestServiceComesAndGoes(t *testing.T) {
	l := New(t)
	s := l.Home.Service()
	pid := s.PID()
	if !s.Running() || pid == 0 {
		t.Fatal("it does not run")
	}
	traces, err := l.Home.traces()
	if err != nil {
		t.Fatal(err)
	}
	if joined := strings.Join(traces, "\n"); !strings.Contains(joined, "pin ") || !strings.Contains(joined, "table ") {
		t.Errorf("it filters without pins or table:\n%s", joined)
	}
	s.Kill()
	if s.Running() {
		t.Error("it runs after it was killed")
	}
	if r, err := s.Ctl(t.Context(), "status"); err != nil || r.Code != 3 || r.Err == "" {
		t.Errorf("sekishoctl without a service: %+v, %v; want exit 3", r, err)
	}
	s.Start()
	s.Restart()
	if s.PID() == pid {
		t.Error("the same process after a restart")
	}
	var status struct{ Mode string }
	if err := s.CtlJSON(t.Context(), &status, "status"); err != nil || status.Mode != "ask" {
		t.Errorf("status: %+v, %v", status, err)
	}
	if err := s.CtlJSON(t.Context(), &status, "mode", "nonsense"); err == nil {
		t.Error("wrong usage is no error")
	}
}
