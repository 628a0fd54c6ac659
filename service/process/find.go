package process

import (
	"time"

	"sekisho/app/flow"
)

// Find tells what is known of a process. The result is shared: nobody writes to it.
// It is the same pointer until the process executes another program, or, in its first
// seconds, is moved to another cgroup.
//
// What no event told is read from /proc if the process still lives; its Executable is
// then zero. False means that nothing is known and that it is gone.
func (t *Tracker) Find(id flow.ProcessID) (*flow.Process, bool) {
	t.mu.RLock()
	r := t.byID[id]
	if r == nil {
		t.mu.RUnlock()
		return t.fromProc(id)
	}
	snapshot, young, copied := r.snapshot, r.young, *r
	t.mu.RUnlock()
	if snapshot != nil && (young.IsZero() || t.now().Before(young)) {
		return snapshot, true
	}
	if copied.image == nil && !t.fill(&copied) {
		return nil, false
	}
	p, young := t.draw(&copied)
	return t.settle(r, copied.image, p, young), true
}

// settle keeps a snapshot, unless another goroutine was faster or the process runs
// something else by now.
func (t *Tracker) settle(r *record, of *image, p *flow.Process, young time.Time) *flow.Process {
	t.mu.Lock()
	defer t.mu.Unlock()
	if r.image != of {
		return p
	}
	if r.snapshot != nil && (r.young.IsZero() || !young.IsZero() || sameProcess(r.snapshot, p)) {
		if young.IsZero() {
			r.young = young
		}
		return r.snapshot
	}
	r.snapshot, r.young = p, young
	return p
}

// sameProcess compares what may differ between two snapshots of one image.
func sameProcess(a, b *flow.Process) bool {
	return a.Cgroup == b.Cgroup && a.Unit == b.Unit && a.App == b.App && a.UID == b.UID && len(a.Parents) == len(b.Parents)
}

// fill reads from /proc what a process runs whose exec was not seen.
func (t *Tracker) fill(r *record) bool {
	now, ok := t.proc.read(r.id)
	if !ok {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if known := t.byID[r.id]; known != nil {
		if known.image == nil {
			known.uid = now.uid
			known.become(now.image)
		}
		place := r.place
		*r = *known
		r.place = place
	} else {
		r.image, r.uid = now.image, now.uid
	}
	return true
}

// draw makes the snapshot of a record, and says until when it may still change.
func (t *Tracker) draw(r *record) (*flow.Process, time.Time) {
	p := &flow.Process{
		ProcessID: r.id,
		Program:   *r.image.describe(t, r.id),
		UID:       r.uid,
		User:      t.users.Name(r.uid),
		Args:      r.image.args,
		Dir:       r.image.dir,
		Kernel:    r.image.kernel,
		ExecID:    r.image.execID,
	}
	for _, a := range r.parents {
		p.Parents = append(p.Parents, t.ancestor(a))
	}
	var young time.Time
	if r.ended.IsZero() {
		if now := bootTime(); now < r.id.Start+uint64(settle) {
			young = t.now().Add(settle)
		}
		// Where it is now counts, not where it was started: see settle.
		p.Cgroup, _ = t.proc.cgroup(r.id)
	}
	if p.Cgroup == "" && r.cgroup != 0 {
		p.Cgroup = t.cgroups.Path(r.cgroup)
	}
	p.Unit, p.OwnUnit = Unit(p.Cgroup)
	if p.App == "" {
		p.App, p.OwnApp = appOfUnit(p.Unit), p.OwnUnit
	}
	p.Container = t.containers.of(p.Cgroup)
	return p, young
}

func (t *Tracker) ancestor(a *ancestor) flow.Ancestor {
	if a.image == nil {
		if now, ok := t.proc.read(a.id); ok {
			return flow.Ancestor{ProcessID: a.id, Path: now.image.path, Name: now.image.describe(t, a.id).DisplayName()}
		}
		return flow.Ancestor{ProcessID: a.id}
	}
	program := a.image.describe(t, a.id)
	up := flow.Ancestor{ProcessID: a.id, Path: program.Path, Name: program.DisplayName()}
	if a.image.astray {
		up.Path = "" // rules for what a program starts are about the one that everybody sees there
	}
	return up
}

// fromProc finds a living process that no event told of.
func (t *Tracker) fromProc(id flow.ProcessID) (*flow.Process, bool) {
	now, ok := t.proc.read(id)
	if !ok {
		return nil, false
	}
	r := &record{id: id, uid: now.uid, image: now.image, parents: t.climb(id, now)}
	p, _ := t.draw(r)
	return p, true
}

// climb finds the ancestors of a process in /proc, until one is known by event.
func (t *Tracker) climb(id flow.ProcessID, child reading) lineage {
	var l lineage
	for len(l) < MaxParents {
		up, ok := t.proc.parent(id, child)
		if !ok {
			break
		}
		t.mu.RLock()
		known := t.byPID[up.PID]
		var above lineage
		if known != nil && ticks(known.id.Start) == ticks(up.Start) {
			above = append(lineage{{known.id, known.image}}, known.parents...)
		}
		t.mu.RUnlock()
		if above != nil {
			l = append(l, above...)
			break
		}
		if child, ok = t.proc.read(up); !ok {
			break
		}
		l = append(l, &ancestor{up, child.image})
		id = up
	}
	return l[:min(len(l), MaxParents)]
}
