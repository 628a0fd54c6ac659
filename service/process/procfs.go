package process

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"sekisho/app/flow"
)

// procfs is the folder where the proc file system is mounted. Processes are named
// with their start, which is checked before and after each reading: a number that was
// given to another process meanwhile gives nothing.
type procfs string

// tick is the unit of the start time in /proc/PID/stat. USER_HZ is 100 on every
// machine that this is built for.
const tick = 10_000_000 // ns

func ticks(start uint64) uint64 { return start / tick }

// kernelThread is PF_KTHREAD of <linux/sched.h>.
const kernelThread = 0x00200000

// reading is a process as /proc shows it.
type reading struct {
	image  *image
	uid    uint32
	parent uint32
}

type stat struct {
	name   string
	parent uint32
	flags  uint64
	start  uint64 // ticks
}

func (p procfs) file(pid uint32, elem string) string {
	return string(p) + "/" + strconv.FormatUint(uint64(pid), 10) + "/" + elem
}

func (p procfs) stat(pid uint32) (stat, bool) {
	b, err := os.ReadFile(p.file(pid, "stat"))
	if err != nil {
		return stat{}, false
	}
	return parseStat(b)
}

// parseStat reads /proc/PID/stat. The name stands in parentheses and may hold any.
func parseStat(b []byte) (stat, bool) {
	open, end := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
	if open < 0 || end < open {
		return stat{}, false
	}
	f := strings.Fields(string(b[end+1:])) // from field 3 on
	if len(f) < 20 {
		return stat{}, false
	}
	parent, err1 := strconv.ParseUint(f[1], 10, 32)
	flags, err2 := strconv.ParseUint(f[6], 10, 64)
	start, err3 := strconv.ParseUint(f[19], 10, 64)
	if errors.Join(err1, err2, err3) != nil {
		return stat{}, false
	}
	return stat{string(b[open+1 : end]), uint32(parent), flags, start}, true
}

// is reports whether the process with this number is still the one that is meant.
func (p procfs) is(id flow.ProcessID) bool {
	st, ok := p.stat(id.PID)
	return ok && st.start == ticks(id.Start)
}

// Runs reports whether a process still runs. It may be called from any goroutine.
func Runs(id flow.ProcessID) bool { return procfs("/proc").is(id) }

// read is all that /proc tells of a process; false if it is gone or has no program.
// The image has no Executable: a link in /proc is no proof of identity.
func (p procfs) read(id flow.ProcessID) (reading, bool) {
	st, ok := p.stat(id.PID)
	if !ok || st.start != ticks(id.Start) {
		return reading{}, false
	}
	e, ok := p.seen(id)
	if st.flags&kernelThread != 0 {
		e, ok = Exec{ID: id}, true
	}
	uid, known := p.uid(id.PID)
	if !ok || !known || !p.is(id) {
		return reading{}, false
	}
	im := newImage(e)
	im.seeded = bootTime()
	im.asKernel(st)
	return reading{im, uid, st.parent}, true
}

// seed is the image of a process that the task iterator showed, with what /proc adds;
// false if the process is gone.
func (p procfs) seed(e Exec) (*image, bool) {
	st, ok := p.stat(e.ID.PID)
	if !ok || st.start != ticks(e.ID.Start) {
		return newImage(e), false
	}
	now, _ := p.seen(e.ID)
	if !p.is(e.ID) {
		return newImage(e), false
	}
	if e.Path == "" {
		e.Path = now.Path
	}
	if len(e.Args) == 0 {
		e.Args, e.ArgsTruncated = now.Args, now.ArgsTruncated
	}
	if e.Dir == "" {
		e.Dir = now.Dir
	}
	im := newImage(e)
	im.asKernel(st)
	return im, true
}

func (im *image) asKernel(st stat) {
	if st.flags&kernelThread == 0 {
		return
	}
	im.kernel = true
	im.program.Name = st.name
}

