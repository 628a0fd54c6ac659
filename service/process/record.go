package process

import (
	"container/list"
	"time"

	"sekisho/app/flow"
)

// record is one process. Its image is shared with the children that it forks.
type record struct {
	id       flow.ProcessID
	parent   flow.ProcessID
	uid      uint32
	cgroup   uint64
	image    *image  // nil if nothing is known of what it runs
	parents  lineage // as they were when it was forked, nearest first
	lineage  lineage // what its children get: itself and its parents; nil until needed
	ended    time.Time
	place    *list.Element // in alive or gone
	snapshot *flow.Process
	young    time.Time // the snapshot may still change until then; zero: it is final
}

// lineage is a shared, never changed list of ancestors.
type lineage []*ancestor

type ancestor struct {
	id    flow.ProcessID
	image *image
}

// admit finds or makes the record of a process, and ends an older process with the
// same number, whose exit was missed. It returns the ones that ended.
func (t *Tracker) admit(id flow.ProcessID) (*record, []flow.ProcessID) {
	if r, ok := t.byID[id]; ok {
		return r, nil
	}
	var stale []flow.ProcessID
	r := &record{id: id}
	old, reused := t.byPID[id.PID]
	if reused && old.id.Start > id.Start {
		// The newcomer is the older one: an event that comes after its process's end.
		t.makeRoom()
		t.byID[id] = r
		r.ended = t.now()
		r.place = t.gone.PushBack(r)
		return r, []flow.ProcessID{id}
	}
	if reused {
		t.bury(old)
		stale = append(stale, old.id)
	}
	t.makeRoom()
	t.byID[id], t.byPID[id.PID] = r, r
	r.place = t.alive.PushBack(r)
	return r, stale
}

// makeRoom drops the process that ended first or, where all live, the one that has
// been known the longest: it can still be found in /proc.
func (t *Tracker) makeRoom() {
	if len(t.byID) < t.max {
		return
	}
	e := t.gone.Front()
	if e == nil {
		e = t.alive.Front()
	}
	t.drop(e.Value.(*record))
}

func (t *Tracker) bury(r *record) {
	t.alive.Remove(r.place)
	if t.byPID[r.id.PID] == r {
		delete(t.byPID, r.id.PID)
	}
	r.ended = t.now()
	r.place = t.gone.PushBack(r)
}

func (t *Tracker) drop(r *record) {
	if r.ended.IsZero() {
		t.alive.Remove(r.place)
	} else {
		t.gone.Remove(r.place)
	}
	if t.byPID[r.id.PID] == r {
		delete(t.byPID, r.id.PID)
	}
	delete(t.byID, r.id)
}

// adopt gives a record its parent: what the parent ran when the child was forked at
// start (0: not known) is what the child runs and descends from, whatever the parent
// executes later.
func (t *Tracker) adopt(r *record, parent flow.ProcessID, start uint64) {
	r.parent = parent
	p, ok := t.byID[parent]
	if !ok || p == r {
		return
	}
	r.parents = p.descent()
	if start == 0 {
		return
	}
	r.uid, r.cgroup = p.uid, p.cgroup
	// A parent seen by the iterator may have executed another program between the
	// fork and the iterator's look.
	if p.image != nil && (p.image.seeded == 0 || start >= p.image.seeded) {
		r.become(p.image)
	}
}

// descend fills in the parents of seeded processes, ancestors first.
func (t *Tracker) descend(r *record) {
	if r == nil || r.parents != nil {
		return
	}
	r.parents = lineage{} // so that a circle ends
	p := t.byID[r.parent]
	if p == nil || p == r {
		return
	}
	t.descend(p)
	r.parents = p.descent()
	r.lineage, r.snapshot = nil, nil
}

// descent is what a child of r has above it.
func (r *record) descent() lineage {
	if r.lineage == nil {
		l := make(lineage, 0, min(len(r.parents)+1, MaxParents))
		l = append(l, &ancestor{r.id, r.image})
		r.lineage = append(l, r.parents[:min(len(r.parents), MaxParents-1)]...)
	}
	return r.lineage
}

func (r *record) become(im *image) {
	if r.image != nil && r.image.same(im) {
		return
	}
	r.image, r.lineage, r.snapshot, r.young = im, nil, nil, time.Time{}
}
