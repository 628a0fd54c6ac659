package installed

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Owner is a package that has a file.
type Owner struct {
	Package string // its name, without version and architecture

	listed []string // the paths by which the package may have it: before diversions and merged folders
	db     database
	key    string
}

// Files tells which package has a file. Make it with New.
type Files struct {
	root string

	now     atomic.Pointer[index]
	reading sync.Mutex // held by who makes an index
	made    time.Time  // when the last one was
	took    time.Duration
}

// database is what one package manager keeps.
type database interface {
	// stamp differs whenever the database does; nothing if there is no database.
	stamp() string
	// read names every package, and after it each of its files: absolute paths, which are
	// only valid during the call. Folders may be among them.
	read(add func(name, key string), file func(path []byte)) error
	// digest is what was in a package's file, which is listed by one of some paths; the
	// zero Digest if the database doesn't say.
	digest(key string, listed []string) (Digest, error)
	// busy reports whether the package manager is at work, so that files and database need
	// not agree.
	busy() bool
	// diversions are files that were put elsewhere.
	diversions() []diversion
}

// New knows the packages of the system whose root folder is root; "/" is this one.
func New(root string) *Files { return &Files{root: root} }

// Owner is the package that has the file at path, an absolute one without links in its
// folders but for those that the system merged (/bin is /usr/bin). The first call reads
// the databases: some tenths of a second; so does one for an unknown path after they
// changed, but not all the time.
func (f *Files) Owner(path string) (Owner, bool) {
	ix := f.now.Load()
	if ix == nil {
		ix = f.renew(true)
	}
	o, ok := ix.owner(path)
	if ok || ix.fresh() {
		return o, ok
	}
	return f.renew(false).owner(path)
}

// Refresh reads the databases again if they have changed.
func (f *Files) Refresh() {
	if ix := f.now.Load(); ix == nil || !ix.fresh() {
		f.renew(ix == nil)
	}
}

// Any reports whether some package is known.
func (f *Files) Any() bool {
	ix := f.now.Load()
	if ix == nil {
		ix = f.renew(true)
	}
	return len(ix.packages) > 0
}

// Generation differs after each reading of the databases.
func (f *Files) Generation() uint64 {
	if ix := f.now.Load(); ix != nil {
		return ix.generation
	}
	return 0
}

// renew makes the index anew, unless that was done a moment ago: package managers change
// their databases all the time while they work.
func (f *Files) renew(first bool) *index {
	f.reading.Lock()
	defer f.reading.Unlock()
	old := f.now.Load()
	if old != nil && (first || old.fresh() || time.Since(f.made) < max(time.Second, 10*f.took)) {
		return old
	}
	begun := time.Now()
	made := newIndex(f.root, old)
	f.now.Store(made)
	f.made, f.took = time.Now(), time.Since(begun)
	return made
}

// ErrBusy means that the package manager is at work: files and database need not agree.
var ErrBusy = errors.New("the package manager is at work")

// Digest is what the package had in the file; the zero one if its database doesn't say.
// It reads the database, which takes some milliseconds.
func (f *Files) Digest(o Owner) (Digest, error) {
	if o.db == nil {
		return Digest{}, nil
	}
	if o.db.busy() {
		return Digest{}, ErrBusy
	}
	d, err := o.db.digest(o.key, o.listed)
	if err != nil {
		return Digest{}, fmt.Errorf("digest of %s in %s: %w", o.listed[0], o.Package, err)
	}
	return d, nil
}

// Problem is what kept a database from being read; nil if all were.
func (f *Files) Problem() error {
	if ix := f.now.Load(); ix != nil {
		return ix.problem
	}
	return nil
}
