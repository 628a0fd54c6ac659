package bpf

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"
	"unsafe"

	"sekisho/app/flow"
)

// Exec is a program that a process began to execute. Times are on CLOCK_BOOTTIME.
type Exec struct {
	ID            flow.ProcessID
	Parent        flow.ProcessID
	UID           uint32
	UserNS        uint32 // inode number of the user namespace
	Executable    flow.Executable
	Path          string // as the mounts of the process's namespace show it
	Dir           string // working folder
	Filename      string // as given to execve; empty if unknown
	Deleted       bool   // the file has no name any more, or never had one
	Args          []string
	ArgsTruncated bool
	CgroupID      uint64
	ExecID        uint32 // which of the process's executions
	At            time.Duration
}

// Fork is a new process that executes what its parent does.
type Fork struct{ Child, Parent flow.ProcessID }

// Flow is a flow that the kernel decided by itself. Ask means that it was refused, since
// it is undecided and nothing could hold it.
type Flow struct {
	Owner     Owner
	Direction flow.Direction
	Protocol  flow.Protocol
	Remote    netip.AddrPort
	LocalPort uint16 // 0: not known
	Verdict   Verdict
	At        time.Duration
}

// Accepted is a TCP connection that a listener's program accepted, on a socket of its own.
type Accepted struct {
	Owner     Owner  // its Cookie is the new socket's
	Listener  uint64 // cookie
	Remote    netip.AddrPort
	LocalPort uint16
	At        time.Duration
}

// Closed is a socket's end, with what went through its first conversation. If there were
// Several, Traffic tells of the others until ForgetPeers.
type Closed struct {
	Cookie  uint64
	At      time.Duration
	Bytes   flow.Bytes
	Packets flow.Packets
	Several bool
}

// Events takes what Drain reads, in the order in which it happened.
type Events interface {
	Exec(Exec)
	Fork(Fork)
	Exit(flow.ProcessID)
	Flow(Flow)
	Accepted(Accepted)
	Closed(Closed)
}

// Drain hands over every event that is in the ring, without waiting for more. Callers
// take turns; to is called from the one whose turn it is.
func (k *Kernel) Drain(to Events) error {
	k.drain.Lock()
	defer k.drain.Unlock()
	k.events.SetDeadline(time.Unix(1, 0))
	for {
		err := k.events.ReadInto(&k.record)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read kernel events: %w", err)
		}
		k.decode.event(k.record.RawSample, to)
	}
}

// decoder turns records into events. Arguments come in a record of their own just
// before their execution's.
type decoder struct{ args map[flow.ProcessID]kernelArgs }

type kernelArgs struct {
	list      []string
	truncated bool
}

// view reads a C structure from the start of b, zero where b is shorter.
func view[T any](b []byte) *T {
	v := new(T)
	copy(unsafe.Slice((*byte)(unsafe.Pointer(v)), unsafe.Sizeof(*v)), b)
	return v
}

func (d *decoder) event(b []byte, to Events) {
	e := view[kernelEvent](b)
	id := flow.ProcessID{PID: e.Tgid, Start: e.Start}
	switch kernelEventKind(e.Kind) {
	case kernelEventKindEVENT_ARGS:
		a := view[kernelArgsEvent](b)
		if d.args == nil || len(d.args) > 4096 { // left over from executions that were lost
			d.args = map[flow.ProcessID]kernelArgs{}
		}
		n := min(int(a.Len), len(a.Args))
		d.args[id] = kernelArgs{splitArgs(a.Args[:n]), a.Truncated != 0}
	case kernelEventKindEVENT_EXEC:
		x := view[kernelExecEvent](b)
		args := d.args[id]
		delete(d.args, id)
		to.Exec(Exec{
			ID: id, Parent: flow.ProcessID{PID: x.Parent, Start: x.ParentStart}, UID: x.Uid, UserNS: x.UserNs,
			Executable: fromExecutable(x.Exe), Deleted: x.Deleted != 0,
			Path:     path(part(x.Names[:], 0, x.PathLen)),
			Dir:      path(part(x.Names[:], x.PathLen, x.DirLen)),
			Filename: strings.TrimRight(string(part(x.Names[:], x.DirLen, x.DirLen+x.NameLen)), "\x00"),
			Args:     args.list, ArgsTruncated: args.truncated,
			CgroupID: x.Cgroup, ExecID: uint32(x.ExecId), At: time.Duration(x.When),
		})
	case kernelEventKindEVENT_FORK:
		f := view[kernelForkEvent](b)
		to.Fork(Fork{Child: id, Parent: flow.ProcessID{PID: f.Parent, Start: f.ParentStart}})
	case kernelEventKindEVENT_EXIT:
		to.Exit(id)
	case kernelEventKindEVENT_FLOW:
		f := view[kernelFlowEvent](b)
		to.Flow(Flow{
			Owner: fromOwner(&f.Owner), Verdict: Verdict(f.Verdict), At: time.Duration(f.When),
			Direction: flow.Direction(f.Direction), Protocol: flow.Protocol(f.Protocol),
			Remote: addrPort(f.Address, f.Port), LocalPort: f.LocalPort,
		})
	case kernelEventKindEVENT_ACCEPT:
		a := view[kernelAcceptEvent](b)
		to.Accepted(Accepted{
			Owner: fromOwner(&a.Owner), Listener: a.Listener, At: time.Duration(a.When),
			Remote: addrPort(a.Address, a.Port), LocalPort: a.LocalPort,
		})
	case kernelEventKindEVENT_CLOSE:
		c := view[kernelCloseEvent](b)
		to.Closed(Closed{
			Cookie: c.Cookie, At: time.Duration(c.When), Several: c.Several != 0,
			Bytes:   flow.Bytes{Sent: c.Sent, Received: c.Received},
			Packets: flow.Packets{Sent: c.PacketsSent, Received: c.PacketsReceived},
		})
	}
}

func addrPort(a [16]byte, port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16(a).Unmap(), port)
}

func part(b []byte, from, to uint32) []byte {
	if to > uint32(len(b)) || from > to {
		return nil
	}
	return b[from:to]
}

// path puts the names that the kernel wrote, leaf first, into a path. Empty without any.
func path(names []byte) string {
	names = bytes.TrimRight(names, "\x00")
	if len(names) == 0 {
		return ""
	}
	parts := strings.Split(string(names), "\x00")
	var s strings.Builder
	for i := len(parts) - 1; i >= 0; i-- {
		s.WriteByte('/')
		s.WriteString(parts[i])
	}
	return s.String()
}

func splitArgs(b []byte) []string {
	b = bytes.TrimSuffix(b, []byte{0})
	if len(b) == 0 {
		return nil
	}
	return strings.Split(string(b), "\x00")
}
