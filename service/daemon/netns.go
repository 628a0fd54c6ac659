package daemon

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// inEveryNetns runs f in each network namespace that a thread is in or that has a name,
// on a thread of its own that ends with it. Those that are gone meanwhile are left out.
func inEveryNetns(f func() error) error {
	others, err := otherNetns()
	if err != nil {
		return err
	}
	return onOwnThread(func() error {
		errs := []error{f()}
		for _, p := range others {
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

// otherNetns finds the network namespaces but our own that some thread is in or that have
// a name: a path to each, by inode number.
func otherNetns() (map[uint64]string, error) {
	var own unix.Stat_t
	if err := unix.Stat("/proc/self/ns/net", &own); err != nil {
		return nil, fmt.Errorf("look at our own network namespace: %w", err)
	}
	found := map[uint64]string{}
	note := func(path string) {
		var s unix.Stat_t
		if unix.Stat(path, &s) == nil && s.Ino != own.Ino && found[s.Ino] == "" {
			found[s.Ino] = path
		}
	}
	named, _ := filepath.Glob("/run/netns/*")
	for _, p := range named {
		note(p)
	}
	pids, err := folder("/proc")
	if err != nil {
		return nil, fmt.Errorf("look for network namespaces: %w", err)
	}
	for _, pid := range pids {
		if strings.Trim(pid, "0123456789") != "" {
			continue
		}
		tasks, err := folder("/proc/" + pid + "/task")
		if err != nil {
			continue // it is gone
		}
		for _, t := range tasks {
			note("/proc/" + pid + "/task/" + t + "/ns/net")
		}
	}
	return found, nil
}

// folder lists a folder of /proc.
func folder(dir string) ([]string, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.Readdirnames(-1)
}

// onOwnThread runs f on a thread that ends with it, so that it may change namespaces.
func onOwnThread(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if unix.Gettid() == unix.Getpid() {
			// All but the first, which stays, and in /proc stands for the whole process.
			done <- onOwnThread(f)
			runtime.UnlockOSThread()
			return
		}
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
