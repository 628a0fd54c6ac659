package process

import (
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"sekisho/app/flow"
)

// ctimeMask leaves the nanoseconds of a change time: from 6.13 on the kernel keeps a
// flag above them.
const ctimeMask = 0x3fffffff

// sameFile reports whether the file at path is the one that the kernel executed.
func sameFile(path string, exe flow.Executable) bool {
	var st unix.Stat_t
	return path != "" && !exe.IsZero() && unix.Stat(path, &st) == nil && matches(&st, path, exe)
}

// matches compares by inode and change time. Devices are not compared: on btrfs and
// overlays stat shows others than the kernel uses; overlays may number inodes
// differently too, and there the change time has to do.
func matches(st *unix.Stat_t, path string, exe flow.Executable) bool {
	if st.Ctim.Sec != exe.Ctime || uint32(st.Ctim.Nsec)&ctimeMask != exe.CtimeNano&ctimeMask {
		return false
	}
	if st.Ino == exe.Inode {
		return true
	}
	var fs unix.Statfs_t
	return unix.Statfs(path, &fs) == nil && fs.Type == unix.OVERLAYFS_SUPER_MAGIC
}

// script resolves the script that a process was started with to the file that the
// interpreter opens. False if that cannot be told, or if the process sees another
// file of that name than everybody else does.
func (p procfs) script(id flow.ProcessID, from, rel string) (string, bool) {
	if crosses(rel) {
		return "", false // a folder on the way may have been another one
	}
	root, foreign := p.root(id)
	path := filepath.Join(from, rel)
	if !foreign {
		return path, true
	}
	theirs, err1 := os.Stat(root + path)
	ours, err2 := os.Stat(path)
	return path, err1 == nil && err2 == nil && os.SameFile(theirs, ours)
}

// root is the root folder of a living process, and whether it, or what is mounted
// there, is another than ours.
func (p procfs) root(id flow.ProcessID) (string, bool) {
	if !p.is(id) {
		return "", false
	}
	root := p.file(id.PID, "root")
	at, err1 := os.Readlink(root)
	theirs, err2 := os.Readlink(p.file(id.PID, "ns/mnt"))
	ours, err3 := os.Readlink(string(p) + "/self/ns/mnt")
	if err1 != nil || err2 != nil || err3 != nil || !p.is(id) {
		return "", false // it is gone, or going
	}
	return root, at != "/" || theirs != ours
}

// crosses reports whether a path goes up again from a folder that it names: what is
// above that is the link's business, if the folder is one.
func crosses(rel string) bool {
	named := false
	for elem := range strings.SplitSeq(rel, "/") {
		switch elem {
		case "", ".":
		case "..":
			if named {
				return true
			}
		default:
			named = true
		}
	}
	return false
}
