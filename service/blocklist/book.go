package blocklist

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"sekisho/service/blocklist/compiled"
	"sekisho/service/blocklist/format"
)

// Limits bound what one fetch may take.
type Limits struct {
	Bytes     int64         // of a list, packed and unpacked each
	Time      time.Duration // of a fetch, redirects included
	Redirects int
	Entries   int // of all lists together
}

// UsualLimits hold where a limit is zero.
var UsualLimits = Limits{Bytes: format.MaxText, Time: time.Minute, Redirects: 5, Entries: 8 << 20}

// Options of a Book. Dir exists and is the service's own; the rest may be zero.
type Options struct {
	Dir       string
	Transport http.RoundTripper // nil: NewTransport's
	Clock     Clock             // nil: the system's
	Limits    Limits
	// Guarded are names that no list may block, besides the hosts of the lists
	// themselves: those that the system's updates come from.
	Guarded []string
	// Progress is told of long work, from Run's goroutine; it must not block.
	Progress func(Progress)
	// Told is called when Status says something else of a list, from Run's goroutine and
	// never while the book is locked.
	Told func()
	// Changed is called when other things may match than before, from any goroutine
	// but never while the book is locked.
	Changed func()
	Log     *slog.Logger
}

// Stage is a part of long work.
type Stage string

const (
	Fetching  Stage = "fetching"  // Done and Total in bytes
	Checking  Stage = "checking"  // in entries; no Total
	Compiling Stage = "compiling" // in entries, of all lists
	Ready     Stage = "ready"     // the new lists are in use
	Failed    Stage = "failed"    // Status has the error
)

// Progress tells how far long work is. Total is 0 when it isn't known.
type Progress struct {
	List  string // empty: all of them
	Stage Stage
	Done  int64
	Total int64
}

// MaxLists is how many lists a book has.
const MaxLists = 256

// Book is all lists. See the package's comment for who may call what.
type Book struct {
	o        Options
	view     atomic.Pointer[view]
	wake     chan struct{}
	requests chan request

	mu         sync.Mutex
	lists      []List
	told       bool              // SetLists was called
	hits       map[string]uint64 // by list, since Open
	uncompiled *Problem          // why the newest copies aren't in use
	copies     map[string]*state // by list; written by Run alone, under mu
}

// request asks Run to do something now.
type request struct {
	list string
	text string // name of a file with a new text; empty: fetch
	done chan error
}

