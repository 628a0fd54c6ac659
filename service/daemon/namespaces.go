package daemon

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"sekisho/app/flow"
	"sekisho/service/capture"
)

// maxNamespaces bounds the namespaces whose packets are held, and maxOfUser those of one
// user other than root, who must not use up the others'; those beyond are refused what is
// undecided.
const (
	maxNamespaces = 256
	maxOfUser     = 64
)

// namespaces are the other network namespaces in which programs under our eye run:
// containers, sandboxes. The first undecided call in one is refused, as nothing there can
// hold it; from then on the service holds packets there as at home.
type namespaces struct {
	s    *service
	wake chan []flow.ProcessID     // a process that was refused, and its ancestors
	own  uint64                    // inode number of the namespace that the service is in
	held map[uint64]*heldNamespace // by inode number of the namespace; run's alone
	// failed paces what is tried again and again in vain, as held does in each namespace.
	failed map[uint64]*attempts
}

type heldNamespace struct {
	user   uint32 // who made it
	puts   attempts
	cookie uint64
	end    context.CancelFunc
	ended  chan struct{}
}

func newNamespaces(s *service) *namespaces {
	return &namespaces{s: s, wake: make(chan []flow.ProcessID, 64), held: map[uint64]*heldNamespace{}, failed: map[uint64]*attempts{}}
}

// refused takes note of a process that was refused in a namespace where nothing is held,
// followed by its ancestors: whoever of them is left shows the way there. It does not block.
func (n *namespaces) refused(processes []flow.ProcessID) {
	select {
	case n.wake <- processes:
	default: // it will try again
	}
}

// run enters the namespaces that refused says, and leaves those in which nobody is any
// more: holding packets would keep them alive.
func (n *namespaces) run(ctx context.Context) error {
	if err := n.s.kernel.HoldOwnOnly(); err != nil {
		return err
	}
	var s unix.Stat_t
	if err := unix.Stat("/proc/self/ns/net", &s); err != nil {
		return fmt.Errorf("look at our own network namespace: %w", err)
	}
	n.own = s.Ino
	look := time.NewTicker(2 * time.Second)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			n.leave(func(uint64) bool { return true })
			return nil
		case processes := <-n.wake:
			n.enterFirst(ctx, processes)
		case <-look.C:
			if len(n.failed) > maxNamespaces {
				clear(n.failed)
			}
			if len(n.held) == 0 {
				continue
			}
			live, err := otherNetns()
			if err != nil {
				n.s.Log.Warn("network namespaces can't be listed", "err", err)
				continue
			}
			n.leave(func(inode uint64) bool { return live[inode] == "" })
		}
	}
}

// enterFirst enters where the first of the processes is that is still there.
func (n *namespaces) enterFirst(ctx context.Context, processes []flow.ProcessID) {
	for _, p := range processes {
		err := n.enter(ctx, p.PID)
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ESRCH) {
			continue // it is gone
		}
		if err != nil {
			n.s.Log.Warn("a network namespace can't be entered: what is undecided there is refused", "pid", p.PID, "err", err)
		}
		return
	}
}

func (n *namespaces) enter(ctx context.Context, pid uint32) error {
	path := filepath.Join("/proc", strconv.FormatUint(uint64(pid), 10), "ns/net")
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err // its process is gone
	}
	defer unix.Close(fd)
	var s unix.Stat_t
	if err := unix.Fstat(fd, &s); err != nil {
		return err
	}
	if s.Ino == n.own {
		return nil
	}
	if h := n.held[s.Ino]; h != nil { // somebody flushed our table there
		if !h.puts.may(time.Now()) {
			return nil // he quarrels; the others wait for us
		}
		table := n.s.table
		table.Outgoing = true
		return inNetns(fd, table.Apply)
	}
	f := n.failed[s.Ino]
	if f == nil {
		f = &attempts{}
		n.failed[s.Ino] = f
	}
	if !f.may(time.Now()) {
		return nil
	}
	user, err := userOfNetns(fd)
	if err == nil {
		err = n.room(user)
	}
	if err != nil {
		return err
	}
	h, err := n.hold(ctx, fd)
	if err != nil {
		return err
	}
	h.user = user
	n.held[s.Ino] = &h
	delete(n.failed, s.Ino)
	return nil
}

