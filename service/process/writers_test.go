package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sekisho/app/flow"
)

// inMounts runs f on a thread with mounts of its own, of which a tmpfs at dir is one.
func inMounts(t *testing.T, dir string, f func()) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with its namespace
		err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS)
		if err == nil {
			err = unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
		}
		if err == nil {
			err = unix.Mount("none", dir, "tmpfs", 0, "mode=0777")
		}
		if err == nil {
			f()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// as runs a program as an ordinary account; a Tracker would have seen its exec.
func as(t *testing.T, tr *Tracker, dir, file string, args ...string) {
	t.Helper()
	cmd := exec.Command(file, args...)
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 12345, Gid: 12345}}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Error(err)
		return
	}
	if err := cmd.Start(); err != nil {
		t.Error(err)
		return
	}
	id := idOf(t, cmd.Process.Pid)
	tr.Exec(Exec{ID: id, UID: 12345, Path: file, Args: append([]string{file}, args...), Dir: dir, Executable: identity(t, file)})
	in.Close()
	if err := cmd.Wait(); err != nil {
		t.Errorf("%s %q: %v", file, args, err)
	}
	tr.Exit(id)
}

// openFolder is one that every account can look into.
func openFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for d := dir; d != "/tmp" && d != "/"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestWriters(t *testing.T) {
	dir := openFolder(t)
	// The "browser" is a program of the system, and "stage1" is what it saves.
	browser := write(t, filepath.Join(dir, "firefox"), string(mustRead(t, which(t, "dash"))), 0o755)
	home := filepath.Join(dir, "home")
	if err := os.Mkdir(home, 0o755); err != nil {
		t.Fatal(err)
	}
	w := NewWriters()
	tr := tracker(t, Config{Writers: w})
	inMounts(t, home, func() {
		watching, err := newWatch()
		if err != nil {
			t.Error(err)
			return
		}
		if err := watching.mark(home); err != nil {
			t.Error(err)
			return
		}
		namespace, err := os.Open(fmt.Sprintf("/proc/self/task/%d/ns/mnt", unix.Gettid()))
		if err != nil {
			t.Error(err)
			return
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() {
			runtime.LockOSThread() // paths are those that the programs see
			err := errors.Join(unix.Unshare(unix.CLONE_FS), unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNS), namespace.Close())
			if err == nil {
				err = w.follow(ctx, watching, nil)
			}
			ended <- err
		}()
		defer func() {
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}()

		shell := which(t, "dash")
		as(t, tr, home, browser, "-c", "read x; cat "+shell+" > stage1.part; echo text > page.html; echo 'print(1)' > tool.py; echo '#!/bin/sh' > run; cp run copied")
		is := func(file, name string, fresh bool) {
			t.Helper()
			file = filepath.Join(home, file)
			var by *flow.Writer
			for i := 0; i < 1000; i++ {
				s, err := lookAt(file, flow.Executable{})
				if err != nil {
					t.Error(err)
					return
				}
				if by = w.Of(s.id); by != nil || name == "" {
					break
				}
				time.Sleep(time.Millisecond)
			}
			if by == nil && name != "" || by != nil && (by.Name != name || by.Fresh != fresh) {
				t.Errorf("%s was written by %+v, want %q (fresh %v)", file, by, name, fresh)
			}
		}
		// The shell opens the file and cat, which it forks, writes; whoever closes last is named.
		is("tool.py", "firefox", false)
		is("run", "firefox", false)
		is("page.html", "", false)
		if err := os.Rename(filepath.Join(home, "stage1.part"), filepath.Join(home, "stage1")); err != nil {
			t.Error(err)
		}
		if err := os.Chmod(filepath.Join(home, "stage1"), 0o755); err != nil {
			t.Error(err)
		}
		// What was saved writes the next stage.
		as(t, tr, home, filepath.Join(home, "stage1"), "-c", "read x; echo '#!/bin/sh' > stage2")
		is("stage2", "stage1", true)
		// One that is gone by the time that somebody looks.
		as(t, tr, home, filepath.Join(home, "stage1"), "-c", "read x; rm stage1; echo '#!/bin/sh' > stage3")
		is("stage3", "stage1", true)
		// Overwritten by root with what is no program: it is nobody's.
		if err := os.WriteFile(filepath.Join(home, "tool.py"), nil, 0o644); err != nil {
			t.Error(err)
		}
		out, err := exec.Command(shell, "-c", "echo > "+filepath.Join(home, "stage2")).CombinedOutput()
		if err != nil {
			t.Errorf("%v: %s", err, out)
		}
		for i := 0; i < 1000; i++ {
			s, err := lookAt(filepath.Join(home, "stage2"), flow.Executable{})
			if err != nil || w.Of(s.id) == nil {
				break
			}
			time.Sleep(time.Millisecond)
		}
		is("stage2", "", false)
	})
	if w.Lost() != 0 {
		t.Errorf("%d events were lost", w.Lost())
	}
}

