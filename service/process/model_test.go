package process

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sekisho/app/flow"
)

// world is a simple model: every process that ever was, each with its whole story.
type world struct {
	all   []*being
	ended []flow.ProcessID
	start uint64
}

type being struct {
	id      flow.ProcessID
	path    string
	parents []string // nearest first
	over    time.Time
}

func (w *world) living() (l []*being) {
	for _, b := range w.all {
		if b.over.IsZero() {
			l = append(l, b)
		}
	}
	return l
}

// Whatever processes do, each living one and each that ended less than Keep ago is
// found as what it last ran and with the ancestors that it was forked with, and each
// end is told once.
func TestTrackerAgainstModel(t *testing.T) {
	desktop := NewDesktop(t.TempDir())
	rapid.Check(t, func(t *rapid.T) {
		now := noon
		var told []flow.ProcessID
		tr := New(Config{Desktop: desktop, Now: func() time.Time { return now },
			Exited: func(id flow.ProcessID) { told = append(told, id) }})
		w := &world{}
		born := func(parent *being) *being {
			w.start += 10
			b := &being{id: flow.ProcessID{PID: 4_100_000 + rapid.Uint32Range(0, 9).Draw(t, "pid"), Start: w.start}}
			for _, old := range w.living() {
				if old.id.PID == b.id.PID { // its exit is never told
					old.over = now
					w.ended = append(w.ended, old.id)
				}
			}
			if parent != nil {
				b.path = parent.path
				b.parents = append([]string{parent.path}, parent.parents...)
				b.parents = b.parents[:min(len(b.parents), MaxParents)]
			}
			w.all = append(w.all, b)
			return b
		}
		first := born(nil)
		first.path = "/bin/init"
		tr.Exec(Exec{ID: first.id, Path: first.path})

		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 30).Draw(t, "wait")) * time.Second)
			living := w.living()
			if len(living) == 0 {
				b := born(nil)
				b.path = "/bin/late"
				tr.Exec(Exec{ID: b.id, Path: b.path})
				continue
			}
			b := rapid.SampledFrom(living).Draw(t, "process")
			switch rapid.IntRange(0, 5).Draw(t, "step") {
			case 0, 1:
				parent := b.id
				child := born(b)
				tr.Fork(child.id, parent, now)
				if rapid.Bool().Draw(t, "twice") {
					tr.Fork(child.id, parent, now)
				}
			case 2, 3:
				b.path = fmt.Sprint("/bin/p", rapid.IntRange(0, 5).Draw(t, "program"))
				for range rapid.IntRange(1, 2).Draw(t, "times") {
					tr.Exec(Exec{ID: b.id, Path: b.path})
				}
			case 4:
				b.over = now
				w.ended = append(w.ended, b.id)
				for range rapid.IntRange(1, 2).Draw(t, "times") {
					tr.Exit(b.id)
				}
			case 5:
				tr.Prune(now)
			}
			w.check(t, tr, now)
		}
		if !slices.Equal(told, w.ended) {
			t.Fatalf("told of %v, want %v", told, w.ended)
		}
	})
}

func (w *world) check(t *rapid.T, tr *Tracker, now time.Time) {
	running := map[string][]flow.ProcessID{}
	for _, b := range w.all {
		p, ok := tr.Find(b.id)
		if !b.over.IsZero() && now.Sub(b.over) >= Keep {
			if ok && p.Path != b.path {
				t.Fatalf("%v is %s, want %s or nothing", b.id, p.Path, b.path)
			}
			continue
		}
		if !ok || p.Path != b.path {
			t.Fatalf("%v is %s, want %s", b.id, path(p, ok), b.path)
		}
		var parents []string
		for _, a := range p.Parents {
			parents = append(parents, a.Path)
		}
		if !slices.Equal(parents, b.parents) {
			t.Fatalf("%v has parents %v, want %v", b.id, parents, b.parents)
		}
		if b.over.IsZero() {
			running[b.path] = append(running[b.path], b.id)
		}
	}
	for path, want := range running {
		if got := tr.Running(path); !slices.Equal(got, want) {
			t.Fatalf("running %s: %v, want %v", path, got, want)
		}
	}
}
