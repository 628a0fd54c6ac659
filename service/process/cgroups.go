package process

import (
	"bufio"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	maxCgroups  = 32768
	cgroupPause = time.Second // between two walks over all cgroups
)

// Cgroups finds the path of a cgroup by its id, which is the inode number of its
// folder. Ids are not used again while the machine runs, so that what was once found
// stays true when the cgroup is gone. Its methods may be called from any goroutine.
type Cgroups struct {
	mu     sync.Mutex
	mount  string // "" until looked for
	paths  map[uint64]string
	walked time.Time
}

// NewCgroups uses the cgroup v2 tree that is mounted at mount; "" is the one that
// /proc/self/mountinfo names.
func NewCgroups(mount string) *Cgroups {
	return &Cgroups{mount: mount, paths: map[uint64]string{}}
}

// Path is the path from the root of cgroup v2, or "" if there is none with this id. A
// miss walks over the tree, at most once a second.
func (c *Cgroups) Path(id uint64) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p, ok := c.paths[id]; ok {
		return p
	}
	if time.Since(c.walked) < cgroupPause {
		return ""
	}
	c.walked = time.Now()
	c.walk()
	return c.paths[id]
}

func (c *Cgroups) walk() {
	if c.mount == "" {
		if c.mount = cgroupMount("/proc/self/mountinfo"); c.mount == "" {
			return
		}
	}
	if len(c.paths) >= maxCgroups {
		clear(c.paths)
	}
	//nolint:errcheck // a cgroup that goes while we walk is no error, and no other is useful
	filepath.WalkDir(c.mount, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return nil
		}
		if len(c.paths) >= maxCgroups {
			return fs.SkipAll
		}
		info, err := d.Info()
		if err != nil {
			return nil
		}
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			c.paths[st.Ino] = "/" + strings.TrimPrefix(strings.TrimPrefix(path, c.mount), "/")
		}
		return nil
	})
}

// cgroupMount finds where cgroup v2 is mounted.
func cgroupMount(mountinfo string) string {
	f, err := os.Open(mountinfo)
	if err != nil {
		return ""
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		// 41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
		mount, system, ok := strings.Cut(lines.Text(), " - ")
		if fields := strings.Fields(mount); ok && len(fields) > 4 && strings.HasPrefix(system, "cgroup2 ") && fields[3] == "/" {
			return octal.Replace(fields[4])
		}
	}
	return ""
}

// octal undoes how mountinfo writes white space and backslashes.
var octal = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
