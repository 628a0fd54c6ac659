package store

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
	"golang.org/x/sys/unix"
)

// file is a bbolt file that is open, or not yet, or not any more.
type file struct {
	name string
	log  *slog.Logger

	// mu guards db, which a restore swaps, close ends and reopen repairs; a transaction
	// holds it for reading.
	mu sync.RWMutex
	db *bbolt.DB

	// stuck is why nothing can be written until the service starts again: bbolt failed
	// in the middle of a write and still holds its lock.
	stuck   atomic.Pointer[error]
	writing sync.Mutex // held, after mu, for a write transaction
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
func (f *file) view(read func(*bbolt.Tx) error) error {
	return f.repairing(func() error {
		f.mu.RLock()
		defer f.mu.RUnlock()
		if f.db == nil {
			return ErrClosed
		}
		return guard(func() error { return f.db.View(read) })
	})
}

// update runs write in a write transaction. An error of it is returned as it is and
// undoes what it did; an error of the disk wraps ErrNotSaved.
func (f *file) update(write func(*bbolt.Tx) error) error {
	return f.repairing(func() error { return f.tryUpdate(write) })
}

func (f *file) tryUpdate(write func(*bbolt.Tx) error) error {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.db == nil {
		return ErrClosed
	}
	if stuck := f.stuck.Load(); stuck != nil {
		return fmt.Errorf("%w: restart the service: %w", ErrNotSaved, *stuck)
	}
	f.writing.Lock()
	defer f.writing.Unlock()
	var own error
	var tx *bbolt.Tx
	err := guard(func() error {
		return f.db.Update(func(t *bbolt.Tx) error {
			tx = t
			own = write(t)
			return own
		})
	})
	switch {
	case err == nil:
		return nil
	case own != nil:
		return own
	}
	if tx != nil && tx.DB() != nil { // a transaction that ended has no database
		f.stuck.Store(&err)
	}
	return fmt.Errorf("%w: %w", ErrNotSaved, err)
}

// repairing runs do, once more if bbolt had lost its map, for want of memory: it does
// not get it back by itself.
func (f *file) repairing(do func() error) error {
	err := do()
	if !lostMap(err) {
		return err
	}
	if reopenErr := f.reopen(); reopenErr != nil {
		return fmt.Errorf("%w: %w", err, reopenErr)
	}
	return do()
}

func lostMap(err error) bool {
	return errors.Is(err, bolterrors.ErrInvalidMapping) || errors.Is(err, bolterrors.ErrDatabaseNotOpen)
}

// reopen puts a fresh bbolt in the place of one that lost its map.
func (f *file) reopen() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.db == nil:
		return ErrClosed
	case !lostMap(f.db.View(func(*bbolt.Tx) error { return nil })):
		return nil // another goroutine was first
	}
	if err := f.db.Close(); err != nil {
		f.log.Warn("close a database without a map", "err", err)
	}
	db, err := openBolt(f.name)
	if err != nil {
		return fmt.Errorf("open again: %w", err)
	}
	f.db = db
	return nil
}

// spare lets go of the file's pages that were read or written. They stay in the system's
// cache, which may drop them; mapped, all of a long history would count as the service's.
func (f *file) spare() error {
	return f.view(func(tx *bbolt.Tx) error { // while it runs the map stays where it is
		if _, _, errno := unix.Syscall(unix.SYS_MADVISE, tx.DB().Info().Data, uintptr(tx.Size()), unix.MADV_DONTNEED); errno != 0 {
			return errno
		}
		return nil
	})
}

// set puts db, which may be nil, in the place of what is open. The caller holds mu.
func (f *file) set(db *bbolt.DB) error {
	old := f.db
	f.db = db
	if f.stuck.Swap(nil) != nil || old == nil {
		return nil // stuck, Close would wait for bbolt's lock for ever
	}
	return old.Close()
}

// close ends the file; it waits for transactions that are under way.
func (f *file) close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.set(nil)
}

// writeSnapshot writes the file as it is at one moment to to, syncs it and returns its
// length in bytes.
func (f *file) writeSnapshot(to *os.File) (n int64, err error) {
	err = f.view(func(tx *bbolt.Tx) error {
		n, err = tx.WriteTo(to)
		return err
	})
	if err != nil {
		return n, err
	}
	return n, to.Sync()
}
