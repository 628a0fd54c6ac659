package daemon

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"sekisho/app/api"
	"sekisho/service/bpf"
	"sekisho/service/enforce"
)

// How the repair keeps time.
const (
	// lookAnyway is how often the table is looked at although nobody told of a change.
	lookAnyway = 2 * time.Second
	// repairsAtOnce are done without a pause; after them there is one before each, so that
	// another program that undoes ours can't keep the machine busy.
	repairsAtOnce = 10
	repairPause   = 200 * time.Millisecond
	// quietFor ends a quarrel, and calmAfter what is said about it.
	quietFor  = 10 * time.Second
	calmAfter = time.Hour
	// lookAtLinks is how often the hooks are looked at: nothing tells of their end.
	lookAtLinks = 250 * time.Millisecond
)

// repair puts back what others take away of ours, until ctx is done. What was decided
// stays decided meanwhile, and what wasn't is refused by the hooks.
func (s *service) repair(ctx context.Context) error {
	links, err := s.kernel.HoldLinks(s.cgroup())
	if err != nil {
		return err
	}
	defer links.Close()
	var g sync.WaitGroup
	g.Go(func() { s.mendLinks(ctx, links) })
	g.Go(func() { s.watchFrames(ctx) })
	s.keepTable(ctx)
	g.Wait()
	return nil
}

// mendLinks puts back detached hooks and deleted pins.
func (s *service) mendLinks(ctx context.Context, links *bpf.Links) {
	t := time.NewTicker(lookAtLinks)
	defer t.Stop()
	var last time.Time
	for {
		var now time.Time
		select {
		case <-ctx.Done():
			return
		case now = <-t.C:
		}
		mended, err := links.Mend()
		if err == nil && mended.Detached > 0 {
			err = s.kernel.AdoptSockets(s.cgroup()) // those that were made meanwhile
		}
		switch {
		case err != nil:
			s.engine.Problem("links", api.NewProblem(api.ProblemLinksDamaged, err.Error()))
		case mended.Detached > 0:
			s.engine.Problem("links", api.NewProblem(api.ProblemLinksDetached, ""))
		case mended.Pins > 0:
			s.engine.Problem("links", api.NewProblem(api.ProblemPinsDeleted, ""))
		case !last.IsZero() && now.Sub(last) > calmAfter:
			s.engine.Solved("links")
			last = time.Time{}
			continue
		default:
			continue
		}
		last = now
	}
}

// keepTable puts our table back as soon as somebody changes it.
func (s *service) keepTable(ctx context.Context) {
	for ctx.Err() == nil {
		err := s.watchTable(ctx)
		if ctx.Err() != nil {
			return
		}
		s.engine.Problem("table", api.NewProblem(api.ProblemTable, err.Error()))
		if pause(ctx, repairPause) != nil {
			return
		}
	}
}

func (s *service) watchTable(ctx context.Context) error {
	w, err := enforce.OpenWatch()
	if err != nil {
		return err
	}
	defer w.Close()
	want, err := s.putTable(ctx)
	if err != nil {
		return err
	}
	var q quarrel
	next := lookAnyway
	for {
		by, err := w.Next(ctx, next)
		if err != nil {
			return err
		}
		next = lookAnyway
		is, err := s.table.Print()
		if errors.Is(err, enforce.ErrDisturbed) {
			next = repairPause // for sure, if nobody tells of a change before
			continue
		}
		if err != nil {
			return err
		}
		if is == want {
			if q.over(time.Now()) {
				s.engine.Solved("table")
			}
			continue
		}
		if err := q.wait(ctx); err != nil {
			return err
		}
		if want, err = s.putTable(ctx); err != nil {
			return err
		}
		q.repaired(time.Now(), by)
		s.engine.Problem("table", q.problem(is == enforce.Print{}))
	}
}

// putTable applies our table until it is certain that the kernel has what we gave it, and
// returns what that is. Where others change theirs all the time that may take a while, in
// which ours is there.
func (s *service) putTable(ctx context.Context) (enforce.Print, error) {
	for {
		p, err := s.table.Put()
		if !errors.Is(err, enforce.ErrDisturbed) {
			return p, err
		}
		if err := pause(ctx, repairPause); err != nil {
			return p, err
		}
	}
}

// pause waits for d; an error is that of ctx.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// quarrel is what goes on between us and whoever changes our table.
type quarrel struct {
	last  time.Time
	times int // since it began
	by    string
}

// wait bounds how often repairs are made. An error is that of ctx.
func (q *quarrel) wait(ctx context.Context) error {
	if time.Since(q.last) > quietFor {
		q.times = 0
	}
	if q.times < repairsAtOnce {
		return nil
	}
	return pause(ctx, repairPause)
}

func (q *quarrel) repaired(now time.Time, by string) {
	q.last, q.by = now, by
	q.times++
}

// over reports, once, that nobody has touched the table for long.
func (q *quarrel) over(now time.Time) bool {
	if q.last.IsZero() || now.Sub(q.last) < calmAfter {
		return false
	}
	*q = quarrel{}
	return true
}

// problem tells people about it.
func (q *quarrel) problem(removed bool) api.Problem {
	code, by := api.ProblemTableChanged, api.ProblemTableChangedBy
	switch {
	case q.times > repairsAtOnce:
		code, by = api.ProblemTableContested, api.ProblemTableContestedBy
	case removed:
		code, by = api.ProblemTableRemoved, api.ProblemTableRemovedBy
	}
	if q.by != "" {
		code = by
	}
	return api.NewProblem(code, q.by)
}

// descriptors is how many files the service may have open: its programs, maps and hooks
// alone are a hundred, and each client is one more.
const descriptors = 4096

// raiseLimits makes room for descriptors. Without the right to, it is as it is.
func raiseLimits() {
	var l unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &l) == nil && l.Cur < descriptors {
		_ = unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: descriptors, Max: max(l.Max, descriptors)})
	}
}
