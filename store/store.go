package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
	"golang.org/x/sys/unix"
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
	dir  string
	opts Options
	lock *os.File // holds the folder's lock

	// mu guards db, which Restore swaps, Close ends and reopen repairs; a transaction
	// holds it for reading.
	mu sync.RWMutex
	db *bbolt.DB

	// stuck is why nothing can be written until the service starts again: bbolt failed
	// in the middle of a write and still holds its lock.
	stuck atomic.Pointer[error]
	// uncopied is set by every write and cleared by a refresh of the good copy.
	uncopied atomic.Bool
	copying  sync.Mutex // held for a refresh, and for a restore's swap
	// restoring is held, before copying, for a restore, whose reader may be slow.
	restoring sync.Mutex

	writing sync.Mutex // held, after mu, for a write transaction; guards history and volume
	history int        // flows in the history
	volume  int64      // bytes of their records

	left []record // flows that were open when they were written last, until OpenFlows
}

func (s *Store) path(suffix string) string {
	return filepath.Join(s.dir, "sekisho.db"+suffix)
}

// openBolt opens a file that inspect accepted.
func openBolt(path string) (db *bbolt.DB, err error) {
	err = guard(func() (err error) {
		db, err = bbolt.Open(path, 0o600, &bbolt.Options{
			Timeout:         time.Second,
			FreelistType:    bbolt.FreelistMapType,
			InitialMmapSize: 256 << 20, // address space only: growing the map waits for every reader
			NoStatistics:    true,
		})
		return err
	})
	switch {
	case err == nil:
		db.AllocSize = 1 << 20 // the file grows in steps of a megabyte
		return db, nil
	case errors.Is(err, bolterrors.ErrTimeout):
		return nil, fmt.Errorf("%w: %s is locked", ErrInUse, path)
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrChecksum), errors.Is(err, bolterrors.ErrVersionMismatch):
		return nil, fmt.Errorf("%w: %w", errDamaged, err)
	}
	return nil, err
}

// guard turns a panic of bbolt, and a fault in the memory that it maps (a disk that
// fails, a file that another program cut), into an error.
func guard(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errDamaged, p)
		}
	}()
	return f()
}

// view runs f in a read transaction; its errors are returned as they are.
func (s *Store) view(f func(*bbolt.Tx) error) error {
	return s.repairing(func() error {
		s.mu.RLock()
		defer s.mu.RUnlock()
		if s.db == nil {
			return ErrClosed
		}
		return guard(func() error { return s.db.View(f) })
	})
}

// update runs f in a write transaction. An error of f is returned as it is and undoes
// what f did; an error of the disk wraps ErrNotSaved.
func (s *Store) update(f func(*bbolt.Tx) error) error {
	return s.repairing(func() error { return s.tryUpdate(f) })
}

func (s *Store) tryUpdate(f func(*bbolt.Tx) error) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.db == nil {
		return ErrClosed
	}
	if stuck := s.stuck.Load(); stuck != nil {
		return fmt.Errorf("%w: restart the service: %w", ErrNotSaved, *stuck)
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	var own error
	var tx *bbolt.Tx
	history, volume := s.history, s.volume
	err := guard(func() error {
		return s.db.Update(func(t *bbolt.Tx) error {
			tx = t
			own = f(t)
			return own
		})
	})
	if err == nil {
		s.uncopied.Store(true)
		return nil
	}
	s.history, s.volume = history, volume
	if own != nil {
		return own
	}
	if tx != nil && tx.DB() != nil { // a transaction that ended has no database
		s.stuck.Store(&err)
	}
	return fmt.Errorf("%w: %w", ErrNotSaved, err)
}

// repairing runs f, once more if bbolt had lost its map, for want of memory: it does
// not get it back by itself.
func (s *Store) repairing(f func() error) error {
	err := f()
	if !lostMap(err) {
		return err
	}
	if reopenErr := s.reopen(); reopenErr != nil {
		return fmt.Errorf("%w: %w", err, reopenErr)
	}
	return f()
}

func lostMap(err error) bool {
	return errors.Is(err, bolterrors.ErrInvalidMapping) || errors.Is(err, bolterrors.ErrDatabaseNotOpen)
}

// reopen puts a fresh bbolt in the place of one that lost its map.
func (s *Store) reopen() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.db == nil:
		return ErrClosed
	case !lostMap(s.db.View(func(*bbolt.Tx) error { return nil })):
		return nil // another goroutine was first
	}
	if err := s.db.Close(); err != nil {
		s.opts.Log.Warn("close a database without a map", "err", err)
	}
	db, err := openBolt(s.path(""))
	if err != nil {
		return fmt.Errorf("open again: %w", err)
	}
	s.db = db
	return nil
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
		if err := s.spare(); err != nil {
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

// spareEvery is how often the file's pages are let go.
const spareEvery = 10 * time.Second

// spare lets go of the file's pages that were read or written. They stay in the system's
// cache, which may drop them; mapped, all of a long history would count as the service's.
func (s *Store) spare() error {
	return s.view(func(tx *bbolt.Tx) error { // while it runs the map stays where it is
		if _, _, errno := unix.Syscall(unix.SYS_MADVISE, tx.DB().Info().Data, uintptr(tx.Size()), unix.MADV_DONTNEED); errno != 0 {
			return errno
		}
		return nil
	})
}

// Close refreshes the good copy if something changed and closes the file. It waits
// for calls that are under way; later ones get ErrClosed.
func (s *Store) Close() error {
	copyErr := s.refreshCopy()
	if errors.Is(copyErr, ErrClosed) {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db == nil {
		return nil
	}
	var closeErr error
	if s.stuck.Load() == nil { // else Close would wait for bbolt's lock for ever
		closeErr = s.db.Close()
	}
	s.db = nil
	return errors.Join(copyErr, closeErr, s.lock.Close())
}
