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
// file from a newer version is left alone and gives ErrNewer.
func Open(dir string, opts Options) (*Store, *Recovery, error) {
	s := &Store{dir: dir, opts: opts.withDefaults()}
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
	var recovery *Recovery
	db, c, err := load(s.path(""))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		recovery, db, c, err = s.start()
	case errors.Is(err, errDamaged):
		recovery, db, c, err = s.replace(err)
	}
	if err != nil {
		return nil, err
	}
	s.db, s.history, s.volume, s.left = db, c.history, c.volume, c.open
	if len(c.damaged) > 0 {
		recovery = s.drop(c.damaged, recovery)
	}
	s.uncopied.Store(recovery != nil || !s.sameCopy(c))
	return recovery, nil
}

// tidy removes what a service that was killed left half done.
func (s *Store) tidy() error {
	leftovers, err := filepath.Glob(s.path(".backup-*"))
	for _, path := range append(leftovers, s.path(".new"), s.path(".good.new"), s.path(".restore")) {
		err = errors.Join(err, removeFile(path))
	}
	return err
}

// load inspects, opens and migrates the file at path.
func load(path string) (*bbolt.DB, contents, error) {
	c, err := inspect(path)
	if err != nil {
		return nil, c, err
	}
	db, err := openBolt(path)
	if err != nil {
		return nil, c, err
	}
	if err := migrate(db, c.schema); err != nil {
		return nil, c, errors.Join(err, db.Close())
	}
	return db, c, nil
}

// create makes an empty database under another name and gives it its own when it is
// whole: a cut while bbolt makes a file can leave one on which bbolt panics.
func (s *Store) create() (*bbolt.DB, contents, error) {
	if err := createAt(s.path(".new")); err != nil {
		return nil, contents{}, errors.Join(err, removeFile(s.path(".new")))
	}
	if err := s.rename(".new", ""); err != nil {
		return nil, contents{}, err
	}
	return load(s.path(""))
}

func createAt(path string) error {
	db, err := openBolt(path)
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		for _, name := range recordBuckets {
			if _, err := tx.CreateBucket([]byte(name)); err != nil {
				return err
			}
		}
		return putSchema(tx, currentSchema())
	})
	return errors.Join(err, db.Close(), syncPath(path))
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
