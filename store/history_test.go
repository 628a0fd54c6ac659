package store

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"sekisho/app/flow"
	"sekisho/app/prompt"
)

func history(t *testing.T, s *Store, filter HistoryFilter) []flow.Flow {
	t.Helper()
	var flows []flow.Flow
	if err := s.History(filter, func(f flow.Flow) bool { flows = append(flows, f); return true }); err != nil {
		t.Fatal(err)
	}
	return flows
}

func ids(flows []flow.Flow) string {
	var s []string
	for _, f := range flows {
		s = append(s, f.ID)
	}
	return strings.Join(s, " ")
}

func TestFlowComesBackWhole(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	want := fullFlow("1", noon)
	if err := s.AppendFlows([]flow.Flow{want}); err != nil {
		t.Fatal(err)
	}
	if got := history(t, reopen(t, s), HistoryFilter{}); len(got) != 1 || !reflect.DeepEqual(got[0], want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestHistoryFilter(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	var flows []flow.Flow
	for i := range 6 {
		f := fullFlow(fmt.Sprint(i), noon.Add(time.Duration(i)*time.Minute))
		f.Process.Path, f.Process.Script = "/bin/a", ""
		if i%2 == 1 {
			f.Process.Path = "/bin/b\xff"
			f.Decision.Verdict = flow.Allow
		}
		if i == 4 {
			f.Process.Script = "/bin/s.py"
		}
		flows = append(flows, f)
	}
	nobody := flow.Flow{ID: "x", Time: noon.Add(time.Hour)} // no process, no decision
	if err := s.AppendFlows(append(flows, nobody)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		filter HistoryFilter
		want   string
	}{
		{HistoryFilter{}, "x 5 4 3 2 1 0"},
		{HistoryFilter{Limit: 2}, "x 5"},
		{HistoryFilter{Since: noon.Add(3 * time.Minute)}, "x 5 4 3"},
		{HistoryFilter{Program: "/bin/a"}, "4 2 0"},
		{HistoryFilter{Program: "/bin/b\xff", Limit: 2}, "5 3"},
		{HistoryFilter{Program: "/bin/s.py"}, "4"},
		{HistoryFilter{Program: "/bin"}, ""},
		{HistoryFilter{Verdict: flow.Allow}, "5 3 1"},
		{HistoryFilter{Verdict: flow.Block, Program: "/bin/a", Since: noon.Add(time.Minute), Limit: 9}, "4 2"},
		{HistoryFilter{Since: noon.Add(2 * time.Hour)}, ""},
	} {
		if got := ids(history(t, s, c.filter)); got != c.want {
			t.Errorf("%+v: got %q, want %q", c.filter, got, c.want)
		}
	}
	if got := history(t, s, HistoryFilter{Limit: 1})[0]; got.Process == nil {
		t.Error("a flow without a process")
	}
}

func TestHistoryIsBounded(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{History: 2500})
	for i := range 4 {
		var flows []flow.Flow
		for j := range 1000 {
			flows = append(flows, fullFlow(fmt.Sprint(i*1000+j), noon.Add(time.Duration(i*1000+j)*time.Second)))
		}
		for range 2 { // the second time it takes its own place
			if err := s.AppendFlows(flows); err != nil {
				t.Fatal(err)
			}
		}
	}
	got := history(t, s, HistoryFilter{}) // three chunks
	if len(got) != 2500 || got[0].ID != "3999" || got[2499].ID != "1500" || s.past.count != 2500 {
		t.Fatalf("%d flows, from %s to %s; counted %d", len(got), got[0].ID, got[len(got)-1].ID, s.past.count)
	}
	for i := range got[1:] {
		if !got[i].Time.After(got[i+1].Time) {
			t.Fatal("order at", i)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, Options{History: 10})
	if err := s.AppendFlows([]flow.Flow{fullFlow("last", noon.Add(9000*time.Second))}); err != nil {
		t.Fatal(err)
	}
	if got := ids(history(t, s, HistoryFilter{Limit: 3})); got != "last 3999 3998" || s.past.count != 10 {
		t.Errorf("got %q of %d", got, s.past.count)
	}
}

func TestHistoryStops(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	if err := s.AppendFlows([]flow.Flow{fullFlow("1", noon), fullFlow("2", noon)}); err != nil {
		t.Fatal(err)
	}
	n := 0
	if err := s.History(HistoryFilter{}, func(flow.Flow) bool { n++; return false }); err != nil || n != 1 {
		t.Error(n, err)
	}
}

func TestArgumentsAreBounded(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	f := fullFlow("1", noon)
	f.Process.Args = []string{"a", strings.Repeat("x", maxArgs), "b"}
	f.Process.Parents = make([]flow.Ancestor, 10*maxParents)
	if err := s.AppendFlows([]flow.Flow{f}); err != nil {
		t.Fatal(err)
	}
	p := history(t, s, HistoryFilter{})[0].Process
	if !reflect.DeepEqual(p.Args, []string{"a", "…"}) || len(p.Parents) != maxParents {
		t.Errorf("args %q, %d parents", p.Args, len(p.Parents))
	}
}

func TestMissed(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	want := fullPrompt("a", noon)
	if err := s.PutMissed(fullPrompt("a", noon.Add(-time.Hour)), fullPrompt("b", noon.Add(time.Hour))); err != nil {
		t.Fatal(err)
	}
	if err := s.PutMissed(want); err != nil {
		t.Fatal(err)
	}
	got := must[[]prompt.Prompt](t)(reopen(t, s).Missed())
	if len(got) != 2 || got[0].ID != "b" || !reflect.DeepEqual(got[1], want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestMissedIsBounded(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	var prompts []prompt.Prompt
	for i := range MaxMissed + 20 {
		prompts = append(prompts, fullPrompt(fmt.Sprint(i), noon.Add(time.Duration(i)*time.Second)))
	}
	if err := s.PutMissed(prompts...); err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteMissed("519", "0", "unknown"); err != nil {
		t.Fatal(err)
	}
	got := must[[]prompt.Prompt](t)(s.Missed())
	if len(got) != MaxMissed-1 || got[0].ID != "518" || got[len(got)-1].ID != "20" {
		t.Errorf("%d prompts, from %s to %s", len(got), got[0].ID, got[len(got)-1].ID)
	}
	if err := s.PutMissed(prompt.Prompt{}); err == nil {
		t.Error("kept a prompt without an id")
	}
}

func TestDocuments(t *testing.T) {
	type settings struct {
		Mode  string
		Until time.Time
	}
	s := open(t, t.TempDir(), Options{})
	var got settings
	if found, err := s.Load("mode", &got); found || err != nil {
		t.Error(found, err)
	}
	want := settings{"ask", noon}
	for _, v := range []settings{{"off", noon}, want} {
		if err := s.Save("mode", v); err != nil {
			t.Fatal(err)
		}
	}
	if found, err := reopen(t, s).Load("mode", &got); !found || err != nil || got != want {
		t.Error(found, err, got)
	}
}

func TestDocumentsThatAreRefused(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	for name, v := range map[string]any{"": 1, strings.Repeat("n", maxID+1): 1, "big": strings.Repeat("x", maxRecord), "odd": func() {}} {
		if err := s.Save(name, v); err == nil {
			t.Errorf("saved %.10q", name)
		}
	}
	if err := s.Save("text", "words"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Load("text", new(int)); err == nil {
		t.Error("a text was read as a number")
	}
}

func BenchmarkAppendFlows100(b *testing.B) {
	s := open(b, b.TempDir(), Options{})
	n := 0
	for b.Loop() {
		var flows []flow.Flow
		for range 100 {
			n++
			flows = append(flows, fullFlow(fmt.Sprint(n), noon.Add(time.Duration(n)*time.Millisecond)))
		}
		if err := s.AppendFlows(flows); err != nil {
			b.Fatal(err)
		}
	}
}

// Long arguments and paths make records long: they are bounded too, by what they take.
func TestHistoryIsBoundedInBytes(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{Volume: 100_000})
	long := strings.Repeat("/long", 200)
	for i := range 300 {
		f := fullFlow(fmt.Sprint(i), noon.Add(time.Duration(i)*time.Second))
		f.Process.Dir = long
		if err := s.AppendFlows([]flow.Flow{f}); err != nil {
			t.Fatal(err)
		}
		f.Process.Dir += long // it takes its own place, and more
		if err := s.AppendFlows([]flow.Flow{f}); err != nil {
			t.Fatal(err)
		}
	}
	got := history(t, s, HistoryFilter{})
	if len(got) < 30 || len(got) > 50 || got[0].ID != "299" || got[len(got)-1].ID != fmt.Sprint(300-len(got)) || s.past.count != len(got) {
		t.Errorf("%d flows, from %s to %s; counted %d", len(got), got[0].ID, got[len(got)-1].ID, s.past.count)
	}
	volume := s.past.volume
	if volume > 100_000 || volume < 95_000 {
		t.Errorf("%d bytes", volume)
	}
	s = reopen(t, s)
	if r, err := s.OpenHistory(); r != nil || err != nil {
		t.Error(r, err)
	}
	if s.past.volume != volume || s.past.count != len(got) {
		t.Errorf("opened again: %d flows, %d bytes, want %d and %d", s.past.count, s.past.volume, len(got), volume)
	}
}

// What went on when the service ended is found when it begins again.
func TestOpenFlows(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	var want []flow.Flow
	for i := range 5 {
		f := fullFlow(fmt.Sprint(i), noon.Add(time.Duration(i)*time.Second))
		f.Process.Args = []string{`"a":"open"`}
		if i%2 == 0 {
			f.State, f.Ended, f.Cookie = flow.Open, time.Time{}, uint64(i)+1
			want = append(want, f)
		}
		if err := s.AppendFlows([]flow.Flow{f}); err != nil {
			t.Fatal(err)
		}
	}
	s = reopen(t, s)
	got, err := s.OpenFlows()
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v, %v", got, want, err)
	}
	if again, err := s.OpenFlows(); err != nil || again != nil {
		t.Errorf("the second time: %v, %v", again, err)
	}
	want[0].State, want[0].Ended = flow.Closed, noon.Add(time.Hour)
	if err := s.AppendFlows(want[:1]); err != nil {
		t.Fatal(err)
	}
	s = reopen(t, s)
	if got, err := s.OpenFlows(); err != nil || len(got) != 2 {
		t.Errorf("after the end of one: %+v, %v", got, err)
	}
}

// TestFlow finds a flow by its id, as it was written last.
func TestFlow(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var flows []flow.Flow
	for i, id := range []string{"k-1", "k-11", "k-12", "11"} {
		flows = append(flows, fullFlow(id, at.Add(time.Duration(i)*time.Second)))
	}
	if err := s.AppendFlows(flows); err != nil {
		t.Fatal(err)
	}
	flows[1].State = flow.Closed
	if err := s.AppendFlows(flows[1:2]); err != nil {
		t.Fatal(err)
	}
	for _, want := range flows {
		got, ok, err := s.Flow(want.ID)
		if err != nil || !ok || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v, %v", want.ID, got, ok, err)
		}
	}
	for _, id := range []string{"", "k", "-1", "1", strings.Repeat("k", 300)} {
		if got, ok, err := s.Flow(id); ok || err != nil {
			t.Errorf("%.10q: %+v, %v", id, got, err)
		}
	}
}

// The end of the service doesn't wait until a long history was looked through, and what
// is asked of it then gets an error.
func TestCloseEndsAnInspection(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir)
	s := open(t, dir, Options{})
	s.past.ending.Store(true)
	if _, _, err := s.past.load(s.past.name); !errors.Is(err, ErrClosed) {
		t.Errorf("looked through to the end: %v", err)
	}
	if err := s.AppendFlows([]flow.Flow{fullFlow("1", noon)}); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	s = open(t, dir, Options{})
	if n := len(history(t, s, HistoryFilter{})); n != 200 {
		t.Errorf("%d flows", n)
	}
}
