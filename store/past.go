package store

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
)

// past is the history's file. It may be long, so Open leaves it closed.
type past struct {
	file

	opening sync.Mutex // held while it is opened; guards what follows
	opened  bool
	ended   bool
	told    *Recovery // what opening it has done
	again   time.Time // after a failure, not before then
	failure error

	left   atomic.Pointer[leftOpen] // until OpenFlows
	ending atomic.Bool              // ends an inspection that is under way

	counting sync.Mutex // held, after opening and before mu, for what changes the following
	count    int        // flows in the history
	volume   int64      // bytes of their records
}

// leftOpen is the records of flows that were open when they were written last, or why they
// could not be read.
type leftOpen struct {
	entries []entry
	err     error
}

// entry is a key and its value.
type entry struct{ key, value []byte }

// OpenHistory looks through the history, which takes the longer the more there is, and
// opens it. What could not be read was removed or replaced, and the Recovery, else nil,
// says so, each time. Methods that need the history call it and wait for it. After an
// error it tries again in a while.
func (s *Store) OpenHistory() (*Recovery, error) {
	p := &s.past
	p.opening.Lock()
	defer p.opening.Unlock()
	switch {
	case p.ended || p.ending.Load():
		return nil, ErrClosed
	case p.opened:
		return p.told, nil
	case time.Now().Before(p.again):
		return nil, p.failure
	}
	begun := time.Now()
	told, err := s.openPast()
	if err != nil {
		p.failure = fmt.Errorf("open the history: %w", err)
		p.again = time.Now().Add(10 * time.Since(begun)) // at most a tenth of the time is spent on it
		return nil, p.failure
	}
	p.opened, p.told = true, told
	return told, nil
}

// openPast is called with opening held.
func (s *Store) openPast() (r *Recovery, err error) {
	p := &s.past
	db, c, err := p.load(p.name)
	switch {
	case errors.Is(err, ErrClosed):
		return nil, err
	case errors.Is(err, fs.ErrNotExist):
		r = &Recovery{History: true, Cause: err}
		err = createAt(p.name, historyFile)
	case errors.Is(err, errDamaged):
		r, err = s.salvage(err)
	}
	if err == nil && db == nil {
		db, c, err = p.load(p.name)
	}
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	err = p.set(db)
	p.mu.Unlock()
	p.counting.Lock()
	p.count, p.volume = c.history, c.volume
	p.counting.Unlock()
	if len(c.damaged) > 0 {
		r = s.dropFlows(c.damaged, r)
	}
	return r, err
}

// load inspects and opens a history.
func (p *past) load(path string) (*bbolt.DB, contents, error) {
	f, size, err := openFile(path)
	if err != nil {
		return nil, contents{}, err
	}
	defer f.Close()
	c, err := inspectReader(untilEnd{f, &p.ending}, size, historyFile)
	if p.ending.Load() {
		return nil, c, ErrClosed // whatever the file seemed to be without the rest
	}
	if err != nil {
		return nil, c, err
	}
	db, err := openBolt(path)
	return db, c, err
}

// untilEnd reads until the store is closed.
type untilEnd struct {
	io.ReaderAt
	ending *atomic.Bool
}

func (r untilEnd) ReadAt(b []byte, at int64) (int, error) {
	if r.ending.Load() {
		return 0, ErrClosed
	}
	return r.ReaderAt.ReadAt(b, at)
}

// salvage keeps a damaged history aside and makes a new one of what can be read of it.
// The old one keeps its name too until the new one is ready.
func (s *Store) salvage(cause error) (*Recovery, error) {
	p := &s.past
	kept, err := s.keepAsideAnyhow(p.name, s.path(".history.broken-"), keptHistory)
	if err != nil {
		return nil, fmt.Errorf("%w; keep it aside: %w", cause, err)
	}
	var saved filler
	err = build(p.name, historyFile, func(db *bbolt.DB) error {
		saved.db = db
		err := readAnyway(kept, &p.ending, saved.add)
		return errors.Join(err, saved.flush())
	})
	return &Recovery{History: true, Cause: cause, Kept: kept, Saved: saved.count}, err
}

