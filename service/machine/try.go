package machine

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"sekisho/app/flow"
	"sekisho/service/machine/ruleset"
)

// ErrNotTried means that only outgoing TCP and UDP can be tried from here.
var ErrNotTried = errors.New("only outgoing connections over tcp or udp can be tried")

// Try makes one attempt at f, as its user but from the service's own cgroup, while the
// kernel traces its packets, and says where they ended. Over UDP it sends one empty
// datagram. Of a name it takes the first address. It needs CAP_NET_ADMIN, and leaves
// nothing behind.
func (m *Machine) Try(ctx context.Context, f flow.Flow) (Report, error) {
	var r Report
	if f.Direction != flow.Out || f.Protocol != flow.TCP && f.Protocol != flow.UDP || f.Process != nil && f.Process.Path == flow.ForwardedPath {
		return r, ErrNotTried
	}
	if !f.Remote.Addr.IsValid() {
		var to []netip.Addr
		if r.Names, to = m.Resolve(ctx, f.Remote.Name); len(to) == 0 {
			r.conclude()
			return r, ctx.Err()
		}
		f.Remote.Addr = to[0]
	}
	f.Remote.Addr = f.Remote.Addr.Unmap().WithZone("")
	a := &attempt{machine: m, flow: &f, path: Path{Remote: netip.AddrPortFrom(f.Remote.Addr, f.Remote.Port), Outcome: Passes}}
	if err := a.run(ctx); err != nil {
		return r, err
	}
	r.Paths = []Path{a.path}
	r.conclude()
	return r, nil
}

// attempt is one connection under the kernel's trace.
type attempt struct {
	machine *Machine
	flow    *flow.Flow
	path    Path
	fd      int
	port    uint16 // its own
	events  []event
	ours    map[uint32]event // the first event of each packet of ours
	table   string
}

func (a *attempt) run(ctx context.Context) (err error) {
	if err := a.open(); err != nil {
		return err
	}
	defer unix.Close(a.fd)
	set, err := ruleset.Read(func(string) bool { return false })
	if err != nil {
		return err
	}
	defer set.Close()
	t, err := listenTrace()
	if err != nil {
		return err
	}
	defer t.conn.Close()
	table, err := addTraceTable(uint8(a.flow.Protocol), a.port)
	if err != nil {
		return err
	}
	a.table, a.ours = table.name, map[uint32]event{}
	began := time.Now()
	code, tryErr := a.connect(ctx, t)
	if err := table.remove(); err != nil {
		return fmt.Errorf("switch the trace off: %w", err)
	}
	a.take(t.read(time.Millisecond))
	a.conclude(set, code, tryErr, time.Since(began))
	return ctx.Err()
}

// open makes the socket and gives it a port of its own, by which its packets are known.
func (a *attempt) open() error {
	domain, any := unix.AF_INET, unix.Sockaddr(&unix.SockaddrInet4{})
	if a.flow.Remote.Addr.Is6() {
		domain, any = unix.AF_INET6, &unix.SockaddrInet6{}
	}
	kind := unix.SOCK_STREAM
	if a.flow.Protocol == flow.UDP {
		kind = unix.SOCK_DGRAM
	}
	var uid uint32
	if a.flow.Process != nil {
		uid = a.flow.Process.UID
	}
	return asUser(uid, uid, func() (err error) {
		if a.fd, err = unix.Socket(domain, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0); err != nil {
			return fmt.Errorf("try: %w", err)
		}
		err = unix.Bind(a.fd, any)
		if err == nil && a.machine.Admit != nil {
			err = a.machine.Admit(a.fd)
		}
		var name unix.Sockaddr
		if err == nil {
			name, err = unix.Getsockname(a.fd)
		}
		if err != nil {
			_ = unix.Close(a.fd)
			return fmt.Errorf("try: %w", err)
		}
		switch n := name.(type) {
		case *unix.SockaddrInet4:
			a.port = uint16(n.Port)
		case *unix.SockaddrInet6:
			a.port = uint16(n.Port)
		}
		return nil
	})
}

// connect starts, and reads the trace until it is clear how it ends.
func (a *attempt) connect(ctx context.Context, t *tracer) (Code, error) {
	err := unix.Connect(a.fd, sockaddr(a.flow.Remote.Addr, a.flow.Remote.Port))
	limit := or(a.machine.TryFor, 3*time.Second)
	if a.flow.Protocol == flow.UDP && err == nil {
		_, err = unix.Write(a.fd, nil)
		limit = min(limit, 300*time.Millisecond) // an answer may never come
	}
	if err != nil && !errors.Is(err, unix.EINPROGRESS) {
		a.take(t.read(20 * time.Millisecond))
		return failure(err), err
	}
	const step = 20 * time.Millisecond
	for end := time.Now().Add(limit); time.Now().Before(end) && ctx.Err() == nil; {
		a.take(t.read(step))
		done, err := a.done()
		if done || err != nil {
			a.take(t.read(step))
			if err != nil {
				return failure(err), err
			}
			return TryConnected, nil
		}
		if a.dropped() {
			a.take(t.read(step))
			break
		}
	}
	if a.flow.Protocol == flow.UDP && !a.dropped() {
		return TrySent, nil
	}
	return TryNoAnswer, nil
}

func failure(err error) Code {
	if errors.Is(err, unix.ECONNREFUSED) {
		return TryRefused
	}
	return TryFailed
}

