package engine

import (
	"strconv"
	"testing"

	"sekisho/app/flow"
	"sekisho/app/rule"
	"sekisho/service/bpf"
)

func TestUnsaved(t *testing.T) {
	var u unsaved
	one := flow.Flow{ID: "one", State: flow.Open}
	u.add(&one)
	one.State = flow.Closed
	u.add(&one)
	u.add(&flow.Flow{ID: "two"})
	failed := u.take()
	if len(failed) != 2 || failed[0].State != flow.Closed || failed[1].ID != "two" {
		t.Fatalf("%+v", failed)
	}
	u.add(&flow.Flow{ID: "two", State: flow.Closed})
	u.add(&flow.Flow{ID: "three"})
	u.putBack(failed)
	if all := u.take(); len(all) != 3 || all[0].ID != "one" || all[1].State != flow.Closed || all[2].ID != "three" {
		t.Errorf("%+v", all)
	}
	for i := range maxUnsaved {
		u.add(&flow.Flow{ID: strconv.Itoa(i)})
	}
	if u.add(&one) || !u.add(&flow.Flow{ID: "7"}) {
		t.Error("its bound is wrong")
	}
}

// What is told of after its socket is gone has its counts all the same: they come with the
// end, which is told next.
func TestCountsOfWhatEndedAtOnce(t *testing.T) {
	w := newWorld(t)
	p := w.program("brief")
	w.rule(rule.Rule{Action: rule.Allow, Program: rule.Program{Path: p.Path}}, "")
	o := w.socket(p)
	w.kernel.gone[o.Cookie] = true
	w.e.Decided(decidedFlow(to(o, flow.TCP, "192.0.2.1:443"), bpf.Allow))
	w.e.Closed(bpf.Closed{Cookie: o.Cookie, Bytes: flow.Bytes{Sent: 5, Received: 7}})
	all := w.e.activity.take()
	if len(all) != 1 || all[0].State != flow.Closed || all[0].Bytes != (flow.Bytes{Sent: 5, Received: 7}) {
		t.Errorf("%+v", all)
	}
	if n := w.e.live.Len(); n != 0 {
		t.Errorf("%d flows live", n)
	}
}

// What was told of before events were lost may miss its end as well, if it is read after.
func TestLostEndOfWhatIsReadLate(t *testing.T) {
	w := newWorld(t)
	p := w.program("late")
	w.rule(rule.Rule{Action: rule.Allow, Program: rule.Program{Path: p.Path}}, "")
	o := w.socket(p)
	w.kernel.gone[o.Cookie], w.kernel.lost = true, 1
	w.e.c.Drain = func() error {
		w.e.Decided(decidedFlow(to(o, flow.TCP, "192.0.2.1:443"), bpf.Allow))
		w.e.c.Drain = func() error { return nil }
		return nil
	}
	w.e.lookForLost()
	if n := w.e.live.Len(); n != 0 {
		t.Errorf("%d flows live for ever", n)
	}
	if all := w.e.activity.take(); len(all) != 1 || all[0].State != flow.Closed {
		t.Errorf("%+v", all)
	}
}
