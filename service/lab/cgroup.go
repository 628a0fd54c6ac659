package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// cgroupRoot is where cgroup v2 is mounted.
func cgroupRoot() (string, error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", fmt.Errorf("find cgroup v2: %w", err)
	}
	for line := range strings.Lines(string(mounts)) {
		before, after, ok := strings.Cut(line, " - ")
		if field := strings.Fields(before); ok && strings.HasPrefix(after, "cgroup2 ") && len(field) > 4 {
			return field[4], nil
		}
	}
	return "", errors.New("find cgroup v2: it is not mounted")
}

func (l *Lab) makeCgroups() error {
	root, err := cgroupRoot()
	if err != nil {
		return err
	}
	l.cgroup = filepath.Join(root, l.name)
	l.Filtered = filepath.Join(l.cgroup, "filtered")
	l.Others = filepath.Join(l.cgroup, "others")
	l.onClose(func() error { return removeCgroup(l.cgroup) })
	for _, dir := range []string{l.cgroup, l.Filtered, l.Others} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return fmt.Errorf("make control group: %w", err)
		}
	}
	return nil
}

// killAll ends every program in the lab's control groups.
func (l *Lab) killAll() error {
	if l.cgroup == "" {
		return nil
	}
	return killCgroup(l.cgroup)
}

func killCgroup(dir string) error {
	err := os.WriteFile(filepath.Join(dir, "cgroup.kill"), []byte("1"), 0)
	if errors.Is(err, fs.ErrNotExist) {
		if _, gone := os.Stat(dir); gone != nil {
			return nil
		}
	}
	return err
}

// removeCgroup ends the programs in a control group and removes it with all below.
func removeCgroup(dir string) error {
	if err := killCgroup(dir); err != nil {
		return err
	}
	var err error
	// A program that was killed is in its group until it is gone for good.
	for wait := time.Millisecond; wait < 4*time.Second; wait *= 2 {
		if err = removeEmpty(dir); err == nil || errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		time.Sleep(wait)
	}
	return fmt.Errorf("remove control group: %w", err)
}

func removeEmpty(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := removeEmpty(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return os.Remove(dir)
}
