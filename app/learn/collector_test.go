package learn

import (
	"fmt"
	"net/netip"
	"reflect"
	"testing"

	"sekisho/app/flow"
)

func TestWhatIsNotNoted(t *testing.T) {
	c := NewCollector(nil)
	by := func(change func(*flow.Flow)) *flow.Flow {
		f := seen("/usr/bin/app", flow.Out, flow.TCP, "a.com=203.0.113.1", 443)
		change(f)
		return f
	}
	for _, x := range []struct {
		name string
		f    *flow.Flow
		odd  bool
		want Skip
	}{
		{"by the mode", by(func(*flow.Flow) {}), false, ""},
		{"a rule's", by(func(f *flow.Flow) { f.Decision.By.Kind = flow.ByRule }), false, SkipDecided},
		{"a list's", by(func(f *flow.Flow) { f.Decision.Verdict, f.Decision.By.Kind = flow.Block, flow.ByList }), false, SkipDecided},
		{"a preset's", by(func(f *flow.Flow) { f.Decision.By.Kind = flow.ByPreset }), false, SkipDecided},
		{"blocked", by(func(f *flow.Flow) { f.Decision.Verdict = flow.Block }), false, SkipDecided},
		{"odd", by(func(*flow.Flow) {}), true, SkipOdd},
		{"itself", by(func(f *flow.Flow) { f.Remote.Addr = netip.IPv6Loopback() }), false, SkipLoopback},
		{"no program", by(func(f *flow.Flow) { f.Process.Path = "" }), false, SkipUnknown},
		{"not the file of that path", by(func(f *flow.Flow) { f.Process.Replaced = true }), false, SkipUnknown},
	} {
		if got := c.Observe(x.f, Facts{Odd: x.odd}); got != x.want {
			t.Errorf("%s: %q, want %q", x.name, got, x.want)
		}
	}
	if n := c.Notes(); len(n) != 1 || n[0].Flows != 1 {
		t.Errorf("noted %+v", n)
	}
	if want := map[Skip]uint64{SkipDecided: 4, SkipOdd: 1, SkipLoopback: 1, SkipUnknown: 2}; !reflect.DeepEqual(c.Skipped(), want) {
		t.Errorf("skipped %v, want %v", c.Skipped(), want)
	}
}

// However much there is, what is kept stays within bounds, and rules still come of all.
func TestCollectorIsBounded(t *testing.T) {
	c := NewCollector(nil)
	flows := uint64(0)
	observe := func(f *flow.Flow) Skip {
		flows++
		return c.Observe(f, Facts{})
	}
	for i := range 20_000 {
		addr := netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)})
		for _, d := range []flow.Direction{flow.Out, flow.In} {
			f := seen("/usr/bin/torrent", d, flow.Protocol(6+11*(i%2)), addr.String(), uint16(i)+1)
			f.Process.UID = uint32(i)
			if skip := observe(f); skip != "" {
				t.Fatal(skip)
			}
		}
	}
	notes := c.Notes()
	if most := maxNotes + maxFolded + 4; len(notes) > most {
		t.Errorf("%d notes, at most %d", len(notes), most)
	}
	for _, n := range notes {
		flows -= n.Flows
		if len(n.Users) > maxUsers {
			t.Fatalf("%d accounts", len(n.Users))
		}
	}
	if flows != 0 {
		t.Errorf("%d flows are missing", flows)
	}
	got, left := Propose(notes, Options{})
	check(t, notes, got, left, 25)
	if len(left) > 0 {
		t.Errorf("left %+v", left)
	}
	for i := range MaxPrograms + 10 {
		want := Skip("")
		if i >= MaxPrograms-1 {
			want = SkipFull
		}
		if skip := observe(seen(fmt.Sprintf("/usr/bin/p%d", i), flow.Out, flow.TCP, "203.0.113.1", 443)); skip != want {
			t.Fatalf("program %d: %q, want %q", i, skip, want)
		}
	}
}

// What was kept over a restart goes on.
func TestCollectorGoesOn(t *testing.T) {
	f := seen("/usr/bin/app", flow.Out, flow.TCP, "a.com=203.0.113.1", 443)
	first := NewCollector(nil)
	first.Observe(f, Facts{})
	kept := first.Notes()
	second := NewCollector(kept)
	f.Process.UID = 0
	second.Observe(f, Facts{})
	n := second.Notes()
	if len(n) != 1 || n[0].Flows != 2 || !reflect.DeepEqual(n[0].Users, []uint32{0, 1000}) {
		t.Errorf("%+v", n)
	}
	if kept[0].Flows != 1 || len(kept[0].Users) != 1 {
		t.Errorf("what was handed over changed: %+v", kept)
	}
}
