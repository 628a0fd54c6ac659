package process

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Packages tells which package of the system installed a file, from dpkg's own lists
// (dpkg-query(1), FILES: info/PACKAGE.list has a path a line). A path is only looked for
// when somebody asks; what was found is kept until dpkg changes something. Any goroutine
// may call it.
type Packages struct {
	dir string // dpkg's database

	mu      sync.Mutex
	changed time.Time         // of dpkg's database when found was begun
	found   map[string]string // path: package, "" if there is none
}

// maxFound bounds what is kept; beyond it looking begins anew.
const maxFound = 4096

// NewPackages reads the database in dir; "" is this machine's.
func NewPackages(dir string) *Packages {
	if dir == "" {
		dir = "/var/lib/dpkg"
	}
	return &Packages{dir: dir}
}

// Of is the name of the package that installed path, "" if none did, or if somebody but
// root could have put another file there. It may take some 50 ms for a path that is new.
func (p *Packages) Of(path string) string {
	if path == "" || !filepath.IsAbs(path) || strings.ContainsAny(path, "\n\x00") {
		return ""
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if s, err := os.Stat(filepath.Join(p.dir, "status")); err != nil || !s.ModTime().Equal(p.changed) || len(p.found) > maxFound {
		p.found = map[string]string{}
		if err == nil {
			p.changed = s.ModTime()
		}
	}
	name, ok := p.found[path]
	if !ok {
		name = p.search(path)
		p.found[path] = name
	}
	if name == "" || !ownedByRoot(path) {
		return ""
	}
	return name
}

// search looks through every package's list. On systems where /bin is /usr/bin, a list
// may have a file under its old name.
func (p *Packages) search(path string) string {
	lists, err := filepath.Glob(filepath.Join(p.dir, "info", "*.list"))
	if err != nil {
		return ""
	}
	lines := [][]byte{[]byte("\n" + path + "\n")}
	if old, ok := strings.CutPrefix(path, "/usr"); ok {
		lines = append(lines, []byte("\n"+old+"\n"))
	}
	for _, l := range lists {
		b, err := os.ReadFile(l)
		if err != nil {
			continue
		}
		for _, line := range lines {
			if bytes.Contains(b, line) {
				name, _, _ := strings.Cut(strings.TrimSuffix(filepath.Base(l), ".list"), ":") // libc6:amd64
				return name
			}
		}
	}
	return ""
}

// ownedByRoot reports whether only root can have put the file at path there.
func ownedByRoot(path string) bool {
	for {
		var s unix.Stat_t
		if unix.Stat(path, &s) != nil || s.Uid != 0 || s.Mode&0o022 != 0 {
			return false
		}
		if path == "/" {
			return true
		}
		path = filepath.Dir(path)
	}
}
