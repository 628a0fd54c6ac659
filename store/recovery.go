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

// Recovery says what Open did about a damaged file. String says it in words.
type Recovery struct {
	Cause    error     // what was wrong; nil if only Dropped is set
	Kept     string    // where the damaged file is now; empty if it was missing
	Restored time.Time // when the copy was made that took its place; zero: none, everything starts empty
	Dropped  int       // entries of the history and the inbox that could not be read and were removed
}

// String is a few plain sentences for a log or a screen.
func (r *Recovery) String() string {
	var b strings.Builder
	if r.Cause != nil {
		if r.Kept != "" {
			fmt.Fprintf(&b, "The file with the rules could not be used (%v) and was kept as %s. ", r.Cause, r.Kept)
		} else {
			b.WriteString("The file with the rules was missing. ")
		}
		if r.Restored.IsZero() {
			b.WriteString("There was no good copy of it: rules, settings and history start empty. ")
		} else {
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
	kept, err := s.keepAside("", os.Link)
	if err != nil { // a folder, or a file system without links
		kept, err = s.keepAside("", os.Rename)
	}
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
	db, c, err := load(s.path(".good"))
	switch {
	case err == nil:
		// Run and Close make the next copy; until then this file is the only one.
		if err := s.rename(".good", ""); err != nil {
			return nil, nil, c, errors.Join(err, db.Close())
		}
		r.Restored = made
		return r, db, c, nil
	case errors.Is(err, errDamaged), errors.Is(err, ErrNewer):
		if _, err := s.keepAside(".good", os.Rename); err != nil {
			return nil, nil, c, err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return nil, nil, c, err
	}
	db, c, err = s.create()
	return r, db, c, err
}

// keepAside gives a damaged file a name that says when, by link or rename.
func (s *Store) keepAside(suffix string, move func(from, to string) error) (string, error) {
	base := s.path(".broken-" + time.Now().UTC().Format("20060102T150405.000Z"))
	name := base
	for i := 2; ; i++ {
		if _, err := os.Lstat(name); errors.Is(err, fs.ErrNotExist) {
			break
		}
		name = fmt.Sprintf("%s-%d", base, i)
	}
	if err := move(s.path(suffix), name); err != nil {
		return "", err
	}
	return name, errors.Join(s.trimBroken(), syncPath(s.dir))
}

// trimBroken removes the oldest of the damaged files when there are too many.
func (s *Store) trimBroken() error {
	broken, err := filepath.Glob(s.path(".broken-*"))
	if err != nil {
		return err
	}
	slices.Sort(broken) // the names are times
	for len(broken) > keptBroken {
		err = errors.Join(err, os.RemoveAll(broken[0]))
		broken = broken[1:]
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
			if d.bucket == historyBucket {
				s.history--
				s.volume -= int64(len(b.Get(d.key)))
			}
			if err := b.Delete(d.key); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil { // they are skipped when read, and the next start tries again
		s.opts.Log.Warn("damaged history could not be removed", "err", err)
	}
	return r
}
