package lab

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// NewOnMachine makes a lab whose only host, Home, is this machine itself, with its own
// network, files and pins: for trying the firewall on programs of a person's choice.
// Only the programs in the Filtered group are ever touched. Remote and DNS are nil.
func NewOnMachine(t T) *Lab {
	t.Helper()
	sweepOnce(t)
	l := newLab(t)
	err := l.makeDir()
	if err == nil {
		err = l.makeCgroups()
	}
	if err == nil {
		err = l.addMachine()
	}
	if err != nil {
		t.Fatalf("open lab: %v", err)
	}
	return l
}

func (l *Lab) addMachine() error {
	mounted, err := isBPF(bpfDir)
	if err != nil {
		return err
	}
	if !mounted {
		// Mounted for the lab, so that it goes with the lab.
		if err := unix.Mount("bpf", bpfDir, "bpf", 0, "mode=0700"); err != nil {
			return fmt.Errorf("mount %s: %w", bpfDir, err)
		}
		l.onClose(func() error { return unix.Unmount(bpfDir, unix.MNT_DETACH) })
	}
	ns := &namespace{net: netns.None(), work: make(chan func()), done: make(chan struct{})}
	ready := make(chan error)
	onOwnThread(func() {
		defer close(ns.done)
		var err error
		ns.net, err = netns.Get()
		ready <- err
		if err == nil {
			ns.serve()
		}
	})
	if err := <-ready; err != nil {
		return fmt.Errorf("open network namespace: %w", err)
	}
	l.onClose(func() error { ns.close(); return nil })
	l.Home = &Host{Name: "machine", lab: l, ns: ns}
	return nil
}

// isBPF reports whether a bpf file system is mounted on a directory.
func isBPF(dir string) (bool, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		if errors.Is(err, unix.ENOENT) {
			return false, nil
		}
		return false, fmt.Errorf("look at %s: %w", dir, err)
	}
	return s.Type == unix.BPF_FS_MAGIC, nil
}
