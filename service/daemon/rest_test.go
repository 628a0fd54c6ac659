package daemon

import (
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"sekisho/app/api"
	"sekisho/app/flow"
)

// A flow is looked at where its process runs, for as long as that very process runs.
func TestLookedAtWhereItRuns(t *testing.T) {
	c := exec.Command("unshare", "-n", "cat")
	in, err := c.StdinPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	dir := "/proc/" + strconv.Itoa(c.Process.Pid)
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if comm, _ := os.ReadFile(dir + "/comm"); string(comm) == "cat\n" {
			break
		}
		if time.Now().After(end) {
			t.Fatal("it does not run")
		}
	}
	stat, err := os.ReadFile(dir + "/stat")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	ticks, err := strconv.ParseUint(strings.Fields(after)[19], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	f := flow.Flow{
		Direction: flow.Out, Protocol: flow.TCP, Remote: flow.Endpoint{Port: 9},
		Process: &flow.Process{ProcessID: flow.ProcessID{PID: uint32(c.Process.Pid), Start: ticks * 10_000_000}},
	}
	r := newRest("test")
	look := func() api.Outcome {
		l, err := r.Look(t.Context(), f, []netip.Addr{netip.MustParseAddr("127.0.0.1")}, true)
		if err != nil {
			t.Fatal(err)
		}
		return l.Outcome
	}
	if got := look(); got != api.OutcomeDropped && got != api.OutcomeRejected {
		t.Errorf("where no link is up: %s", got)
	}
	f.Process.Start += 1 << 40
	if got := look(); got != api.OutcomePasses {
		t.Errorf("another process of that number: %s", got)
	}
	f.Process.Start -= 1 << 40
	_ = in.Close()
	_ = c.Wait()
	if got := look(); got != api.OutcomePasses {
		t.Errorf("a process that has ended: %s", got)
	}
}
