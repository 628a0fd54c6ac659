package daemon

import (
	"time"

	"golang.org/x/sys/unix"

	"sekisho/app/flow"
	"sekisho/service/bpf"
	"sekisho/service/process"
)

// events hands what the kernel tells to those whom it concerns.
type events struct{ s *service }

func (e events) Exec(x bpf.Exec) {
	e.s.who.Exec(process.Exec{
		ID: x.ID, Parent: x.Parent, UID: x.UID, UserNS: x.UserNS, Executable: x.Executable, Path: x.Path, Deleted: x.Deleted,
		Filename: x.Filename, Args: x.Args, ArgsTruncated: x.ArgsTruncated, Dir: x.Dir, CgroupID: x.CgroupID, ExecID: x.ExecID,
		At: e.s.clock.Wall(x.At),
	})
}

func (e events) Fork(f bpf.Fork)         { e.s.who.Fork(f.Child, f.Parent, time.Now()) }
func (e events) Exit(id flow.ProcessID)  { e.s.who.Exit(id) }
func (e events) Accepted(a bpf.Accepted) { e.s.engine.Accepted(a) }
func (e events) Closed(c bpf.Closed)     { e.s.engine.Closed(c) }

// Flow hands over what the kernel decided. What it refused in a network namespace where
// nothing is held makes that namespace known.
func (e events) Flow(f bpf.Flow) {
	if f.Verdict == bpf.Ask && f.Owner.Foreign {
		processes := []flow.ProcessID{f.Owner.Process}
		if p, ok := e.s.who.Find(f.Owner.Process); ok { // itself may be gone by the time
			for _, a := range p.Parents {
				processes = append(processes, a.ProcessID)
			}
		}
		e.s.others.refused(processes)
	}
	e.s.engine.Decided(f)
}

// netnsCookie names the network namespace that the service is in.
func netnsCookie() (uint64, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	return unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
}
