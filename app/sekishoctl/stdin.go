package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// newLines makes the lines of stdin. Its goroutine ends with the input or with the
// process, because a read of stdin cannot be called back.
func newLines(in io.Reader) lines {
	if f, ok := in.(*os.File); ok && isTerminal(in) {
		t := &typed{fd: int(f.Fd()), more: make(chan struct{}, 1), done: make(chan struct{})}
		go t.read()
		return t
	}
	p := &piped{in: in, next: make(chan string), done: make(chan struct{})}
	go p.read()
	return p
}

// piped is what a script says: its lines wait for their questions.
type piped struct {
	in   io.Reader
	next chan string
	done chan struct{}
}

func (p *piped) read() {
	defer close(p.done)
	for s := bufio.NewScanner(p.in); s.Scan(); {
		p.next <- s.Text()
	}
}

func (p *piped) take() (func(), error) { return func() {}, nil }

func (p *piped) line(ctx context.Context) (string, error) {
	select {
	case s := <-p.next:
		return s, nil
	case <-p.done:
		return "", io.EOF
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// idle waits for the end of the script.
func (p *piped) idle(ctx context.Context) (string, error) {
	select {
	case <-p.done:
		return "", io.EOF
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// typed is what a person types at the terminal that is stdin. It is read all the time,
// so that q is heard while nothing is asked.
type typed struct {
	fd   int
	more chan struct{} // there may be another line
	done chan struct{}

	mu    sync.Mutex // guards the reading and what is below
	part  []byte     // of a line
	lines []string
}

func (t *typed) read() {
	defer close(t.done)
	for {
		if !readable(t.fd, -1) {
			continue // a signal
		}
		if !t.some() {
			return
		}
		select {
		case t.more <- struct{}{}:
		default:
		}
	}
}

// some reads what there is; false: the terminal is gone, or its end was typed. While it
// reads, take waits, so that a line is from before a question or from after it.
func (t *typed) some() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !readable(t.fd, 0) {
		return true // take has thrown it away
	}
	b := make([]byte, 4096)
	n, err := unix.Read(t.fd, b)
	switch {
	case errors.Is(err, unix.EINTR), errors.Is(err, unix.EAGAIN):
		return true
	case err != nil || n <= 0:
		return false
	}
	t.part = append(t.part, b[:n]...)
	for {
		line, rest, ok := bytes.Cut(t.part, []byte("\n"))
		if !ok {
			return true
		}
		t.lines, t.part = append(t.lines, string(line)), rest
	}
}

// readable reports whether there is something to read, or an end, within so many
// milliseconds; -1 waits for it.
func readable(fd, wait int) bool {
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, wait)
	return err == nil && n > 0
}

// take forgets what was typed before the question was there.
func (t *typed) take() (func(), error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	_ = unix.IoctlSetInt(t.fd, unix.TCFLSH, unix.TCIFLUSH) // at worst an old line is taken
	t.part, t.lines = nil, nil
	return func() {}, nil
}

func (t *typed) line(ctx context.Context) (string, error) {
	for {
		if s, ok := t.pop(); ok {
			return s, nil
		}
		select {
		case <-t.more:
		case <-t.done:
			if s, ok := t.pop(); ok {
				return s, nil
			}
			return "", io.EOF
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

func (t *typed) idle(ctx context.Context) (string, error) { return t.line(ctx) }

func (t *typed) pop() (string, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.lines) == 0 {
		return "", false
	}
	s := t.lines[0]
	t.lines = t.lines[1:]
	return s, true
}

func isTerminal(r any) bool {
	f, ok := r.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
