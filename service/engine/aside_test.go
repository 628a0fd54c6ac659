package engine

import (
	"context"
	"testing"

	"sekisho/app/flow"
	"sekisho/app/rule"
)

// When the engine ends no packet stays without a verdict: one that waits, one whose program
// is being looked at, and one that comes after.
func TestEndLeavesNoPacketWithoutVerdict(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.e.Run(ctx) }()
	var all []*held
	all = append(all, w.send(to(w.socket(w.program("asked")), flow.TCP, "192.0.2.1:443")))
	w.asked(1)
	for i := range 20 { // each looked at for the first time
		all = append(all, w.send(to(w.socket(w.program(string(rune('a'+i)))), flow.TCP, "192.0.2.1:443")))
	}
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	all = append(all, w.send(to(w.socket(w.program("late")), flow.TCP, "192.0.2.1:443")))
	for i, h := range all {
		if got := h.String(); got != "dropped" {
			t.Errorf("packet %d is %s", i, got)
		}
	}
}

// Who executes more copies of a file than the kernel has room for makes it forget what it
// knew, not refuse to know more.
func TestManyProgramsFindRoom(t *testing.T) {
	w := newWorld(t)
	first := w.program("first")
	w.rule(rule.Rule{Action: rule.Allow}, "192.0.2.1")
	w.is(w.send(to(w.socket(first), flow.TCP, "192.0.2.1:443")), "accepted")
	for i := range maxPrograms + 10 {
		p := *first
		p.ProcessID.PID = 1_000_000 + uint32(i)
		p.Executable.Inode = 1_000_000 + uint64(i)
		w.processes.all[p.ProcessID] = &p
		o := w.socket(&p)
		w.e.mu.Lock()
		f := flowOf(to(o, flow.TCP, "192.0.2.1:443"), &p)
		_, _, err := w.e.subject(&f, o)
		n := len(w.e.programs)
		w.e.mu.Unlock()
		if err != nil || n > maxPrograms || len(w.kernel.programs) > maxPrograms {
			t.Fatalf("program %d: the engine has %d, the kernel %d, %v", i, n, len(w.kernel.programs), err)
		}
	}
	if h := w.send(to(w.socket(first), flow.TCP, "192.0.2.1:443")); h.String() == "held" {
		t.Error("the first program is not decided any more")
	}
}
