package engine

import (
	"sync"
	"testing"
	"time"

	"sekisho/app/flow"
)

// What is saved at the same moment by two is written in the order in which it came about.
func TestSavesInOrder(t *testing.T) {
	w := newWorld(t)
	p := w.program("x")
	wrong := 0
	for i := range 300 {
		o := w.socket(p)
		f := flowOf(to(o, flow.TCP, "192.0.2.1:443"), p)
		w.e.mu.Lock()
		f.ID = w.e.newID()
		f.Decision.Verdict = flow.Allow
		w.e.activity.add(&f)
		w.e.hits["r"] = Use{1, time.Now()}
		w.e.mu.Unlock()
		var wg sync.WaitGroup
		wg.Go(w.e.save)
		wg.Go(func() {
			time.Sleep(time.Duration(i%20) * 20 * time.Microsecond)
			w.e.mu.Lock()
			f.State, f.Ended = flow.Closed, time.Now()
			w.e.activity.add(&f)
			w.e.mu.Unlock()
			w.e.save()
		})
		wg.Wait()
	}
	if err := w.e.c.Store.History(time.Time{}, "", flow.Waiting, 0, func(f flow.Flow) bool {
		if f.State == flow.Open {
			wrong++
		}
		return true
	}); err != nil {
		t.Fatal(err)
	}
	if wrong > 0 {
		t.Errorf("%d of 300 flows that ended stay open", wrong)
	}
}
