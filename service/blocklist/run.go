package blocklist

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sekisho/service/blocklist/format"
)

// Waiting after failures: twice as long each time.
const (
	firstRetry = 5 * time.Minute
	lastRetry  = 24 * time.Hour
)

// Run keeps the lists fresh until ctx ends: it fetches those that are on and due, one
// after the other, and compiles. Its error is ctx's.
func (b *Book) Run(ctx context.Context) error {
	var again <-chan time.Time // when to compile again what couldn't be
	for {
		b.forget()
		if err := b.compile(ctx); err != nil && ctx.Err() == nil {
			b.o.Log.Error("lists aren't compiled", "err", err)
			b.o.Progress(Progress{Stage: Failed})
			again = b.o.Clock.After(firstRetry)
		}
		var due <-chan time.Time
		l, wait := b.next()
		if l != nil && wait > 0 {
			due = b.o.Clock.After(wait)
		}
		if l != nil && wait <= 0 {
			if err := b.renew(ctx, l); err != nil && ctx.Err() == nil {
				b.o.Log.Warn("list isn't fresh", "err", err)
			}
			due = closed
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-b.wake:
		case <-due:
		case <-again:
			again = nil
		case r := <-b.requests:
			r.done <- b.serve(ctx, r)
		}
	}
}

var closed = func() chan time.Time {
	c := make(chan time.Time)
	close(c)
	return c
}()

// next gives the list that is due first and how long until then; nil if none ever is.
func (b *Book) next() (*List, time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.o.Clock.Now()
	var first *List
	var least time.Duration
	for i := range b.lists {
		l := &b.lists[i]
		if !l.On || l.URL == "" {
			continue
		}
		s, wait := b.copies[l.ID], time.Duration(0)
		if s.Failures > 0 || s.SHA256 != "" && s.URL == l.URL {
			// A clock that was set back mustn't put a fetch off for years.
			wait = min(s.Due.Sub(now), 2*maxEvery)
		}
		if first == nil || wait < least {
			first, least = l, wait
		}
	}
	if first == nil {
		return nil, 0
	}
	l := *first
	return &l, least
}

// serve does what Update or Import asks.
func (b *Book) serve(ctx context.Context, r request) error {
	if r.list == "" {
		var all error
		for _, l := range b.Lists() {
			if l.On && l.URL != "" {
				all = errors.Join(all, b.renew(ctx, &l))
			}
		}
		return errors.Join(all, b.compile(ctx))
	}
	lists := b.Lists()
	i := slices.IndexFunc(lists, func(l List) bool { return l.ID == r.list })
	if i < 0 {
		return fmt.Errorf("there is no list %s", r.list)
	}
	l := &lists[i]
	var err error
	switch {
	case r.text != "":
		err = b.imported(ctx, l, r.text)
	case l.URL == "":
		err = &Problem{List: l.ID, Op: "fetch", Why: "it has no address", Do: "give its file again"}
	default:
		err = b.renew(ctx, l)
	}
	if err != nil {
		return err
	}
	return b.compile(ctx)
}

