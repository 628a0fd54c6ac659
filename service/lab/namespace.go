package lab

import (
	"fmt"
	"os"
	"runtime"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// namespace is a network namespace and a private view of the machine's mounts. Both
// belong to one thread, which starts the host's programs; nothing else keeps them, so
// that they end with the process whatever happens to it.
type namespace struct {
	net  netns.NsHandle
	work chan func()
	done chan struct{}
}

func newNamespace() (*namespace, error) {
	n := &namespace{net: netns.None(), work: make(chan func()), done: make(chan struct{})}
	ready := make(chan error)
	onOwnThread(func() {
		defer close(n.done)
		err := n.enterNew()
		ready <- err
		if err == nil {
			n.serve()
		}
	})
	if err := <-ready; err != nil {
		return nil, err
	}
	return n, nil
}

// serve runs what do asks for until the namespace is closed.
func (n *namespace) serve() {
	for f := range n.work {
		f()
	}
}

// enterNew moves the calling thread into fresh namespaces. Mounts of the machine go
// on appearing in the private view; nothing of the view reaches the machine.
func (n *namespace) enterNew() error {
	if err := unix.Unshare(unix.CLONE_NEWNET | unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("make namespaces: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	var err error
	if n.net, err = netns.Get(); err != nil {
		return fmt.Errorf("open network namespace: %w", err)
	}
	for _, v := range []string{"all", "default", "lo"} {
		// Not there on a kernel without IPv6.
		_ = os.WriteFile("/proc/sys/net/ipv6/conf/"+v+"/disable_ipv6", []byte("0"), 0)
	}
	return nil
}

// do runs f on the namespace's thread and waits. f must not block: everybody waits
// for that thread.
func (n *namespace) do(f func() error) error {
	result := make(chan error, 1)
	select {
	case n.work <- func() { result <- f() }:
		return <-result
	case <-n.done:
		return os.ErrClosed
	}
}

// visit runs f on a thread of its own in the network namespace, with the machine's
// mounts, and waits.
func (n *namespace) visit(f func() error) error {
	result := make(chan error, 1)
	onOwnThread(func() {
		if err := netns.Set(n.net); err != nil {
			result <- fmt.Errorf("enter network namespace: %w", err)
			return
		}
		result <- f()
	})
	return <-result
}

// links opens a netlink connection in the namespace.
func (n *namespace) links() (*netlink.Handle, error) {
	h, err := netlink.NewHandleAt(n.net, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open netlink: %w", err)
	}
	return h, nil
}

func (n *namespace) close() {
	close(n.work)
	<-n.done
	_ = n.net.Close()
}

// onOwnThread runs f in a goroutine that has a thread to itself, which ends with f.
// It is never the process's first thread: that one cannot end, and /proc/self would
// show its namespaces as the whole process's.
func onOwnThread(f func()) {
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() != unix.Getpid() {
			f()
			return
		}
		held := make(chan struct{})
		go func() {
			runtime.LockOSThread()
			close(held)
			f()
		}()
		<-held
		runtime.UnlockOSThread()
	}()
}