// done asks the socket whether it is connected; of UDP, whether it was told of an error.
func (a *attempt) done() (bool, error) {
	if n, err := unix.GetsockoptInt(a.fd, unix.SOL_SOCKET, unix.SO_ERROR); err != nil || n != 0 {
		return true, errors.Join(err, unix.Errno(n))
	}
	if a.flow.Protocol == flow.UDP {
		return false, nil
	}
	fds := []unix.PollFd{{Fd: int32(a.fd), Events: unix.POLLOUT}}
	n, err := unix.Poll(fds, 0)
	return err == nil && n == 1 && fds[0].Revents&unix.POLLOUT != 0, nil
}

// take keeps the events of packets that our table marked.
func (a *attempt) take(events []event) {
	for _, e := range events {
		if _, known := a.ours[e.id]; e.table == a.table && !known {
			a.ours[e.id] = e
		}
		a.events = append(a.events, e)
	}
}

// dropped reports whether a packet of ours was dropped: it would only be sent again.
func (a *attempt) dropped() bool {
	for _, e := range a.events {
		if _, ours := a.ours[e.id]; ours && e.code == 0 && e.table != a.table {
			return true
		}
	}
	return false
}

// conclude makes steps of the trace.
func (a *attempt) conclude(set *ruleset.Ruleset, code Code, tryErr error, after time.Duration) {
	for _, e := range a.events {
		first, ours := a.ours[e.id]
		if !ours || e.table == a.table || e.handle == 0 && !e.policy {
			continue
		}
		a.add(a.stepOf(set, e, first))
	}
	values := map[string]string{"to": a.path.Remote.String(), "after": after.Round(time.Millisecond).String()}
	if tryErr != nil {
		values["error"] = tryErr.Error()
	}
	last := Step{Code: code, Outcome: Passes, Values: values}
	switch code {
	case TryRefused:
		last.Outcome = Rejected
	case TryNoAnswer, TryFailed:
		last.Outcome = Dropped
	}
	if n := len(a.path.Steps) - 1; code == TryNoAnswer && a.path.Culprit == nil && n >= 0 && a.path.Steps[n].Filter.Effect == ruleset.Queue {
		s := &a.path.Steps[n] // nobody, or somebody who said no, has it
		s.Outcome = Dropped
		culprit := *s
		a.path.Outcome, a.path.Culprit = Dropped, &culprit
	}
	if len(a.ours) == 0 {
		// No packet of it came to the first chain.
		a.add(Step{Code: TryUntraced, Outcome: Passes, Values: map[string]string{"to": a.path.Remote.String()}})
	}
	a.add(last)
}

func (a *attempt) add(s Step) {
	a.path.Steps = append(a.path.Steps, s)
	if s.Outcome != Passes && a.path.Culprit == nil {
		a.path.Outcome, a.path.Culprit = s.Outcome, &s
	}
}

func (a *attempt) stepOf(set *ruleset.Ruleset, e, first event) Step {
	p, _ := set.Place(ruleset.Family(e.family), e.table, e.chain, e.handle)
	if a.machine.own(e.table) {
		p.Author = ruleset.Sekisho
	}
	s := Step{Code: FilterRule, Outcome: Passes, Values: map[string]string{"packet": a.which(first)}, Filter: &ruleset.Step{Place: p, To: e.to}}
	if e.policy {
		s.Code = FilterPolicy
	}
	s.Filter.Effect = ruleset.EffectOf(e.code)
	if s.Filter.Effect == ruleset.Queue && e.to == "" {
		s.Filter.To = strconv.Itoa(int(uint32(e.code) >> 16))
	}
	if s.Filter.Effect == ruleset.Drop {
		s.Outcome = Dropped
		if p.Rejects() {
			s.Outcome, s.Filter.Effect = Rejected, ruleset.Reject
		}
	}
	return s
}

// which packet of the conversation an event is of.
func (a *attempt) which(first event) string {
	const syn = ruleset.SYN
	switch {
	case first.ports[0] != a.port:
		return Answer
	case a.flow.Protocol == flow.TCP && first.flags&syn == 0:
		return NextPacket
	}
	return FirstPacket
}

func sockaddr(a netip.Addr, port uint16) unix.Sockaddr {
	if a.Is4() {
		return &unix.SockaddrInet4{Addr: a.As4(), Port: int(port)}
	}
	return &unix.SockaddrInet6{Addr: a.As16(), Port: int(port)}
}

// asUser runs f with the file-system user and group of another account, which is what
// sockets that f opens belong to; the rest of the process goes on as it is.
func asUser(uid, gid uint32, f func() error) (err error) {
	runtime.LockOSThread()
	var back []func() error
	defer func() {
		var failed error
		for _, restore := range slices.Backward(back) {
			failed = errors.Join(failed, restore())
		}
		if failed == nil {
			runtime.UnlockOSThread() // else the thread ends with its goroutine
		}
		err = errors.Join(err, failed)
	}()
	for _, id := range []struct {
		call uintptr
		id   uint32
	}{{unix.SYS_SETFSGID, gid}, {unix.SYS_SETFSUID, uid}} {
		old, err := setFS(id.call, id.id)
		if err != nil {
			return err
		}
		back = append(back, func() error {
			_, err := setFS(id.call, old)
			return err
		})
	}
	return f()
}

// setFS sets the calling thread's id and returns the one before; the call tells of no
// error, so it is asked whether it was done.
func setFS(call uintptr, id uint32) (uint32, error) {
	old, _, _ := unix.RawSyscall(call, uintptr(id), 0, 0)
	now, _, _ := unix.RawSyscall(call, uintptr(^uint32(0)), 0, 0)
	if uint32(now) != id {
		return uint32(old), fmt.Errorf("become user or group %d: not permitted", id)
	}
	return uint32(old), nil
}