// renew fetches a list and keeps it if it is good. The state says how it went.
func (b *Book) renew(ctx context.Context, l *List) error {
	s := *b.stateOf(l.ID)
	now := b.o.Clock.Now()
	b.o.Progress(Progress{List: l.ID, Stage: Fetching})
	f, err := b.fetch(ctx, l, &s)
	if err == nil {
		err = b.judge(ctx, l, &s, f)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	switch {
	case err == nil, errors.Is(err, errUnchanged):
		s.Checked, s.Failures, s.Error, s.Do = now, 0, "", ""
		s.Due = now.Add(jitter(l.every()))
		err = nil
	default:
		p := problem(l.ID, "fetch", err)
		s.Failures++
		s.Error, s.Do = p.Why, p.Do
		s.Due = now.Add(jitter(backoff(s.Failures)))
		err = p
		b.o.Progress(Progress{List: l.ID, Stage: Failed})
	}
	b.settle(l.ID, &s)
	return err
}

// settle makes s known, and writes it down. A state that can't be written is used all
// the same: at worst the list is fetched once too often.
func (b *Book) settle(id string, s *state) {
	b.mu.Lock()
	b.copies[id] = s
	b.mu.Unlock()
	if err := b.writeState(id, s); err != nil {
		b.o.Log.Warn("list's state isn't saved", "list", id, "err", err)
	}
	b.o.Told()
}

func (b *Book) stateOf(id string) *state {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s := b.copies[id]; s != nil {
		return s
	}
	return new(state)
}

// jitter keeps machines that were switched on together from asking together: a tenth
// more or less.
func jitter(d time.Duration) time.Duration {
	return d - d/10 + rand.N(d/5+1)
}

func backoff(failures int) time.Duration {
	return min(firstRetry<<min(failures-1, 16), lastRetry)
}

// imported judges a text that was handed in.
func (b *Book) imported(ctx context.Context, l *List, path string) error {
	s := *b.stateOf(l.ID)
	sum, err := sumOf(path)
	if err == nil {
		err = b.judge(ctx, l, &s, &fetched{path: path, sha256: sum})
	}
	now := b.o.Clock.Now()
	if err != nil {
		b.o.Progress(Progress{List: l.ID, Stage: Failed})
		return problem(l.ID, "read", err)
	}
	s.Checked, s.Failures, s.Error, s.Do = now, 0, "", ""
	s.Due = now.Add(jitter(l.every()))
	b.settle(l.ID, &s)
	return nil
}

// shrunk is how many times smaller a list may become at once.
const shrunk = 10

// judge reads a new text to its end and makes it the copy if it is good; else the text
// is removed and the copy stays.
func (b *Book) judge(ctx context.Context, l *List, s *state, f *fetched) (err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.path))
		}
	}()
	n := int64(0)
	r, err := b.parse(f.path, format.Options{Format: l.Format, Guarded: b.guarded(), MaxEntries: b.o.Limits.Entries}, func(format.Entry) error {
		if n++; n%65536 == 0 {
			b.o.Progress(Progress{List: l.ID, Stage: Checking, Done: n})
			return ctx.Err()
		}
		return nil
	})
	if err != nil {
		return err
	}
	if old := s.Report.Entries(); s.SHA256 != "" && s.URL == l.URL && r.Entries() < (old+shrunk-1)/shrunk {
		return &Problem{Why: fmt.Sprintf("it shrank from %d entries to %d", old, r.Entries()),
			Do: "the copy of before stays in use; if this is meant, remove the list and add it again"}
	}
	if err := os.Rename(f.path, b.copyPath(l.ID)); err != nil {
		return err
	}
	if err := syncDir(b.copyDir()); err != nil {
		b.o.Log.Warn("list's folder isn't synced", "list", l.ID, "err", err)
	}
	s.URL, s.ETag, s.LastModified, s.SHA256, s.Report, s.Fetched = l.URL, f.etag, f.lastModified, f.sha256, r, b.o.Clock.Now()
	return nil
}

func (b *Book) parse(path string, o format.Options, emit func(format.Entry) error) (format.Report, error) {
	f, err := os.Open(path)
	if err != nil {
		return format.Report{}, err
	}
	defer f.Close()
	return format.Parse(io.Reader(f), o, emit)
}

// guarded are the names that updates come from: the lists' own hosts too.
func (b *Book) guarded() []string {
	g := slices.Clone(b.o.Guarded)
	for _, l := range b.Lists() {
		if u, err := url.Parse(l.URL); err == nil {
			if n, ok := format.CleanName(u.Hostname()); ok {
				g = append(g, n)
			}
		}
	}
	return g
}

// forget removes the copies of lists that are gone.
func (b *Book) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.told {
		return
	}
	keep := map[string]bool{}
	for _, l := range b.lists {
		keep[l.ID] = true
	}
	files, err := os.ReadDir(b.copyDir())
	if err != nil {
		b.o.Log.Warn("old lists aren't removed", "err", err)
		return
	}
	for _, f := range files {
		id := strings.TrimSuffix(strings.TrimSuffix(f.Name(), ".list"), ".json")
		if id == f.Name() || keep[id] {
			continue
		}
		if err := os.Remove(filepath.Join(b.copyDir(), f.Name())); err != nil {
			b.o.Log.Warn("old list isn't removed", "list", id, "err", err)
		}
	}
	for id := range b.copies {
		if !keep[id] {
			delete(b.copies, id)
			delete(b.hits, id)
		}
	}
}
