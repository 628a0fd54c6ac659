package process

import (
	"container/list"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"sekisho/app/flow"
)

const (
	// MaxSum bounds the size of a file that a checksum is made of.
	MaxSum  = 512 << 20
	maxSums = 1024
)

var (
	// ErrReplaced means that the file that was executed is at that path no more.
	ErrReplaced = errors.New("the file was replaced")
	// ErrTooLarge means that the file is larger than MaxSum.
	ErrTooLarge = errors.New("the file is too large")
)

// sums remembers checksums by identity, the ones not asked for the longest dropped
// first.
type sums struct {
	mu    sync.Mutex
	known map[flow.Executable]*list.Element
	used  *list.List // of *sum, the latest first
}

type sum struct {
	exe  flow.Executable
	once sync.Once
	hex  string
	err  error
}

// Sum is the SHA-256 of an executable in lower-case hex, read through a process that
// runs it or, where none lives, from path if that is still the same file. The first
// call reads the whole file and takes as long. Errors: ErrReplaced, ErrTooLarge, and
// those of reading; they are not remembered.
func (t *Tracker) Sum(path string, exe flow.Executable) (string, error) {
	if exe.IsZero() {
		return "", fmt.Errorf("sum %s: the executable's identity is unknown", path)
	}
	s := t.sums.get(exe)
	s.once.Do(func() { s.hex, s.err = t.sum(path, exe) })
	if s.err != nil {
		t.sums.forget(s)
		return "", fmt.Errorf("sum %s: %w", path, s.err)
	}
	return s.hex, nil
}

func (s *sums) get(exe flow.Executable) *sum {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil {
		s.known, s.used = map[flow.Executable]*list.Element{}, list.New()
	}
	if e, ok := s.known[exe]; ok {
		s.used.MoveToFront(e)
		return e.Value.(*sum)
	}
	if len(s.known) >= maxSums {
		last := s.used.Remove(s.used.Back()).(*sum)
		delete(s.known, last.exe)
	}
	made := &sum{exe: exe}
	s.known[exe] = s.used.PushFront(made)
	return made
}

func (s *sums) forget(failed *sum) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := s.known[failed.exe]; ok && e.Value.(*sum) == failed {
		s.used.Remove(e)
		delete(s.known, failed.exe)
	}
}

func (t *Tracker) sum(path string, exe flow.Executable) (string, error) {
	for _, link := range t.links(exe) {
		sum, err := hash(link, exe, true)
		if err == nil || errors.Is(err, ErrTooLarge) {
			return sum, err
		}
	}
	return hash(path, exe, false)
}

// links are the /proc/PID/exe of some processes that run exe.
func (t *Tracker) links(exe flow.Executable) []string {
	t.mu.RLock()
	defer t.mu.RUnlock()
	var files []string
	for e := t.alive.Front(); e != nil && len(files) < 4; e = e.Next() {
		if r := e.Value.(*record); r.image != nil && r.image.executable == exe {
			files = append(files, t.proc.file(r.id.PID, "exe"))
		}
	}
	return files
}

// hash reads a file if it is exe, from the beginning of the reading to its end. A file
// that is running may have lost its name since.
func hash(file string, exe flow.Executable, running bool) (string, error) {
	f, err := os.OpenFile(file, os.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if err := isExecutable(f, exe, running); err != nil {
		return "", err
	}
	h := sha256.New()
	n, err := io.Copy(h, io.LimitReader(f, MaxSum+1))
	if err != nil {
		return "", err
	}
	if n > MaxSum {
		return "", ErrTooLarge
	}
	if err := isExecutable(f, exe, running); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func isExecutable(f *os.File, exe flow.Executable, running bool) error {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return fmt.Errorf("stat: %w", err)
	}
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return ErrReplaced
	case matches(&st, f.Name(), exe):
	case running && unnamed(&st, exe):
	default:
		return ErrReplaced
	}
	if st.Size > MaxSum {
		return ErrTooLarge
	}
	return nil
}

// unnamed reports whether a file is exe without its name: an update that replaces a
// running program changes the old file's change time, not what is in it.
func unnamed(st *unix.Stat_t, exe flow.Executable) bool {
	return st.Nlink == 0 && st.Ino == exe.Inode &&
		(st.Mtim.Sec < exe.Ctime || st.Mtim.Sec == exe.Ctime && uint32(st.Mtim.Nsec) <= exe.CtimeNano&ctimeMask)
}
