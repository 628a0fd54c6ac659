package engine

import (
	"net/netip"
	"testing"
	"time"

	"sekisho/app/flow"
	"sekisho/service/bpf"
)

// A burst is written before there is no room for more of it; little waits for its time.
func TestMuchIsSavedEarly(t *testing.T) {
	w := newWorld(t)
	p := w.program("curl")
	connect := func(n int) {
		for range n {
			o := w.socket(p)
			w.e.Decided(bpf.Flow{Owner: o, Protocol: flow.TCP, Remote: netip.MustParseAddrPort("192.0.2.1:443"), LocalPort: 40000, Verdict: bpf.Allow, At: boottime()})
			w.e.Closed(bpf.Closed{Cookie: o.Cookie, At: boottime()})
		}
	}
	const half = maxUnsaved / 2
	for range 3 { // more than there is room for
		connect(half + 1)
		w.e.saveMuch()
	}
	connect(3)
	w.e.saveMuch()
	if n := len(w.e.activity.flows); n != 3 || w.e.counters.NotSaved != 0 {
		t.Errorf("%d wait, %d are lost", n, w.e.counters.NotSaved)
	}
	n := 0
	err := w.e.c.Store.History(time.Time{}, "", flow.Waiting, 0, func(flow.Flow) bool {
		n++
		return true
	})
	if err != nil || n != 3*(half+1) {
		t.Errorf("%d are in the history, %v", n, err)
	}
}