// Open makes the book of a folder, with what was compiled last in use as soon as
// SetLists says which lists there are. It starts nothing and fetches nothing.
func Open(o Options) (*Book, error) {
	if o.Clock == nil {
		o.Clock = systemClock{}
	}
	if o.Transport == nil {
		o.Transport = NewTransport()
	}
	if o.Progress == nil {
		o.Progress = func(Progress) {}
	}
	if o.Told == nil {
		o.Told = func() {}
	}
	if o.Changed == nil {
		o.Changed = func() {}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.Limits.fill()
	b := &Book{o: o, wake: make(chan struct{}, 1), requests: make(chan request), copies: map[string]*state{}, hits: map[string]uint64{}}
	if err := os.MkdirAll(b.copyDir(), 0o700); err != nil {
		return nil, fmt.Errorf("open lists: %w", err)
	}
	if err := b.sweep(); err != nil {
		return nil, fmt.Errorf("open lists: %w", err)
	}
	f, err := compiled.Open(b.compiledPath())
	switch {
	case err == nil:
		b.view.Store(&view{file: f})
	case !errors.Is(err, os.ErrNotExist): // damaged, or the disk is: Run makes it again
		o.Log.Warn("lists are compiled again", "err", err)
	}
	return b, nil
}

func (l *Limits) fill() {
	u := UsualLimits
	if l.Bytes == 0 {
		l.Bytes = u.Bytes
	}
	if l.Time == 0 {
		l.Time = u.Time
	}
	if l.Redirects == 0 {
		l.Redirects = u.Redirects
	}
	if l.Entries == 0 {
		l.Entries = u.Entries
	}
}

func (b *Book) copyDir() string      { return filepath.Join(b.o.Dir, "copies") }
func (b *Book) compiledPath() string { return filepath.Join(b.o.Dir, "compiled") }

// sweep removes what an unfinished fetch or compilation left.
func (b *Book) sweep() error {
	for _, pattern := range []string{filepath.Join(b.copyDir(), "new-*"), filepath.Join(b.o.Dir, "compile-*"), filepath.Join(b.o.Dir, "sort-*")} {
		left, err := filepath.Glob(pattern)
		if err != nil {
			return err
		}
		for _, f := range left {
			if err := os.Remove(f); err != nil {
				return err
			}
		}
	}
	return nil
}

// Close unmaps the lists; nothing matches any more. Run has ended.
func (b *Book) Close() error {
	if v := b.view.Swap(nil); v != nil && v.file != nil {
		v.file.Release()
	}
	return nil
}

// SetLists replaces the settings of all lists, at once for those that are compiled
// already; Run fetches what is new, and forgets the copies of lists that are gone. The
// caller keeps the settings: the book has only the copies on disk.
func (b *Book) SetLists(lists []List) error {
	if len(lists) > MaxLists {
		return fmt.Errorf("more than %d lists", MaxLists)
	}
	seen := map[string]bool{}
	for i := range lists {
		if err := lists[i].Check(); err != nil {
			return err
		}
		if seen[lists[i].ID] {
			return fmt.Errorf("two lists %s", lists[i].ID)
		}
		seen[lists[i].ID] = true
	}
	b.mu.Lock()
	b.lists, b.told = slices.Clone(lists), true
	for _, l := range b.lists {
		if b.copies[l.ID] == nil {
			b.copies[l.ID] = b.readState(l.ID)
		}
	}
	b.show(b.file())
	b.mu.Unlock()
	b.o.Changed()
	select {
	case b.wake <- struct{}{}:
	default:
	}
	return nil
}

// Lists are the settings as they were set.
func (b *Book) Lists() []List {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.lists)
}

// file is the compiled file in use, or nil. b is locked.
func (b *Book) file() *compiled.File {
	if v := b.view.Load(); v != nil {
		return v.file
	}
	return nil
}

// show puts a file into use with the settings that there are. b is locked.
func (b *Book) show(f *compiled.File) {
	v := &view{file: f}
	if f != nil {
		v.lists = make([]*choice, len(f.Lists()))
		_, pages, _ := f.Count()
		for i, id := range f.Lists() {
			at := slices.IndexFunc(b.lists, func(l List) bool { return l.ID == id })
			if at < 0 || !b.lists[at].On {
				continue
			}
			c := &choice{List: b.lists[at]}
			for _, e := range c.Exceptions {
				x, err := newExcept(e)
				if err == nil { // SetLists checked them
					c.excepts = append(c.excepts, x)
				}
			}
			v.lists[i], v.any, v.pages = c, true, pages > 0
		}
	}
	b.view.Store(v)
}

// Update fetches a list now, or all that are on for "", and returns when it is in use.
// Run is running.
func (b *Book) Update(ctx context.Context, id string) error {
	return b.ask(ctx, request{list: id, done: make(chan error, 1)})
}

// Import gives a list its text, instead of a fetch: it is judged as a fetched one is.
// r is read in the caller's goroutine. Run is running.
func (b *Book) Import(ctx context.Context, id string, r io.Reader) error {
	if !goodID(id) {
		return fmt.Errorf("there is no list %.64q", id)
	}
	tmp, _, err := b.save(ctx, r, nil)
	if err != nil {
		return problem(id, "read", err)
	}
	defer b.drop(tmp)
	return b.ask(ctx, request{list: id, text: tmp, done: make(chan error, 1)})
}

func (b *Book) ask(ctx context.Context, r request) error {
	select {
	case b.requests <- r:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-r.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