// keptHistory is how many damaged histories are kept: they may be large.
const keptHistory = 1

// readAnyway calls add with the records of a damaged history that can be reached.
func readAnyway(path string, ending *atomic.Bool, add func(key, value []byte) error) error {
	f, size, err := openFile(path)
	if err != nil {
		if errors.Is(err, errDamaged) {
			return nil
		}
		return err
	}
	defer f.Close()
	r := untilEnd{f, ending}
	root, err := readMeta(r, size)
	if errors.Is(err, errShort) && uint64(size) >= 4*root.pageSize {
		root.high = uint64(size) / root.pageSize
	} else if err != nil {
		return unlessEnding(ending)
	}
	w := newWalker(r, root, func(_ string, key, value []byte) error { return add(key, value) })
	w.lenient = true
	buckets, err := w.buckets()
	if history, ok := buckets[historyBucket]; ok && err == nil {
		err = w.bucket(historyBucket, history)
	}
	if err == nil || errors.Is(err, errDamaged) {
		return unlessEnding(ending)
	}
	return err
}

// unlessEnding is ErrClosed if reads failed for that alone.
func unlessEnding(ending *atomic.Bool) error {
	if ending.Load() {
		return ErrClosed
	}
	return nil
}

// filler writes records into a new history, many at a time: a transaction's stay in
// memory until it ends.
type filler struct {
	db     *bbolt.DB
	batch  []entry
	volume int
	count  int // of what was written
}

// add adds a record unless it is damaged.
func (w *filler) add(key, value []byte) error {
	if _, err := unseal(key, value); err != nil {
		return nil
	}
	w.batch = append(w.batch, entry{bytes.Clone(key), bytes.Clone(value)})
	if w.volume += len(value); w.volume < 4<<20 {
		return nil
	}
	return w.flush()
}

func (w *filler) flush() error {
	err := w.db.Update(func(tx *bbolt.Tx) error {
		history, open := tx.Bucket([]byte(historyBucket)), tx.Bucket([]byte(openBucket))
		history.FillPercent = 0.9
		for _, e := range w.batch {
			if err := history.Put(e.key, e.value); err != nil {
				return err
			}
			if isOpen(e.value) {
				if err := open.Put(e.key, nil); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err == nil {
		w.count += len(w.batch)
	}
	w.batch, w.volume = nil, 0
	return err
}

// change is a write to the history and what it makes of the counts.
type change struct {
	history, open *bbolt.Bucket
	count         int
	volume        int64
}

// change runs f in a write transaction; the caller holds counting.
func (p *past) change(f func(*change) error) error {
	var c change
	err := p.update(func(tx *bbolt.Tx) error {
		c = change{tx.Bucket([]byte(historyBucket)), tx.Bucket([]byte(openBucket)), p.count, p.volume}
		c.history.FillPercent = 0.9 // it grows at the end
		return f(&c)
	})
	if err == nil {
		p.count, p.volume = c.count, c.volume
	}
	return err
}

// put keeps a record, in the place of the one with the same key.
func (c *change) put(key, value []byte, open bool) error {
	old := c.history.Get(key)
	if old == nil {
		c.count++
	}
	wasOpen := isOpen(old)
	c.volume += int64(len(value) - len(old))
	if err := c.history.Put(key, value); err != nil || open == wasOpen {
		return err
	}
	if open {
		return c.open.Put(key, nil)
	}
	return c.open.Delete(key)
}

// remove drops records that are there, whole or damaged.
func (c *change) remove(keys [][]byte) error {
	for _, key := range keys {
		c.count--
		c.volume -= int64(len(c.history.Get(key)))
		if err := errors.Join(c.history.Delete(key), c.open.Delete(key)); err != nil {
			return err
		}
	}
	return nil
}

// end closes the history for good.
func (p *past) end() error {
	p.opening.Lock()
	defer p.opening.Unlock()
	p.ended = true
	return p.close()
}

// spareIfOpen is spare where there is something to spare.
func (p *past) spareIfOpen() error {
	if err := p.spare(); !errors.Is(err, ErrClosed) {
		return err
	}
	return nil
}
