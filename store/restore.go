package store

import (
	"errors"
	"fmt"
	"io"
	"os"

	"go.etcd.io/bbolt"
)

// Restore puts what a Backup wrote in the place of everything that is remembered. It
// is copied beside the database and checked to the last record first: on an error
// (ErrBadBackup with ErrNewer or the reason, or ErrNotSaved) nothing has changed.
func (s *Store) Restore(r io.Reader) error {
	s.restoring.Lock()
	defer s.restoring.Unlock()
	path := s.path(".restore")
	db, c, err := s.receive(r, path)
	s.copying.Lock()
	defer s.copying.Unlock()
	if err == nil {
		err = s.swap(db, c)
	}
	if err != nil {
		return fmt.Errorf("restore: %w", errors.Join(err, removeFile(path)))
	}
	if err := s.refreshCopyLocked(); err != nil { // Run tries again
		s.opts.Log.Warn("the good copy of the database is older than the restored backup", "err", err)
	}
	return nil
}

// receive writes the backup's database to path, checks it and opens it.
func (s *Store) receive(r io.Reader, path string) (*bbolt.DB, contents, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, contents{}, fmt.Errorf("%w: %w", ErrNotSaved, err)
	}
	err = unpack(r, f)
	if err == nil {
		if syncErr := f.Sync(); syncErr != nil {
			err = fmt.Errorf("%w: %w", ErrNotSaved, syncErr)
		}
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, contents{}, err
	}
	db, c, err := load(path)
	if err == nil {
		if err = guard(func() error { return checkAll(db) }); err != nil {
			err = errors.Join(err, db.Close())
		}
	}
	if errors.Is(err, errDamaged) || errors.Is(err, ErrNewer) {
		err = fmt.Errorf("%w: %w", ErrBadBackup, err)
	}
	return db, c, err
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
			err := tx.Bucket([]byte(bucket)).ForEach(decode)
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

// swap makes db, whose file is at path(".restore"), the database.
func (s *Store) swap(db *bbolt.DB, c contents) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db == nil {
		return errors.Join(ErrClosed, db.Close())
	}
	if err := os.Rename(s.path(".restore"), s.path("")); err != nil {
		return errors.Join(fmt.Errorf("%w: %w", ErrNotSaved, err), db.Close())
	}
	old := s.db
	s.db, s.history, s.volume = db, c.history, c.volume
	s.uncopied.Store(true)
	if s.stuck.Swap(nil) == nil {
		if err := old.Close(); err != nil {
			s.opts.Log.Warn("close the database that was replaced", "err", err)
		}
	}
	if err := syncPath(s.dir); err != nil {
		return fmt.Errorf("%w for good: the restored state is in use, but a power cut may undo it: %w", ErrNotSaved, err)
	}
	return nil
}
