package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"go.etcd.io/bbolt"
)

// Restore puts what a Backup wrote in the place of everything that is remembered. It
// is copied beside the database and checked to the last record first: on an error
// (ErrBadBackup with ErrNewer or the reason, or ErrNotSaved) nothing has changed.
func (s *Store) Restore(r io.Reader) error {
	s.restoring.Lock()
	defer s.restoring.Unlock()
	main, past, err := s.receive(r)
	s.copying.Lock()
	defer s.copying.Unlock()
	if err == nil {
		err = s.swap(main, past)
	}
	if err != nil {
		return fmt.Errorf("restore: %w", errors.Join(err, removeFile(s.path(".restore")), removeFile(s.path(".history.restore"))))
	}
	if err := s.refreshCopyLocked(); err != nil { // Run tries again
		s.log.Warn("the good copy of the database is older than the restored backup", "err", err)
	}
	return nil
}

// received is a file of a backup that was checked and is open.
type received struct {
	*bbolt.DB
	contents
}

// receive writes a backup's files beside those in use, checks and opens them. On an error
// none is open.
func (s *Store) receive(r io.Reader) (main, past received, err error) {
	mainPath, pastPath := s.path(".restore"), s.path(".history.restore")
	if err := receiveFiles(r, mainPath, pastPath); err != nil {
		return main, past, err
	}
	main.DB, main.contents, err = load(mainPath, pastPath)
	if err == nil {
		past.DB, past.contents, err = s.past.load(pastPath)
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%w: no history", errDamaged)
		}
	}
	for _, f := range []received{main, past} {
		if err == nil {
			err = guard(func() error { return checkAll(f.DB) })
		}
	}
	if err == nil {
		return main, past, nil
	}
	if errors.Is(err, errDamaged) || errors.Is(err, ErrNewer) {
		err = fmt.Errorf("%w: %w", ErrBadBackup, err)
	}
	for _, f := range []received{main, past} {
		if f.DB != nil {
			err = errors.Join(err, f.Close())
		}
	}
	return main, past, err
}

// receiveFiles writes a backup's files. Version 1 has no file for the history: there is none
// until the main file's migration makes it.
func receiveFiles(r io.Reader, mainPath, pastPath string) error {
	main, err := os.OpenFile(mainPath, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotSaved, err)
	}
	defer main.Close()
	past, err := os.OpenFile(pastPath, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotSaved, err)
	}
	defer past.Close()
	if err := unpack(r, main, past); err != nil {
		return err
	}
	if err := errors.Join(main.Sync(), past.Sync()); err != nil {
		return fmt.Errorf("%w: %w", ErrNotSaved, err)
	}
	info, err := past.Stat()
	if err == nil && info.Size() == 0 {
		err = os.Remove(pastPath)
	}
	return err
}

// checkAll reads every record of a current file the way that it will be read, after
// bbolt's own check of the pages.
func checkAll(db *bbolt.DB) error {
	return db.View(func(tx *bbolt.Tx) error {
		var bad error
		for err := range tx.Check() { // to the end, or its goroutine waits for ever
			if bad == nil {
				bad = fmt.Errorf("%w: %w", errDamaged, err)
			}
		}
		if bad != nil {
			return bad
		}
		for bucket, decode := range decoders {
			b := tx.Bucket([]byte(bucket))
			if b == nil { // of the other file
				continue
			}
			err := b.ForEach(decode)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// decoders read one record each, for its errors.
var decoders = map[string]func(key, value []byte) error{
	rulesBucket: func(key, value []byte) error {
		_, err := decodeRule(key, value)
		return err
	},
	documentsBucket: func(key, value []byte) error {
		var v any
		return decode(key, value, &v)
	},
	missedBucket: func(key, value []byte) error {
		_, err := decodePrompt(key, value)
		return err
	},
	historyBucket: func(key, value []byte) error {
		_, err := decodeFlow(key, value)
		return err
	},
}

// swap makes the two files the database and the history. The main file's new name is what
// says that it is done.
func (s *Store) swap(main, past received) error {
	p := &s.past
	p.opening.Lock()
	defer p.opening.Unlock()
	p.counting.Lock()
	defer p.counting.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.db == nil || p.ended {
		return errors.Join(ErrClosed, main.Close(), past.Close())
	}
	err := os.Rename(s.path(".history.restore"), p.name)
	if err == nil {
		p.count, p.volume = past.history, past.volume
		p.opened, p.told, p.again = true, nil, time.Time{}
		s.warn(p.set(past.DB))
		past.DB = nil
		err = os.Rename(s.path(".restore"), s.name)
	}
	if err != nil {
		if past.DB != nil {
			err = errors.Join(err, past.Close())
		}
		return errors.Join(fmt.Errorf("%w: %w", ErrNotSaved, err), main.Close())
	}
	s.warn(s.set(main.DB))
	s.uncopied.Store(true)
	if err := syncPath(s.dir); err != nil {
		return fmt.Errorf("%w for good: the restored state is in use, but a power cut may undo it: %w", ErrNotSaved, err)
	}
	return nil
}

func (s *Store) warn(err error) {
	if err != nil {
		s.log.Warn("close the database that was replaced", "err", err)
	}
}