func mustRead(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestWritersAreBounded(t *testing.T) {
	w := NewWriters()
	for i := range uint64(maxWritten + 100) {
		w.remember(fileID{inode: i}, flow.Writer{Name: fmt.Sprint(i)})
	}
	if len(w.written) != maxWritten || w.latest.Len() != maxWritten {
		t.Errorf("%d files", len(w.written))
	}
	if w.Of(fileID{inode: 99}) != nil || w.Of(fileID{inode: 100}) == nil {
		t.Error("not the oldest went")
	}
}

// A file system that is mounted later is watched too, and Run ends with its context.
func TestWritersSeeNewMounts(t *testing.T) {
	dir := openFolder(t)
	w := NewWriters()
	tr := tracker(t, Config{Writers: w})
	inMounts(t, dir, func() {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		namespace, err := os.Open(fmt.Sprintf("/proc/self/task/%d/ns/mnt", unix.Gettid()))
		if err != nil {
			t.Error(err)
			return
		}
		ended := make(chan error)
		go func() {
			runtime.LockOSThread()
			err := errors.Join(unix.Unshare(unix.CLONE_FS), unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNS), namespace.Close())
			if err == nil {
				err = w.Run(ctx)
			}
			ended <- err
		}()
		later := filepath.Join(dir, "later")
		if err := errors.Join(os.Mkdir(later, 0o755), unix.Mount("none", later, "tmpfs", 0, "mode=0777")); err != nil {
			t.Error(err)
		}
		found := false
		for i := 0; i < 200 && !found; i++ { // it is watched a moment after it was mounted
			as(t, tr, later, which(t, "dash"), "-c", "read x; echo '#!/bin/sh' > run; true")
			time.Sleep(5 * time.Millisecond)
			s, err := lookAt(filepath.Join(later, "run"), flow.Executable{})
			if err != nil {
				t.Error(err)
				break
			}
			by := w.Of(s.id)
			found = by != nil && by.Name == "dash"
		}
		if !found {
			t.Error("nobody wrote it")
		}
		gone := errors.New("not tried")
		for i := 0; i < 200 && gone != nil; i++ { // a file may still be looked at
			gone = unix.Unmount(later, 0)
			time.Sleep(time.Millisecond)
		}
		if gone != nil {
			t.Errorf("it cannot be unmounted: %v", gone)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// What it costs a program that its files are watched.
func BenchmarkWrittenFile(b *testing.B) {
	for _, watched := range []bool{false, true} {
		b.Run(fmt.Sprintf("watched=%v", watched), func(b *testing.B) {
			dir := b.TempDir()
			if err := unix.Mount("none", dir, "tmpfs", 0, ""); err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
			if watched {
				watching, err := newWatch()
				if err != nil {
					b.Fatal(err)
				}
				if err := watching.mark(dir); err != nil {
					b.Fatal(err)
				}
				ctx, cancel := context.WithCancel(b.Context())
				ended := make(chan error)
				w := NewWriters()
				w.who = func(uint32) (flow.Writer, bool) { return flow.Writer{}, true }
				go func() { ended <- w.follow(ctx, watching, nil) }()
				b.Cleanup(func() { cancel(); <-ended })
			}
			file := filepath.Join(dir, "file")
			for b.Loop() {
				if err := os.WriteFile(file, []byte("some text"), 0o644); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
