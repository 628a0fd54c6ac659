package bpf

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

const bpffs = "/sys/fs/bpf"

// Tag is a short name for everything in the kernel that belongs to the service with
// this state folder, so that several services never touch each other's.
func Tag(state string) string {
	if abs, err := filepath.Abs(state); err == nil {
		state = abs
	}
	if real, err := filepath.EvalSymlinks(state); err == nil {
		state = real
	}
	sum := sha256.Sum256([]byte(state))
	return hex.EncodeToString(sum[:4])
}

// Pins is the folder in bpffs of the service with this tag.
func Pins(tag string) string { return filepath.Join(bpffs, "sekisho-"+tag) }

// mountBPFFS mounts bpffs where every system has it, if this one has not.
func mountBPFFS() error {
	var s unix.Statfs_t
	if err := unix.Statfs(bpffs, &s); err != nil {
		return fmt.Errorf("look at %s: %w", bpffs, err)
	}
	if s.Type == unix.BPF_FS_MAGIC {
		return nil
	}
	if err := unix.Mount("bpf", bpffs, "bpf", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=0700"); err != nil {
		return fmt.Errorf("mount bpffs on %s: %w", bpffs, err)
	}
	return nil
}

// mountTracefs mounts tracefs where every system has it, if this one has not: the classic
// tracepoints have their numbers there.
func mountTracefs() error {
	const dir = "/sys/kernel/tracing"
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return fmt.Errorf("look at %s: %w", dir, err)
	}
	if s.Type == unix.TRACEFS_MAGIC {
		return nil
	}
	if err := unix.Mount("tracefs", dir, "tracefs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=0700"); err != nil {
		return fmt.Errorf("mount tracefs on %s: %w", dir, err)
	}
	return nil
}

// RemovePins lets go of everything that the service with this tag pinned; the kernel
// then detaches the programs and frees the maps. It is no error if there is nothing.
func RemovePins(tag string) error {
	dir := Pins(tag)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("list pins: %w", err)
	}
	var errs []error
	for _, e := range entries {
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
			errs = append(errs, fmt.Errorf("remove pin: %w", err))
		}
	}
	if err := os.Remove(dir); err != nil {
		errs = append(errs, fmt.Errorf("remove pins: %w", err))
	}
	return errors.Join(errs...)
}
