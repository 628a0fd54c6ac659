package process

import (
	"bufio"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"sekisho/app/flow"
)

// mount is a line of mountinfo (proc_pid_mountinfo(5)).
type mount struct {
	id     uint64
	device uint32 // of the file system, as flow.Executable has it
	root   string // what of the file system is mounted
	point  string // where
	kind   string
	source string
}

// mounts are those that a process sees: its number or "self".
func (p procfs) mounts(pid string) []mount {
	f, err := os.Open(string(p) + "/" + pid + "/mountinfo")
	if err != nil {
		return nil
	}
	defer f.Close()
	return parseMounts(f)
}

func parseMounts(r io.Reader) []mount {
	var all []mount
	for lines := bufio.NewScanner(r); lines.Scan(); {
		// 41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
		left, right, ok := strings.Cut(lines.Text(), " - ")
		f, g := strings.Fields(left), strings.Fields(right)
		if !ok || len(f) < 5 || len(g) < 2 {
			continue
		}
		major, minor, _ := strings.Cut(f[2], ":")
		id, err1 := strconv.ParseUint(f[0], 10, 64)
		a, err2 := strconv.ParseUint(major, 10, 12)
		b, err3 := strconv.ParseUint(minor, 10, 20)
		if err1 != nil || err2 != nil || err3 != nil {
			continue
		}
		all = append(all, mount{id, uint32(a<<20 | b), octal.Replace(f[3]), octal.Replace(f[4]), octal.Replace(g[0]), octal.Replace(g[1])})
	}
	return all
}

// under finds the mount that a path is in: of those above it the nearest, of several at
// one point the last.
func under(all []mount, file string) (m mount, rest string, ok bool) {
	for _, c := range all {
		r, in := below(file, c.point)
		if in && len(c.point) >= len(m.point) {
			m, rest, ok = c, r, true
		}
	}
	return m, rest, ok
}

// below is what follows a folder in a path, with its slash.
func below(file, folder string) (string, bool) {
	if folder == "/" {
		return file, true
	}
	rest, ok := strings.CutPrefix(file, folder)
	return rest, ok && (rest == "" || rest[0] == '/')
}

// ours are the paths by which we see what a process in a mount namespace of its own sees
// at file. A path says little: the file there may still be another.
func (p procfs) ours(id flow.ProcessID, file string) []string {
	theirs, rest, ok := under(p.mounts(strconv.FormatUint(uint64(id.PID), 10)), file)
	if !ok || !p.is(id) {
		return nil
	}
	inside := filepath.Join(theirs.root, rest)
	var found []string
	for _, m := range p.mounts("self") {
		if rest, ok := below(inside, m.root); ok && m.device == theirs.device {
			found = append(found, filepath.Join(m.point, rest))
		}
	}
	return found
}

// isFile reports whether the file that we see at a path is exe, by its file system too:
// sameFile can be deceived by one that the user serves.
func (p procfs) isFile(file string, exe flow.Executable) bool {
	if !sameFile(file, exe) {
		return false
	}
	var st unix.Statx_t
	if unix.Statx(unix.AT_FDCWD, file, 0, unix.STATX_MNT_ID, &st) != nil || st.Mask&unix.STATX_MNT_ID == 0 {
		return false
	}
	for _, m := range p.mounts("self") {
		if m.id == st.Mnt_id {
			return m.device == exe.Device
		}
	}
	return false
}
