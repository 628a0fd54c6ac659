package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"go.etcd.io/bbolt"
)

// migrateTo3 moves the history to a file of its own, so that a start need not read it.
// Both files are made anew beside the old one, which is replaced last: until then a cut
// leaves version 2. A history that is there already is newer, or was moved before a cut.
func migrateTo3(old *bbolt.DB, history string) (*bbolt.DB, error) {
	if _, err := os.Lstat(history); errors.Is(err, fs.ErrNotExist) {
		err := build(history, historyFile, func(db *bbolt.DB) error {
			return guard(func() error { return moveHistory(old, db) })
		})
		if err != nil {
			return old, err
		}
	}
	path := old.Path()
	err := build(path, mainFile, func(db *bbolt.DB) error {
		return guard(func() error {
			return old.View(func(from *bbolt.Tx) error {
				return db.Update(func(to *bbolt.Tx) error { return copyBuckets(from, to) })
			})
		})
	})
	if err != nil {
		return old, err
	}
	if err := old.Close(); err != nil {
		return old, err
	}
	return openBolt(path)
}

// moveHistory copies the history of version 2 but for what is damaged: Open has noted that.
func moveHistory(old, db *bbolt.DB) error {
	to := filler{db: db}
	err := old.View(func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte("history")).ForEach(to.add)
	})
	return errors.Join(err, to.flush())
}

// copyBuckets copies what is not history, with the numbers from which new ids follow.
func copyBuckets(from, to *bbolt.Tx) error {
	for _, name := range []string{"rules", "documents", "missed"} {
		old, b := from.Bucket([]byte(name)), to.Bucket([]byte(name))
		if old == nil || b == nil {
			return fmt.Errorf("%w: no bucket %q", errDamaged, name)
		}
		if err := b.SetSequence(old.Sequence()); err != nil {
			return err
		}
		if err := old.ForEach(b.Put); err != nil {
			return err
		}
	}
	return nil
}
