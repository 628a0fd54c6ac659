package daemon

import (
	"bufio"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"sekisho/service/enforce"
)

// ErrNoCgroup2 means that cgroup v2, on which the filter stands, is not mounted.
var ErrNoCgroup2 = errors.New("cgroup v2 is not mounted")

// cgroupRoot finds where cgroup v2 is mounted, in /proc/self/mountinfo (proc(5)).
func cgroupRoot() (string, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return "", fmt.Errorf("find cgroup v2: %w", err)
	}
	defer f.Close()
	s := bufio.NewScanner(f)
	for s.Scan() {
		before, after, ok := strings.Cut(s.Text(), " - ")
		w := strings.Fields(before)
		if ok && strings.HasPrefix(after, "cgroup2 ") && len(w) > 4 {
			return w[4], nil
		}
	}
	return "", ErrNoCgroup2
}

// scopeOf says what a cgroup folder means; "" is the root, that is every program.
func scopeOf(dir string) (enforce.Scope, error) {
	root, err := cgroupRoot()
	if err != nil {
		return enforce.Scope{}, err
	}
	if dir == "" {
		return enforce.Scope{All: true}, nil
	}
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return enforce.Scope{}, fmt.Errorf("--cgroup: %w", err)
	}
	var s unix.Statfs_t
	if err := unix.Statfs(real, &s); err != nil || s.Type != unix.CGROUP2_SUPER_MAGIC {
		return enforce.Scope{}, fmt.Errorf("--cgroup %s: not a folder of cgroup v2, which is mounted at %s", dir, root)
	}
	below, err := filepath.Rel(root, real)
	if err != nil || strings.HasPrefix(below, "..") {
		return enforce.Scope{}, fmt.Errorf("--cgroup %s: not below %s", dir, root)
	}
	if below == "." {
		return enforce.Scope{All: true}, nil
	}
	var st unix.Stat_t
	if err := unix.Stat(real, &st); err != nil {
		return enforce.Scope{}, fmt.Errorf("--cgroup: %w", err)
	}
	return enforce.Scope{CgroupID: st.Ino, Level: uint32(strings.Count(below, "/") + 1)}, nil
}

// freeQueue picks an even queue number from the tag so that restarts find the packets of
// the table that is still there, and steps on while somebody else listens.
func freeQueue(tag string) (uint16, error) {
	h := fnv.New32a()
	_, _ = h.Write([]byte(tag))
	used, err := queuesInUse()
	if err != nil {
		return 0, err
	}
	for i := range uint32(64) {
		n := uint16(1024 + (h.Sum32()/2+i)%30000*2)
		if !used[n] && !used[n+1] {
			return n, nil
		}
	}
	return 0, errors.New("no free queue: other programs listen on all that were tried")
}

func queuesInUse() (map[uint16]bool, error) {
	used := map[uint16]bool{}
	b, err := os.ReadFile("/proc/thread-self/net/netfilter/nfnetlink_queue")
	if errors.Is(err, os.ErrNotExist) {
		return used, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for free queues: %w", err)
	}
	for line := range strings.Lines(string(b)) {
		if w := strings.Fields(line); len(w) > 0 {
			if n, err := strconv.ParseUint(w[0], 10, 16); err == nil {
				used[uint16(n)] = true
			}
		}
	}
	return used, nil
}

// kernelRelease is what uname calls it.
func kernelRelease() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return ""
	}
	return unix.ByteSliceToString(u.Release[:])
}
