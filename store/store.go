package store

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
)

// Options are the choices of Open; the zero value is right for the service.
type Options struct {
	History   int           // flows that the history keeps at most; 0: 100,000
	Volume    int64         // bytes that the history's records take at most; 0: 256 MiB
	CopyEvery time.Duration // how often Run refreshes the good copy at most; 0: 1 h
	Log       *slog.Logger  // nil: slog.Default()
}

func (o Options) withDefaults() Options {
	if o.History <= 0 {
		o.History = 100_000
	}
	if o.Volume <= 0 {
		o.Volume = 256 << 20
	}
	if o.CopyEvery <= 0 {
		o.CopyEvery = time.Hour
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return o
}

// Store is an open database. See the package comment for who may call it.
type Store struct {
	file // rules, settings and the inbox

	dir  string
	opts Options
	lock *os.File // holds the folder's lock

	// uncopied is set by every write and cleared by a refresh of the good copy.
	uncopied atomic.Bool
	copying  sync.Mutex // held for a refresh, and for a restore's swap
	// restoring is held, before copying, for a restore, whose reader may be slow.
	restoring sync.Mutex

	past past // the history
}

func (s *Store) path(suffix string) string {
	return filepath.Join(s.dir, "sekisho.db"+suffix)
}

// Run keeps the good copy fresh: at once if it is older than the database, then at
// most once in Options.CopyEvery. It returns nil when ctx ends.
func (s *Store) Run(ctx context.Context) error {
	tick, spare := time.NewTicker(s.opts.CopyEvery), time.NewTicker(spareEvery)
	defer tick.Stop()
	defer spare.Stop()
	for copying := true; ; {
		if copying {
			if err := s.refreshCopy(); err != nil {
				s.opts.Log.Warn("the good copy of the database could not be refreshed", "err", err)
			}
		}
		if err := errors.Join(s.spare(), s.past.spareIfOpen()); err != nil {
			s.opts.Log.Debug("the database's pages stay in memory", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			copying = true
		case <-spare.C:
			copying = false
		}
	}
}

// spareEvery is how often the files' pages are let go.
const spareEvery = 10 * time.Second

// update is update of the main file, which the good copy is then older than.
func (s *Store) update(write func(*bbolt.Tx) error) error {
	err := s.file.update(write)
	if err == nil {
		s.uncopied.Store(true)
	}
	return err
}

// Close refreshes the good copy if something changed and closes the files. It waits
// for calls that are under way, but not for OpenHistory; later ones get ErrClosed.
func (s *Store) Close() error {
	s.past.ending.Store(true)
	copyErr := s.refreshCopy()
	if errors.Is(copyErr, ErrClosed) {
		return nil
	}
	pastErr := s.past.end()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db == nil {
		return nil
	}
	return errors.Join(copyErr, pastErr, s.set(nil), s.lock.Close())
}
