package process

import (
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"sekisho/app/flow"
)

// Provenance tells where p's file came from, for a person who is asked about it. It looks
// at files, on disks that may be slow, and never reads a whole one: call it where nobody
// waits. What cannot be told is empty; so is all of it for code that is in no file.
func (t *Tracker) Provenance(p *flow.Process) flow.Provenance {
	if !p.IsFile() || p.Inline {
		return flow.Provenance{}
	}
	from := flow.Provenance{File: p.Path, Package: p.Package}
	exe := p.Executable
	if p.Script != "" {
		from.File, from.Package, exe = p.Script, "", flow.Executable{}
	}
	file, err := t.see(p, from.File, exe)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrReplaced) {
		from.Gone = errors.Is(err, fs.ErrNotExist)
		return from
	}
	if err != nil {
		return from
	}
	if p.Script != "" && t.packages != nil && file.path == from.File {
		from.Package = t.packages.Of(from.File)
	}
	from.Appeared = file.appeared
	from.Origin = origin(file.path)
	if p.UID != 0 {
		from.Writable = writable(file.root, from.File, p.UID, t.groups(p))
	}
	if t.writers != nil {
		from.Writer = t.writers.Of(file.id)
		if w := from.Writer; w != nil && w.At.After(from.Appeared) {
			from.Appeared = w.At
		}
	}
	return from
}

// seen is a file as its process sees it.
type seen struct {
	path     string // where we see it
	root     string // what stands before its path there, "" for our own root folder
	id       fileID
	appeared time.Time
}

// fileID names a file on this machine, as statx has it: with its birth, since numbers are
// given again.
type fileID struct {
	device uint64
	inode  uint64
	born   unix.StatxTimestamp
}

func idOfFile(st *unix.Statx_t) fileID {
	id := fileID{device: unix.Mkdev(st.Dev_major, st.Dev_minor), inode: st.Ino}
	if st.Mask&unix.STATX_BTIME != 0 {
		id.born = unix.StatxTimestamp{Sec: st.Btime.Sec, Nsec: st.Btime.Nsec}
	}
	return id
}

// see looks at the file that p has at path, which is exe if that is known.
func (t *Tracker) see(p *flow.Process, path string, exe flow.Executable) (seen, error) {
	first := error(nil)
	roots := []string{""}
	if root, foreign := t.proc.root(p.ProcessID); foreign {
		roots = []string{root, ""} // gone meanwhile, our own has to do
	}
	for _, root := range roots {
		s, err := lookAt(root+path, exe)
		if err == nil {
			s.root = root
			return s, nil
		}
		if first == nil {
			first = err
		}
	}
	return seen{}, first
}

func lookAt(path string, exe flow.Executable) (seen, error) {
	var st unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, path, unix.AT_STATX_DONT_SYNC, unix.STATX_BASIC_STATS|unix.STATX_BTIME, &st)
	if err != nil {
		return seen{}, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	if !exe.IsZero() && !sameFile(path, exe) {
		return seen{}, ErrReplaced
	}
	return seen{path: path, id: idOfFile(&st), appeared: appeared(&st)}, nil
}

// appeared is when a file was made or last written to. The time of writing can be set to
// any; that of the inode's change cannot, but changes with a mere chmod or link: so the
// earlier of both is believed. Where the file system doesn't say when the file was made it
// is that alone.
func appeared(st *unix.Statx_t) time.Time {
	at := func(s unix.StatxTimestamp) time.Time { return time.Unix(s.Sec, int64(s.Nsec)) }
	written := at(st.Mtime)
	if c := at(st.Ctime); c.Before(written) {
		written = c
	}
	if st.Mask&unix.STATX_BTIME != 0 && at(st.Btime).After(written) {
		return at(st.Btime)
	}
	return written
}

// origin is the host in the mark that browsers, curl --xattr and wget --xattr leave.
func origin(path string) string {
	var b [2048]byte
	n, err := unix.Getxattr(path, "user.xdg.origin.url", b[:])
	if err != nil || n <= 0 {
		return ""
	}
	u, err := url.Parse(strings.TrimRight(string(b[:n]), "\x00"))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "ftp" {
		return ""
	}
	host := u.Hostname()
	if len(host) > 253 || strings.ContainsFunc(host, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return ""
	}
	return host
}

// writable is the nearest of a file and the folders above it that an account can write to,
// without what stands before them.
func writable(root, path string, uid uint32, groups []uint32) string {
	child := uint32(0) // the owner of what is below
	for p := path; ; p = filepath.Dir(p) {
		var s unix.Stat_t
		if unix.Stat(root+p, &s) != nil {
			return ""
		}
		others := s.Mode&unix.S_IFMT == unix.S_IFDIR && s.Mode&unix.S_ISVTX != 0 && s.Uid != uid && child != uid
		if !others && mayWrite(root+p, &s, uid, groups) {
			return p
		}
		if p == "/" {
			return ""
		}
		child = s.Uid
	}
}

// mayWrite is the kernel's test for an account without privileges (acl(5)): the owner may
// always give the right to themselves.
func mayWrite(path string, s *unix.Stat_t, uid uint32, groups []uint32) bool {
	var fs unix.Statfs_t
	if unix.Statfs(path, &fs) == nil && fs.Flags&unix.ST_RDONLY != 0 {
		return false
	}
	if s.Uid == uid {
		return true
	}
	if entries := accessList(path); len(entries) > 0 {
		return entries.mayWrite(s.Gid, uid, groups)
	}
	for _, g := range groups {
		if g == s.Gid {
			return s.Mode&0o020 != 0
		}
	}
	return s.Mode&0o002 != 0
}
