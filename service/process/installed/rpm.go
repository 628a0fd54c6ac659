package installed

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
)

// rpm reads rpmdb.sqlite or, where there is none, Packages.db (ndb).
type rpm struct{ dir string }

func newRPM(dir string) *rpm { return &rpm{dir} }

func (r *rpm) sqlite() string { return filepath.Join(r.dir, "rpmdb.sqlite") }
func (r *rpm) ndb() string    { return filepath.Join(r.dir, "Packages.db") }

func (r *rpm) stamp() string {
	return stampOf(r.sqlite(), r.sqlite()+"-wal", r.ndb())
}

func (r *rpm) busy() bool { return locked(filepath.Join(r.dir, ".rpm.lock")) }

func (r *rpm) diversions() []diversion { return nil }

// headers calls f with the number and header of each package, valid during the call,
// until it returns false. A number only names a header until the database changes.
func (r *rpm) headers(f func(n int64, header []byte) bool) error {
	file, err := os.Open(r.sqlite())
	if err == nil {
		defer file.Close()
		db, err := openSQLite(file, r.sqlite()+"-wal")
		if err != nil {
			return err
		}
		return db.table("Packages", func(row int64, columns []value) bool {
			return len(columns) < 2 || f(row, columns[1].bytes)
		})
	}
	file, nerr := os.Open(r.ndb())
	if nerr != nil {
		return errors.Join(err, nerr)
	}
	defer file.Close()
	return readNDB(file, f)
}

func (r *rpm) read(add func(name, key string), file func([]byte)) error {
	var problem error
	err := r.headers(func(n int64, b []byte) bool {
		h, err := parseHeader(b)
		if err != nil {
			problem = errors.Join(problem, err)
			return len(b) > 0 // what is broken once may be so in every row
		}
		name := h.text(tagName)
		if name == "gpg-pubkey" {
			return true
		}
		add(name, strconv.FormatInt(n, 10))
		h.files(func(f *headerFile) bool {
			if f.mode&0o170000 != 0o040000 && f.flags&fileGhost == 0 {
				file(f.path)
			}
			return true
		})
		return true
	})
	return errors.Join(problem, err)
}

func (r *rpm) digest(key string, listed []string) (found Digest, err error) {
	herr := r.headers(func(n int64, b []byte) bool {
		if strconv.FormatInt(n, 10) != key {
			return true
		}
		var h header
		if h, err = parseHeader(b); err != nil {
			return false
		}
		algorithm := h.algorithm()
		h.files(func(f *headerFile) bool {
			if !slices.Contains(listed, string(f.path)) {
				return true
			}
			found = digest(algorithm, f.digest)
			return false
		})
		return false
	})
	return found, errors.Join(err, herr)
}

// readAt fills b, or says that the file ends too early.
func readAt(r io.ReaderAt, b []byte, off int64) error {
	n, err := r.ReadAt(b, off)
	if n == len(b) {
		return nil
	}
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
