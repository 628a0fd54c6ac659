package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.etcd.io/bbolt"
)

// keptBroken is how many damaged files are kept.
const keptBroken = 5

// Recovery says what Open or OpenHistory did about a damaged file. String says it in words.
type Recovery struct {
	History  bool      // the file is the history's
	Cause    error     // what was wrong; nil if only Dropped is set
	Kept     string    // where the damaged file is now; empty if it was missing
	Restored time.Time // when the copy was made that took its place; zero: none, rules and settings start empty
	Saved    int       // entries that could be read from a damaged history and are in the new one
	Dropped  int       // entries of the history and the inbox that could not be read and were removed
}

// String is a few plain sentences for a log or a screen.
func (r *Recovery) String() string {
	what, empty := "the rules", "rules and settings start empty"
	if r.History {
		what, empty = "the history", "it starts empty"
	}
	var b strings.Builder
	if r.Cause != nil {
		if r.Kept != "" {
			fmt.Fprintf(&b, "The file with %s could not be used (%v) and was kept as %s. ", what, r.Cause, r.Kept)
		} else {
			fmt.Fprintf(&b, "The file with %s was missing. ", what)
		}
		switch {
		case r.Saved > 0:
			fmt.Fprintf(&b, "Entries that could be read from it and are in the new one: %d. ", r.Saved)
		case r.History:
			fmt.Fprintf(&b, "Nothing could be read from it: %s. ", empty)
		case r.Restored.IsZero():
			fmt.Fprintf(&b, "There was no good copy of it: %s. ", empty)
		default:
			fmt.Fprintf(&b, "The copy of %s took its place: what changed after that is lost. ", r.Restored.Local().Format("2006-01-02 15:04:05"))
		}
	}
	if r.Dropped > 0 {
		fmt.Fprintf(&b, "Entries of the history or the inbox that were damaged and were removed: %d.", r.Dropped)
	}
	return strings.TrimSpace(b.String())
}

// start is for a folder without a database: a new one, or one that lost its file.
func (s *Store) start() (*Recovery, *bbolt.DB, contents, error) {
	_, err := os.Lstat(s.path(".good"))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		db, c, err := s.create()
		return nil, db, c, err
	case err != nil:
		return nil, nil, contents{}, err
	}
	return s.substitute(&Recovery{Cause: fs.ErrNotExist})
}

// replace keeps the damaged file aside and puts another in its place. The file keeps
// its own name too until the other is ready, so that a cut in between leaves nothing
// that looks like a new installation.
func (s *Store) replace(cause error) (*Recovery, *bbolt.DB, contents, error) {
	kept, err := s.keepAsideAnyhow(s.name, s.path(".broken-"), keptBroken)
	if err != nil {
		return nil, nil, contents{}, fmt.Errorf("%w; keep it aside: %w", cause, err)
	}
	return s.substitute(&Recovery{Cause: cause, Kept: kept})
}

// substitute puts the good copy, else an empty database, in the database's place.
func (s *Store) substitute(r *Recovery) (*Recovery, *bbolt.DB, contents, error) {
	made := time.Time{}
	if info, err := os.Stat(s.path(".good")); err == nil {
		made = info.ModTime()
	}
	db, c, err := load(s.path(".good"), s.past.name)
	switch {
	case err == nil:
		// Run and Close make the next copy; until then this file is the only one.
		if err := s.rename(".good", ""); err != nil {
			return nil, nil, c, errors.Join(err, db.Close())
		}
		r.Restored = made
		return r, db, c, nil
	case errors.Is(err, errDamaged), errors.Is(err, ErrNewer):
		if _, err := s.keepAside(s.path(".good"), s.path(".broken-"), keptBroken, os.Rename); err != nil {
			return nil, nil, c, err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return nil, nil, c, err
	}
	db, c, err = s.create()
	return r, db, c, err
}

// keepAsideAnyhow keeps a damaged file aside and, where that can be, under its own name too.
func (s *Store) keepAsideAnyhow(path, broken string, keep int) (string, error) {
	kept, err := s.keepAside(path, broken, keep, os.Link)
	if err != nil { // a folder, or a file system without links
		return s.keepAside(path, broken, keep, os.Rename)
	}
	return kept, nil
}

// keepAside gives a damaged file a name that begins with broken and says when, by link or
// rename, and removes the oldest of those with such names when there are more than keep.
func (s *Store) keepAside(path, broken string, keep int, move func(from, to string) error) (string, error) {
	dated := broken + time.Now().UTC().Format("20060102T150405.000Z")
	name := dated
	for i := 2; ; i++ {
		if _, err := os.Lstat(name); errors.Is(err, fs.ErrNotExist) {
			break
		}
		name = fmt.Sprintf("%s-%d", dated, i)
	}
	if err := move(path, name); err != nil {
		return "", err
	}
	return name, errors.Join(trimBroken(broken, keep), syncPath(s.dir))
}

func trimBroken(broken string, keep int) error {
	all, err := filepath.Glob(broken + "*")
	if err != nil {
		return err
	}
	slices.Sort(all) // the names are times
	for len(all) > keep {
		err = errors.Join(err, os.RemoveAll(all[0]))
		all = all[1:]
	}
	return err
}

// drop removes damaged records that the rest does not depend on.
func (s *Store) drop(damaged []record, r *Recovery) *Recovery {
	if r == nil {
		r = &Recovery{}
	}
	r.Dropped = len(damaged)
	err := s.update(func(tx *bbolt.Tx) error {
		for _, d := range damaged {
			b := tx.Bucket([]byte(d.bucket))
			if b == nil {
				continue // of a history that was moved without it
			}
			if err := b.Delete(d.key); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil { // they are skipped when read, and the next start tries again
		s.log.Warn("damaged entries could not be removed", "err", err)
	}
	return r
}

// dropFlows is drop for the history, which is called with opening held.
func (s *Store) dropFlows(damaged []record, r *Recovery) *Recovery {
	if r == nil {
		r = &Recovery{History: true}
	}
	r.Dropped = len(damaged)
	keys := make([][]byte, len(damaged))
	for i, d := range damaged {
		keys[i] = d.key
	}
	s.past.counting.Lock()
	defer s.past.counting.Unlock()
	err := s.past.change(func(c *change) error { return c.remove(keys) })
	if err != nil {
		s.log.Warn("damaged history could not be removed", "err", err)
	}
	return r
}