// seen reads the program, the arguments and the folder of whoever has this number;
// false if it has no program.
func (p procfs) seen(id flow.ProcessID) (Exec, bool) {
	e := Exec{ID: id}
	e.Path = p.executable(id.PID)
	if e.Path == "" {
		return e, false
	}
	e.UserNS = p.userNS(strconv.FormatUint(uint64(id.PID), 10))
	e.Args, e.ArgsTruncated = p.args(id.PID)
	if dir, err := os.Readlink(p.file(id.PID, "cwd")); err == nil && filepath.IsAbs(dir) {
		e.Dir = strings.TrimSuffix(dir, " (deleted)")
	}
	return e, true
}

func (p procfs) executable(pid uint32) string {
	link := p.file(pid, "exe")
	path, err := os.Readlink(link)
	if err != nil || !filepath.IsAbs(path) {
		return ""
	}
	var st unix.Stat_t
	if cut, found := strings.CutSuffix(path, " (deleted)"); found && unix.Stat(link, &st) == nil && st.Nlink == 0 {
		return cut
	}
	return path
}

// pathOf is the path of what a living process runs, if that is exe.
func (p procfs) pathOf(id flow.ProcessID, exe flow.Executable) string {
	if exe.IsZero() || !sameFile(p.file(id.PID, "exe"), exe) {
		return ""
	}
	path := p.executable(id.PID)
	if !p.is(id) {
		return ""
	}
	return path
}

func (p procfs) args(pid uint32) ([]string, bool) {
	f, err := os.Open(p.file(pid, "cmdline"))
	if err != nil {
		return nil, true
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, 2*MaxArgs))
	if err != nil || len(b) == 0 {
		return nil, err != nil
	}
	return strings.Split(strings.TrimSuffix(string(b), "\x00"), "\x00"), len(b) == 2*MaxArgs
}

// uid is the real user, as the kernel's events have it.
func (p procfs) uid(pid uint32) (uint32, bool) {
	b, err := os.ReadFile(p.file(pid, "status"))
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "Uid:"); ok {
			f := strings.Fields(rest)
			if len(f) == 0 {
				return 0, false
			}
			n, err := strconv.ParseUint(f[0], 10, 32)
			return uint32(n), err == nil
		}
	}
	return 0, false
}

// parent names the parent of a process that was read. Its Start is rounded down to a
// tick, which is all that /proc knows.
func (p procfs) parent(id flow.ProcessID, child reading) (flow.ProcessID, bool) {
	if child.parent == 0 {
		return flow.ProcessID{}, false
	}
	up, ok := p.stat(child.parent)
	if !ok {
		return flow.ProcessID{}, false
	}
	// Had the parent ended in between, the child would have another one by now.
	now, ok := p.stat(id.PID)
	if !ok || now.start != ticks(id.Start) || now.parent != child.parent {
		return flow.ProcessID{}, false
	}
	return flow.ProcessID{PID: child.parent, Start: up.start * tick}, true
}

// userNS is the inode number of the user namespace of a process, by its number or
// "self"; 0 if that cannot be told.
func (p procfs) userNS(pid string) uint32 {
	var st unix.Stat_t
	if unix.Stat(string(p)+"/"+pid+"/ns/user", &st) != nil {
		return 0
	}
	return uint32(st.Ino)
}

// cgroup is the path of the process in cgroup v2, from its root.
func (p procfs) cgroup(id flow.ProcessID) (string, bool) {
	if !p.is(id) {
		return "", false
	}
	b, err := os.ReadFile(p.file(id.PID, "cgroup"))
	if err != nil || !p.is(id) {
		return "", false
	}
	for line := range strings.Lines(string(b)) {
		if path, ok := strings.CutPrefix(line, "0::"); ok {
			return strings.TrimSuffix(strings.TrimSuffix(path, "\n"), " (deleted)"), true
		}
	}
	return "", false
}
