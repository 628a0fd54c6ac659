package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
)

// lockWait is how long Open waits for a service that is just ending.
const lockWait = time.Second

// Open opens the database in dir, and makes both if they are missing. Only one
// process can have it open: another gets ErrInUse after a second. A file that is
// damaged is replaced, and the Recovery, else nil, says by what and what was lost; a
// file from a newer version is left alone and gives ErrNewer. How long it takes does not
// depend on the history: see OpenHistory.
func Open(dir string, opts Options) (*Store, *Recovery, error) {
	s := &Store{dir: dir, opts: opts.withDefaults()}
	s.name, s.log = s.path(""), s.opts.Log
	s.past.name, s.past.log = s.path(".history"), s.opts.Log
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, fmt.Errorf("open store: %w", err)
	}
	lock, err := lockFolder(dir)
	if err != nil {
		return nil, nil, fmt.Errorf("open store: %w", err)
	}
	s.lock = lock
	recovery, err := s.open()
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("open %s: %w", s.path(""), err), lock.Close())
	}
	return s, recovery, nil
}

// lockFolder locks DIR/sekisho.lock. The lock is on a file of its own because the
// database's is renamed when a copy takes its place.
func lockFolder(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "sekisho.lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for end := time.Now().Add(lockWait); ; time.Sleep(lockWait / 20) {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) || time.Now().After(end) {
			break
		}
	}
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = fmt.Errorf("%s is %w: stop that one, or give this one another folder", dir, ErrInUse)
	}
	return nil, errors.Join(err, f.Close())
}

// open fills s with the database at its place, or with what can take that place.
func (s *Store) open() (*Recovery, error) {
	if err := s.tidy(); err != nil {
		return nil, err
	}
	var left leftOpen
	left.entries, left.err = peek(s.past.name)
	if errors.Is(left.err, ErrNewer) {
		return nil, left.err
	}
	var recovery *Recovery
	db, c, err := load(s.name, s.past.name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		recovery, db, c, err = s.start()
	case errors.Is(err, errDamaged):
		recovery, db, c, err = s.replace(err)
	}
	if err != nil {
		return nil, err
	}
	if errors.Is(left.err, fs.ErrNotExist) { // a migration or create may have made it
		left.entries, left.err = peek(s.past.name)
	}
	s.past.left.Store(&left)
	s.db = db
	if len(c.damaged) > 0 {
		recovery = s.drop(c.damaged, recovery)
	}
	s.uncopied.Store(recovery != nil || !s.sameCopy(c))
	return recovery, nil
}

// tidy removes what a service that was killed left half done.
func (s *Store) tidy() error {
	leftovers, err := filepath.Glob(s.path(".backup-*"))
	half, halfErr := filepath.Glob(s.path("*.new"))
	for _, path := range append(append(leftovers, half...), s.path(".restore"), s.path(".history.restore")) {
		err = errors.Join(err, removeFile(path))
	}
	return errors.Join(err, halfErr)
}

// load inspects, opens and migrates the main file at path. The history that one of
// version 2 holds goes to the file at history, unless there is one.
func load(path, history string) (*bbolt.DB, contents, error) {
	c, err := inspect(path, mainFile)
	if err != nil {
		return nil, c, err
	}
	db, err := openBolt(path)
	if err != nil {
		return nil, c, err
	}
	db, err = migrate(db, history, c.schema)
	return db, c, err
}

// create makes an empty database, with a history unless there is one.
func (s *Store) create() (*bbolt.DB, contents, error) {
	if _, err := os.Lstat(s.past.name); errors.Is(err, fs.ErrNotExist) {
		if err := createAt(s.past.name, historyFile); err != nil {
			return nil, contents{}, err
		}
	}
	if err := createAt(s.name, mainFile); err != nil {
		return nil, contents{}, err
	}
	return load(s.name, s.past.name)
}

// createAt makes an empty file under another name and gives it its own when it is
// whole: a cut while bbolt makes a file can leave one on which bbolt panics.
func createAt(path string, k kind) error {
	return build(path, k, func(*bbolt.DB) error { return nil })
}

// build makes a new file, has fill fill it without syncing, and gives it its name when it
// is whole and on disk. An error wraps ErrNotSaved, or is fill's.
func build(path string, k kind, fill func(*bbolt.DB) error) error {
	db, err := (*bbolt.DB)(nil), removeFile(path+".new")
	if err == nil {
		db, err = openBolt(path + ".new")
	}
	if err == nil {
		db.NoSync = true
		err = db.Update(func(tx *bbolt.Tx) error {
			for _, name := range k.buckets {
				if _, err := tx.CreateBucket([]byte(name)); err != nil {
					return err
				}
			}
			return putSchema(tx, k.schema)
		})
		if err == nil {
			err = fill(db)
		}
		err = errors.Join(err, db.Close())
	}
	if err == nil {
		err = syncPath(path + ".new")
	}
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err == nil {
		err = syncPath(filepath.Dir(path))
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotSaved, errors.Join(err, removeFile(path+".new")))
	}
	return nil
}

// rename gives a file of this store another name, for good when it returns.
func (s *Store) rename(from, to string) error {
	if err := os.Rename(s.path(from), s.path(to)); err != nil {
		return err
	}
	return syncPath(s.dir)
}

// syncPath puts a file, or the names in a folder, on disk.
func syncPath(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// removeFile removes a file that may be missing.
func removeFile(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
