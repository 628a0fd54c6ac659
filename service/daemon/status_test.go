package daemon_test

import (
	"strings"
	"testing"

	"sekisho/app/api"
)

// What the kernel refuses where it can hold nothing is counted, for people to see, from
// the start of the service on.
func TestRefusedIsCounted(t *testing.T) {
	a := newAttackScene(t)
	if n := a.status().Counters; n.Refused != 0 || n.Unidentified != 0 {
		t.Fatalf("before anything was refused: %+v", n)
	}
	box := a.AddHost("box")
	a.from(box, a.evil, "udp").refused()
	var st api.StatusJSON
	if err := a.service.CtlJSON(t.Context(), &st, "status"); err != nil || st.Counters.Refused == 0 {
		t.Errorf("%+v, %v", st.Counters, err)
	}
	reply, err := a.service.Ctl(t.Context(), "status")
	if err != nil || !strings.Contains(reply.Out, "Refused") || strings.Contains(reply.Out, " 0 undecided where nothing can be held") {
		t.Errorf("%s, %v", reply.Out, err)
	}
	a.service.Restart()
	if n := a.status().Counters.Refused; n != 0 {
		t.Errorf("after a restart: %d", n)
	}
}
