package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"sekisho/service/bpf"
	"sekisho/service/capture"
	"sekisho/service/enforce"
)

// Check prints what this kernel can and cannot do, a line each, and reports whether the
// firewall can run fully. It tries the real thing, in a control group and network
// namespaces that it makes for that and that end with it; the machine's own traffic is
// not touched.
func Check(w io.Writer) bool {
	c := checker{w: w, all: true, tag: fmt.Sprintf("check-%d", os.Getpid())}
	fmt.Fprintf(w, "kernel   %s\n", kernelRelease())
	if os.Geteuid() != 0 {
		c.say("root", os.ErrPermission, "run this as root: sudo sekishod --check")
		return false
	}
	root, err := cgroupRoot()
	c.say("cgroup v2", err, "CONFIG_CGROUPS, kernel 4.5; systemd mounts it at /sys/fs/cgroup")
	_, err = os.Stat("/sys/kernel/btf/vmlinux")
	c.say("type information (BTF)", err, "CONFIG_DEBUG_INFO_BTF, kernel 5.4; Debian and Ubuntu kernels have it")
	k, err := bpf.Load(c.tag, slog.New(slog.DiscardHandler))
	c.say("eBPF programs load", err, "kernel 5.15, CONFIG_BPF_SYSCALL, CONFIG_CGROUP_BPF, no lockdown=confidentiality")
	defer func() {
		if err := bpf.RemovePins(c.tag); err != nil {
			c.say("remove the trial's programs", err, "sekishod --cleanup")
		}
	}()
	if err != nil {
		return false
	}
	defer k.Close()
	if root != "" {
		c.say("eBPF programs attach", attachTrial(k, filepath.Join(root, "sekisho-"+c.tag)),
			"CONFIG_CGROUP_BPF, CONFIG_BPF_EVENTS, CONFIG_FTRACE, and the right to make control groups")
	}
	_, err = netnsCookie()
	c.say("cookies of network namespaces", err, "kernel 5.14")
	c.packets(k)
	c.frames(k)
	c.say("ending connections that a new rule forbids", inOwnNetns(endTrial), "CONFIG_INET_DIAG, CONFIG_INET_UDP_DIAG, CONFIG_INET_DIAG_DESTROY, kernel 4.9")
	return c.all
}

type checker struct {
	w   io.Writer
	all bool // nothing is missing yet
	tag string
}

func (c *checker) say(what string, err error, need string) {
	if err == nil {
		fmt.Fprintf(c.w, "ok       %s\n", what)
		return
	}
	c.all = false
	fmt.Fprintf(c.w, "missing  %s: %v (%s)\n", what, err, need)
}

// packets checks what holds, passes and refuses packets.
func (c *checker) packets(k *bpf.Kernel) {
	var m enforce.Means
	err := inOwnNetns(func() error {
		m = enforce.Try(c.tag, k.Classifier().Allowed)
		return m.Tables
	})
	c.say("nftables over netlink", err, "CONFIG_NF_TABLES, CONFIG_NF_TABLES_INET")
	if err != nil {
		return
	}
	c.say("classifier (xt_bpf)", m.Classifier, "CONFIG_NFT_COMPAT, CONFIG_NETFILTER_XT_MATCH_BPF")
	c.say("scope (socket cgroupv2)", m.Scope, "CONFIG_NFT_SOCKET, kernel 5.13")
	c.say("refusal (reject)", m.Refusal, "CONFIG_NFT_REJECT_INET")
	const native, xtables = "queue (nftables)", "queue (xtables NFQUEUE)"
	switch {
	case m.Native == nil:
		c.say(native, nil, "")
		c.spare(xtables, m.XTables)
	case m.XTables == nil:
		c.say(xtables, nil, "")
		c.spare(native, m.Native)
	default:
		c.say(native, m.Native, "CONFIG_NFT_QUEUE, or else CONFIG_NETFILTER_XT_TARGET_NFQUEUE")
	}
	c.say("listening on a queue", inOwnNetns(func() error { return listenTrial(k) }), "CONFIG_NETFILTER_NETLINK_QUEUE")
}

// frames checks what judges packet sockets. Where that is missing they are shown.
func (c *checker) frames(k *bpf.Kernel) {
	err := inOwnNetns(func() error { return framesTrial(k) })
	if errors.Is(err, ebpf.ErrNotSupported) {
		fmt.Fprintf(c.w, "without  refusal of packet sockets (tcx): kernel 6.6; programs that have one are shown\n")
		return
	}
	c.say("refusal of packet sockets (tcx)", err, "CONFIG_NET_XGRESS")
}

// framesTrial judges frames at loopback, in a network namespace that has nothing else.
func framesTrial(k *bpf.Kernel) error {
	d, err := k.HoldDevices(0, 0)
	if err != nil {
		return err
	}
	_, err = d.Cover([]bpf.Device{{Index: 1, Header: bpf.EthernetHeader}})
	return errors.Join(err, d.Close())
}

// spare says of what the firewall can do without whether it is there.
func (c *checker) spare(what string, err error) {
	if err == nil {
		c.say(what, nil, "")
		return
	}
	fmt.Fprintf(c.w, "without  %s: not needed, there is another\n", what)
}

// attachTrial attaches the programs to a control group that nobody is in.
func attachTrial(k *bpf.Kernel, cgroup string) error {
	if err := os.Mkdir(cgroup, 0o755); err != nil {
		return err
	}
	return errors.Join(k.Attach(cgroup), os.Remove(cgroup))
}

// listenTrial listens on a queue that nothing is put into.
func listenTrial(k *bpf.Kernel) error {
	q, err := capture.Open(1, k, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- q.Run(ctx, ready, func(*capture.Packet) {}) }()
	select {
	case <-ready:
		cancel()
		return <-ended
	case err := <-ended:
		return err
	}
}

// endTrial ends a socket of each kind, in a network namespace that has no other.
func endTrial() error {
	for _, kind := range []int{unix.SOCK_STREAM, unix.SOCK_DGRAM} {
		fd, err := unix.Socket(unix.AF_INET, kind|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		if err := unix.Bind(fd, &unix.SockaddrInet4{}); err != nil {
			return err
		}
		if kind == unix.SOCK_STREAM {
			if err := unix.Listen(fd, 1); err != nil {
				return err
			}
		}
	}
	d, err := enforce.OpenDiag(0)
	if err != nil {
		return err
	}
	defer d.Close()
	n, err := d.End(func(enforce.Socket) bool { return true })
	if err == nil && n != 2 {
		err = fmt.Errorf("%d of 2 sockets were found", n)
	}
	return err
}

// inOwnNetns runs f on a thread in a new network namespace; both end with it.
func inOwnNetns(f func() error) error {
	return onOwnThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("make a network namespace: %w", err)
		}
		return f()
	})
}
