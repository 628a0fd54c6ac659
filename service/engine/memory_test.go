package engine

import (
	"net/netip"
	"runtime"
	"testing"

	"sekisho/app/flow"
	"sekisho/app/rule"
	"sekisho/service/bpf"
)

// Flows that live take little, and what they took is given back when they are over: not
// even the tables that found them stay as large as they were.
func TestMemoryOfFlows(t *testing.T) {
	w := newWorld(t)
	p := w.program("many")
	w.rule(rule.Rule{Action: rule.Allow, Program: rule.Program{Path: p.Path}}, "")
	const count = 20_000
	heap := func() uint64 {
		w.e.mu.Lock()
		w.e.activity.take() // which is written every second
		w.e.activity.take() // and keeps room for as long as there is much
		w.e.mu.Unlock()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	o := w.socket(p)
	before := heap()
	for i := range count {
		o.Cookie = uint64(1_000_000 + i)
		r := netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), uint16(1+i>>8))
		w.e.Decided(decidedFlow(to(o, flow.TCP, r.String()), bpf.Allow))
	}
	if n := w.e.live.Len(); n != count {
		t.Fatal(n)
	}
	during := heap()
	for i := range count {
		w.e.Closed(bpf.Closed{Cookie: uint64(1_000_000 + i)})
	}
	after := heap()
	t.Logf("%d bytes for each that lives, %d kB afterwards", (during-before)/count, (int64(after)-int64(before))/1024)
	if n := (during - before) / count; n > 450 {
		t.Errorf("a flow takes %d bytes", n)
	}
	if after > before+256<<10 {
		t.Errorf("%d kB stay", (after-before)/1024)
	}
	runtime.KeepAlive(w)
}
