package daemon

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"
)

// inEveryNetns runs f in each network namespace that a thread is in or that has a name,
// on a thread of its own that ends with it. Those that are gone meanwhile are left out.
func inEveryNetns(f func() error) error {
	paths, err := filepath.Glob("/proc/[0-9]*/task/[0-9]*/ns/net")
	if err != nil {
		return err
	}
	named, err := filepath.Glob("/run/netns/*")
	if err != nil {
		return err
	}
	return onOwnThread(func() error {
		seen := map[uint64]bool{}
		var errs []error
		for _, p := range append(paths, named...) {
			var s unix.Stat_t
			if unix.Stat(p, &s) != nil || seen[s.Ino] {
				continue
			}
			seen[s.Ino] = true
			if err := enter(p); err != nil {
				continue
			}
			if err := f(); err != nil {
				errs = append(errs, fmt.Errorf("in %s: %w", p, err))
			}
		}
		return errors.Join(errs...)
	})
}

// onOwnThread runs f on a thread that ends with it, so that it may change namespaces.
func onOwnThread(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		done <- f()
	}()
	return <-done
}

func enter(netns string) error {
	fd, err := unix.Open(netns, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Setns(fd, unix.CLONE_NEWNET)
}
