package store

import (
	"errors"
	"fmt"
	"os"
)

// refreshCopy makes the good copy from the main file as it is now, unless nothing was
// written since the last one. The copy is inspected before it takes the old one's
// place: a disk that fails must not take the good copy with it.
func (s *Store) refreshCopy() error {
	s.copying.Lock()
	defer s.copying.Unlock()
	return s.refreshCopyLocked()
}

// refreshCopyLocked is refreshCopy for those that hold copying.
func (s *Store) refreshCopyLocked() error {
	if !s.uncopied.Swap(false) {
		return nil
	}
	err := s.snapshot(s.path(".good.new"))
	if err == nil {
		_, err = inspect(s.path(".good.new"), mainFile)
	}
	if err == nil {
		err = s.rename(".good.new", ".good")
	}
	if err != nil {
		s.uncopied.Store(true)
		return fmt.Errorf("refresh the good copy: %w", errors.Join(err, removeFile(s.path(".good.new"))))
	}
	return nil
}

// snapshot writes the main file as it is at one moment to a new file, synced.
func (s *Store) snapshot(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = s.writeSnapshot(f)
	return errors.Join(err, f.Close())
}

// sameCopy reports whether the good copy holds what c, the database, holds.
func (s *Store) sameCopy(c contents) bool {
	f, err := os.Open(s.path(".good"))
	if err != nil {
		return false
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return false
	}
	root, err := readMeta(f, info.Size())
	return err == nil && root == c.root && c.schema == mainFile.schema
}
