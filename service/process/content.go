package process

import (
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"sekisho/app/flow"
	"sekisho/service/process/installed"
)

// content is an open file whose content is to be judged.
type content struct {
	*os.File
	id  contentID
	exe flow.Executable
}

// contentID is a file at one moment: whatever writes to it changes one of these.
type contentID struct {
	device, inode uint64
	ctime         unix.Timespec
	size          int64
}

// openContent opens the file at path, if it is exe (or exe is zero).
func openContent(path string, exe flow.Executable) (*content, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	c := &content{File: f, exe: exe}
	if c.id, err = c.now(); err != nil {
		f.Close()
		return nil, err
	}
	return c, nil
}

func (c *content) now() (contentID, error) {
	if !c.exe.IsZero() {
		if err := isExecutable(c.File, c.exe, false); err != nil {
			return contentID{}, err
		}
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(c.Fd()), &st); err != nil {
		return contentID{}, fmt.Errorf("stat: %w", err)
	}
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return contentID{}, ErrReplaced
	case st.Size > MaxSum:
		return contentID{}, ErrTooLarge
	}
	return contentID{st.Dev, st.Ino, st.Ctim, st.Size}, nil
}

// sum reads the file, which must stay the same meanwhile.
func (c *content) sum(a installed.Algorithm) (string, error) {
	h := a.New()
	if _, err := io.Copy(h, io.LimitReader(c.File, MaxSum)); err != nil {
		return "", err
	}
	if id, err := c.now(); err != nil || id != c.id {
		return "", ErrReplaced
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// contents remembers what files were found to be, as long as the packages don't change.
type contents struct {
	mu         sync.Mutex
	generation uint64
	known      map[contentID]flow.Integrity
}

const maxContents = 4096

func (c *contents) verdict(id contentID, generation uint64) (flow.Integrity, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	is, ok := c.known[id]
	return is, ok && generation == c.generation
}

func (c *contents) keep(id contentID, generation uint64, is flow.Integrity) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if generation != c.generation || len(c.known) >= maxContents {
		c.generation, c.known = generation, map[contentID]flow.Integrity{}
	}
	c.known[id] = is
}
