package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// bpfDir is where programs and maps are pinned.
const bpfDir = "/sys/fs/bpf"

// What every host has in /etc. Names come from its hosts file and the lab's DNS
// server alone, whatever the machine itself asks.
const (
	etcHosts    = "127.0.0.1 localhost\n::1 localhost\n"
	etcNsswitch = "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nnetworks: files\nprotocols: files\nservices: files\n"
)

// furnish gives the host's programs files of their own in /etc, a bpf file system of
// their own, and no name cache of the machine's.
func (h *Host) furnish() error {
	etc := h.lab.file("etc")
	if err := os.Mkdir(etc, 0o755); err != nil {
		return err
	}
	h.resolv, h.hosts = filepath.Join(etc, "resolv.conf"), filepath.Join(etc, "hosts")
	files := map[string]string{"resolv.conf": "", "hosts": etcHosts, "nsswitch.conf": etcNsswitch}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(etc, name), []byte(content), 0o644); err != nil {
			return err
		}
	}
	return h.ns.do(func() error {
		for name := range files {
			if err := bind(filepath.Join(etc, name), filepath.Join("/etc", name)); err != nil {
				return err
			}
		}
		if err := hide("/run/nscd"); err != nil {
			return err
		}
		if err := unix.Mount("bpf", bpfDir, "bpf", 0, "mode=0700"); err != nil {
			return fmt.Errorf("mount %s: %w", bpfDir, err)
		}
		return nil
	})
}

func bind(file, over string) error {
	target, err := filepath.EvalSymlinks(over)
	if err != nil {
		return fmt.Errorf("mount over %s: %w", over, err)
	}
	if err := unix.Mount(file, target, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount over %s: %w", target, err)
	}
	return nil
}

func hide(dir string) error {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := unix.Mount("none", dir, "tmpfs", 0, ""); err != nil {
		return fmt.Errorf("hide %s: %w", dir, err)
	}
	return nil
}
