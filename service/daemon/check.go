package daemon

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"sekisho/service/bpf"
	"sekisho/service/enforce"
)

// Check prints what this kernel can and cannot do, a line each, and reports whether the
// firewall can run fully. It tries the real thing, in a network namespace that it makes
// for that and that ends with it; the machine's own traffic is not touched.
func Check(w io.Writer) bool {
	all := true
	say := func(what string, err error, need string) {
		if err == nil {
			fmt.Fprintf(w, "ok       %s\n", what)
			return
		}
		all = false
		fmt.Fprintf(w, "missing  %s: %v (%s)\n", what, err, need)
	}
	fmt.Fprintf(w, "kernel   %s\n", kernelRelease())
	if os.Geteuid() != 0 {
		say("root", os.ErrPermission, "run this as root: sudo sekishod --check")
		return false
	}
	_, err := cgroupRoot()
	say("cgroup v2", err, "CONFIG_CGROUPS, kernel 4.5; systemd mounts it at /sys/fs/cgroup")
	_, err = os.Stat("/sys/kernel/btf/vmlinux")
	say("type information (BTF)", err, "CONFIG_DEBUG_INFO_BTF, kernel 5.4; Debian and Ubuntu kernels have it")
	tag := fmt.Sprintf("check-%d", os.Getpid())
	k, err := bpf.Load(tag, slog.New(slog.DiscardHandler))
	say("eBPF programs load", err, "kernel 5.15, CONFIG_BPF_SYSCALL, CONFIG_CGROUP_BPF, no lockdown=confidentiality")
	defer func() {
		if err := bpf.RemovePins(tag); err != nil {
			say("remove the trial's programs", err, "sekishod --cleanup")
		}
	}()
	if err != nil {
		return false
	}
	defer k.Close()
	_, err = netnsCookie()
	say("cookies of network namespaces", err, "kernel 5.14")
	native, err := inOwnNetns(func() (bool, error) { return enforce.NativeQueue(tag) })
	say("nftables over netlink", err, "CONFIG_NF_TABLES, CONFIG_NF_TABLES_INET")
	queue := "xtables NFQUEUE target"
	if native {
		queue = "native queue"
	}
	_, err = inOwnNetns(func() (bool, error) { return false, trial(tag, k, native) })
	say("classifier (xt_bpf), scope (socket cgroupv2), refusal, "+queue, err,
		"CONFIG_NFT_COMPAT, CONFIG_NETFILTER_XT_MATCH_BPF, CONFIG_NFT_SOCKET (5.13), CONFIG_NFT_REJECT_INET, CONFIG_NFT_QUEUE or CONFIG_NETFILTER_XT_TARGET_NFQUEUE")
	return all
}

func trial(tag string, k *bpf.Kernel, native bool) error {
	t := enforce.Table{
		Tag: tag, Queue: 1, Answers: 2, Native: native, Scope: enforce.Scope{CgroupID: 1, Level: 1},
		Classifier: k.Classifier(),
	}
	return t.Apply()
}

// inOwnNetns runs f on a thread in a new network namespace; both end with it.
func inOwnNetns(f func() (bool, error)) (bool, error) {
	type result struct {
		ok  bool
		err error
	}
	done := make(chan result)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			done <- result{false, fmt.Errorf("make a network namespace: %w", err)}
			return
		}
		ok, err := f()
		done <- result{ok, err}
	}()
	r := <-done
	return r.ok, r.err
}
