package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// tty is the terminal that a command uses too. For a question it is taken from the
// command, brought into its plain state, and given back as it was.
type tty struct {
	f *os.File
	r *bufio.Reader

	mu      sync.Mutex // guards what is below
	command int        // process id of the command; 0: not started yet
}

// openTTY opens the terminal of this process; nil if it has none.
func openTTY() *tty {
	f, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return nil
	}
	return newTTY(f)
}

func newTTY(f *os.File) *tty {
	// Writing and changing the terminal from behind stops a process otherwise.
	signal.Ignore(syscall.SIGTTOU)
	return &tty{f: f, r: bufio.NewReader(f)}
}

func (t *tty) close() {
	if t != nil {
		_ = t.f.Close() // nothing was kept back
		signal.Reset(syscall.SIGTTOU)
	}
}

// leader tells which process is the command.
func (t *tty) leader(pid int) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.command = pid
}

func (t *tty) Write(b []byte) (int, error) { return t.f.Write(b) }

// take makes this process the terminal's owner until release is called. A shell that
// sits at its own prompt would read the answer, so it is halted meanwhile; a program
// that the shell has started is not, since the shell would notice.
func (t *tty) take() (release func(), err error) {
	var undo []func()
	release = func() {
		for i := len(undo) - 1; i >= 0; i-- {
			undo[i]()
		}
	}
	err = t.control(func(fd int) error {
		owner, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP)
		if err != nil {
			return err
		}
		t.mu.Lock()
		command := t.command
		t.mu.Unlock()
		if own := unix.Getpgrp(); owner != own {
			if owner == command && unix.Kill(command, unix.SIGSTOP) == nil {
				undo = append(undo, func() { _ = unix.Kill(command, unix.SIGCONT) })
			}
			if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPGRP, own); err != nil {
				return err
			}
			undo = append(undo, func() {
				_ = t.control(func(fd int) error { return unix.IoctlSetPointerInt(fd, unix.TIOCSPGRP, owner) })
			})
		}
		before, err := unix.IoctlGetTermios(fd, unix.TCGETS)
		if err != nil {
			return err
		}
		plain := *before
		plain.Lflag |= unix.ICANON | unix.ECHO | unix.ECHOE | unix.ECHOK | unix.ISIG
		plain.Iflag |= unix.ICRNL
		plain.Oflag |= unix.OPOST | unix.ONLCR
		// With what was typed before the question thrown away.
		if err := unix.IoctlSetTermios(fd, unix.TCSETSF, &plain); err != nil {
			return err
		}
		undo = append(undo, func() { _ = t.control(func(fd int) error { return unix.IoctlSetTermios(fd, unix.TCSETS, before) }) })
		return nil
	})
	if err != nil {
		release()
		return nil, err
	}
	t.r.Reset(t.f)
	return release, nil
}

// line reads a line; the context's end calls the read back.
func (t *tty) line(ctx context.Context) (string, error) {
	called := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		_ = t.f.SetReadDeadline(time.Unix(1, 0)) // a terminal takes one
		close(called)
	})
	s, err := t.r.ReadString('\n')
	if !stop() {
		<-called
		_ = t.f.SetReadDeadline(time.Time{})
		return "", ctx.Err()
	}
	if err != nil && (s == "" || !errors.Is(err, io.EOF)) {
		return "", err
	}
	return strings.TrimRight(s, "\r\n"), nil
}

// idle hears nothing: between questions the terminal is the command's.
func (t *tty) idle(ctx context.Context) (string, error) {
	<-ctx.Done()
	return "", ctx.Err()
}

func (t *tty) control(f func(fd int) error) error {
	raw, err := t.f.SyscallConn()
	if err != nil {
		return err
	}
	var did error
	if err := raw.Control(func(fd uintptr) { did = f(int(fd)) }); err != nil {
		return err
	}
	return did
}
