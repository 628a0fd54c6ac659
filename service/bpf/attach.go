package bpf

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// Attach puts the process events and the hooks of the cgroup in place, pinned. Links
// that an earlier start left are taken over: the hooks swap their program atomically.
// The process events come first, so that no hook runs before identities are kept.
func (k *Kernel) Attach(cgroup string) error {
	p := &k.objs.kernelPrograms
	if err := mountTracefs(); err != nil {
		return err
	}
	for _, t := range []struct {
		name   string
		attach func() (link.Link, error)
	}{
		{"on_exec", func() (link.Link, error) { return link.AttachTracing(link.TracingOptions{Program: p.OnExec}) }},
		{"on_fork", func() (link.Link, error) { return link.AttachTracing(link.TracingOptions{Program: p.OnFork}) }},
		{"on_exit", func() (link.Link, error) { return link.AttachTracing(link.TracingOptions{Program: p.OnExit}) }},
		{"on_exec_classic", func() (link.Link, error) {
			return link.Tracepoint("sched", "sched_process_exec", p.OnExecClassic, nil)
		}},
		{"on_exit_classic", func() (link.Link, error) {
			return link.Tracepoint("sched", "sched_process_exit", p.OnExitClassic, nil)
		}},
	} {
		if err := k.replaceLink(t.name, t.attach); err != nil {
			return fmt.Errorf("attach %s: %w", t.name, err)
		}
	}
	id, err := cgroupID(cgroup)
	if err != nil {
		return err
	}
	for _, c := range []struct {
		name string
		at   ebpf.AttachType
		prog *ebpf.Program
	}{
		// Owners first, verdicts after: a socket must never be judged before it has an owner.
		{"sock_release", ebpf.AttachCgroupInetSockRelease, p.SockRelease},
		{"sock_create", ebpf.AttachCGroupInetSockCreate, p.SockCreate},
		{"post_bind4", ebpf.AttachCGroupInet4PostBind, p.PostBind4},
		{"post_bind6", ebpf.AttachCGroupInet6PostBind, p.PostBind6},
		{"connect4", ebpf.AttachCGroupInet4Connect, p.Connect4},
		{"connect6", ebpf.AttachCGroupInet6Connect, p.Connect6},
		{"sendmsg4", ebpf.AttachCGroupUDP4Sendmsg, p.Sendmsg4},
		{"sendmsg6", ebpf.AttachCGroupUDP6Sendmsg, p.Sendmsg6},
		{"sent", ebpf.AttachCGroupInetEgress, p.Sent},
		{"received", ebpf.AttachCGroupInetIngress, p.Received},
		{"option", ebpf.AttachCGroupSetsockopt, p.Option},
	} {
		if err := k.attachCgroup(c.name, cgroup, id, c.at, c.prog); err != nil {
			return fmt.Errorf("attach %s to %s: %w", c.name, cgroup, err)
		}
	}
	return nil
}

// FirstStart reports whether no earlier start left its hooks in place, with maps that say
// whose the open sockets are.
func (k *Kernel) FirstStart() bool {
	if k.anew {
		return true
	}
	_, err := os.Stat(filepath.Join(k.pins, "link_sock_create"))
	return errors.Is(err, os.ErrNotExist)
}

func (k *Kernel) attachCgroup(name, cgroup string, id uint64, at ebpf.AttachType, prog *ebpf.Program) error {
	pin := filepath.Join(k.pins, "link_"+name)
	if l, err := link.LoadPinnedLink(pin, nil); err == nil {
		defer l.Close()
		if sameCgroup(l, id) {
			return l.Update(prog)
		}
		if err := l.Unpin(); err != nil {
			return err
		}
	}
	l, err := link.AttachCgroup(link.CgroupOptions{Path: cgroup, Attach: at, Program: prog})
	if err != nil {
		return err
	}
	defer l.Close()
	return l.Pin(pin)
}

func sameCgroup(l link.Link, id uint64) bool {
	info, err := l.Info()
	if err != nil || info.Cgroup() == nil {
		return false
	}
	return info.Cgroup().CgroupId == id
}

// replaceLink attaches anew before it lets the old link go: for a moment both run,
// which their programs are made for.
func (k *Kernel) replaceLink(name string, attach func() (link.Link, error)) error {
	l, err := attach()
	if err != nil {
		return err
	}
	defer l.Close()
	pin := filepath.Join(k.pins, "link_"+name)
	next := pin + "_new"
	if err := os.Remove(next); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := l.Pin(next); err != nil {
		return err
	}
	return os.Rename(next, pin)
}

func cgroupID(path string) (uint64, error) {
	s, err := os.Stat(path)
	if err != nil {
		return 0, fmt.Errorf("look at the cgroup: %w", err)
	}
	return s.Sys().(*syscall.Stat_t).Ino, nil
}