// room says why no further namespace of a user's is held, nil if one may be.
func (n *namespaces) room(user uint32) error {
	if len(n.held) >= maxNamespaces {
		return fmt.Errorf("packets of %d namespaces are held already", len(n.held))
	}
	of := 0
	for _, h := range n.held {
		if h.user == user {
			of++
		}
	}
	if user != 0 && of >= maxOfUser {
		return fmt.Errorf("packets of %d namespaces of user %d are held already", of, user)
	}
	return nil
}

// attempts paces what somebody makes us do again and again.
type attempts struct {
	last  time.Time
	times int // in this quarrel
}

// may reports whether it is time for one more.
func (a *attempts) may(now time.Time) bool {
	if now.Sub(a.last) > quietFor {
		a.times = 0
	}
	if a.times >= repairsAtOnce && now.Sub(a.last) < repairPause {
		return false
	}
	a.last = now
	a.times++
	return true
}

// userOfNetns is whose the network namespace behind fd is: root's, or who made the
// outermost of the user namespaces that it is in.
func userOfNetns(fd int) (uint32, error) {
	in, err := unix.IoctlRetInt(fd, unix.NS_GET_USERNS)
	if err != nil {
		return 0, fmt.Errorf("see whose a network namespace is: %w", err)
	}
	user := uint32(0)
	for {
		parent, err := unix.IoctlRetInt(in, unix.NS_GET_PARENT)
		if errors.Is(err, unix.EPERM) { // it is ours, and has none for us
			return user, unix.Close(in)
		}
		if err == nil {
			user, err = unix.IoctlGetUint32(in, unix.NS_GET_OWNER_UID)
			if err != nil {
				_ = unix.Close(parent)
			}
		}
		_ = unix.Close(in)
		if err != nil {
			return 0, fmt.Errorf("see whose a network namespace is: %w", err)
		}
		in = parent
	}
}

// hold sets up table and queue in the namespace behind fd, then says that it may be held.
func (n *namespaces) hold(ctx context.Context, fd int) (heldNamespace, error) {
	var q *capture.Queue
	var cookie uint64
	table := n.s.table
	table.Outgoing = true
	err := inNetns(fd, func() (err error) {
		if cookie, err = netnsCookie(); err != nil {
			return err
		}
		q, err = capture.Open(table.Queue, n.s.kernel, n.s.Log)
		return err
	})
	if err != nil {
		return heldNamespace{}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	h := heldNamespace{cookie: cookie, end: cancel, ended: make(chan struct{})}
	ready, failed := make(chan struct{}), make(chan error, 1)
	go func() {
		defer close(h.ended)
		failed <- q.Run(ctx, ready, n.s.judgeLeaving)
	}()
	select {
	case <-ready:
	case err := <-failed:
		cancel()
		if err == nil { // it was told to end before it was ready
			err = ctx.Err()
		}
		return heldNamespace{}, err
	}
	err = errors.Join(inNetns(fd, table.Apply), n.s.kernel.Hold(cookie))
	if err != nil {
		cancel()
		<-h.ended
		return heldNamespace{}, errors.Join(err, n.s.kernel.HoldNoMore(cookie))
	}
	return h, nil
}

// leave lets go of the namespaces for which which says so. What is undecided there is
// refused again; the table stays until the namespace ends, or Cleanup.
func (n *namespaces) leave(which func(inode uint64) bool) {
	for inode, h := range n.held {
		if !which(inode) {
			continue
		}
		delete(n.held, inode)
		if err := n.s.kernel.HoldNoMore(h.cookie); err != nil {
			n.s.Log.Warn("a network namespace is left", "err", err)
		}
		h.end()
		<-h.ended
	}
}

// inNetns runs f in the network namespace behind fd.
func inNetns(fd int, f func() error) error {
	return onOwnThread(func() error {
		if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
			return err
		}
		return f()
	})
}
