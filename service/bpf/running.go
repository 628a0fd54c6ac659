package bpf

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"syscall"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"sekisho/app/flow"
)

// Running is a process that ran before the service did.
type Running struct {
	ID, Parent flow.ProcessID
	UID        uint32
	UserNS     uint32 // inode number of the user namespace
	Executable flow.Executable
	CgroupID   uint64
	ExecID     uint32
}

// Running records the identity of every process that runs, and lists them. The kernel
// says what they execute; a path in /proc is only for showing.
func (k *Kernel) Running() ([]Running, error) {
	var list []Running
	err := iterate(k.objs.EachTask, func(r *kernelTaskRecord) {
		list = append(list, Running{
			ID: flow.ProcessID{PID: r.Tgid, Start: r.Start}, Parent: flow.ProcessID{PID: r.Parent, Start: r.ParentStart},
			UID: r.Uid, UserNS: r.UserNs, Executable: fromExecutable(r.Exe), CgroupID: r.Cgroup, ExecID: r.ExecId,
		})
	})
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	return list, nil
}

// AdoptSockets records the owners of sockets that programs in the cgroup opened before
// the hooks were there, and who receives on which port. Sockets that the hooks know are
// left as they are.
func (k *Kernel) AdoptSockets(cgroup string) error {
	inside, err := cgroupsBelow(cgroup)
	if err != nil {
		return err
	}
	var all []kernelSocketRecord
	err = iterate(k.objs.EachSocket, func(r *kernelSocketRecord) {
		if inside[r.Cgroup] {
			all = append(all, *r)
		}
	})
	if err = errors.Join(err, k.adoptAll(all, netnsOf)); err != nil {
		return fmt.Errorf("adopt open sockets: %w", err)
	}
	return nil
}

// netnsOf is the inode number of the network namespace that a process is in, 0 for ours.
// Who is gone is in none.
func netnsOf(pid uint32) uint64 {
	var own, is unix.Stat_t
	if unix.Stat("/proc/thread-self/ns/net", &own) != nil || unix.Stat(fmt.Sprintf("/proc/%d/ns/net", pid), &is) != nil || is.Ino == own.Ino {
		return 0
	}
	return is.Ino
}

// place is where somebody listens.
type place struct {
	netns uint64
	kernelListenerKey
}

// adoptAll adopts sockets; netns says where a process, and so its sockets, is.
func (k *Kernel) adoptAll(all []kernelSocketRecord, netns func(pid uint32) uint64) error {
	var errs []error
	where := map[uint32]uint64{} // by process
	listens := map[place]bool{}
	at := func(r *kernelSocketRecord) place {
		return place{where[r.Owner.Tgid], kernelListenerKey{Port: r.LocalPort, Protocol: r.Protocol}}
	}
	for i := range all {
		r := &all[i]
		if _, known := where[r.Owner.Tgid]; !known {
			where[r.Owner.Tgid] = netns(r.Owner.Tgid)
		}
		if r.State == tcpListen {
			listens[at(r)] = true
		}
	}
	for i := range all {
		r := &all[i]
		if where[r.Owner.Tgid] != 0 {
			r.Owner.Flags |= uint32(kernelOwnerFlagOWNER_FOREIGN)
		}
		errs = append(errs, k.adopt(r, listens[at(r)]))
	}
	return errors.Join(errs...)
}

// tcpListen is TCP_LISTEN of net/tcp_states.h.
const tcpListen = 10

// adopt records one socket; listens says whether somebody listens on its port. Who receives
// in other network namespaces is not recorded: the ports there are others.
func (k *Kernel) adopt(r *kernelSocketRecord, listens bool) error {
	s := kernelSocketState{Owner: r.Owner, Flags: uint32(kernelSocketFlagSOCKET_USED)}
	key := kernelListenerKey{Port: r.LocalPort, Protocol: r.Protocol}
	tcp := flow.Protocol(r.Protocol) == flow.TCP
	receives := r.LocalPort != 0 && flow.Protocol(r.Protocol).HasPorts() && (!tcp || r.State == tcpListen) &&
		r.Owner.Flags&uint32(kernelOwnerFlagOWNER_FOREIGN) == 0
	if tcp && r.State != tcpListen && r.Port != 0 {
		s.First = kernelConversation{Address: r.Address, Port: r.Port, Protocol: r.Protocol}
		if listens {
			s.First.Direction = uint8(kernelDirectionIN)
		}
	}
	if receives {
		s.Port, s.Protocol = r.LocalPort, r.Protocol
	}
	err := k.objs.Sockets.Update(r.Owner.Cookie, &s, ebpf.UpdateNoExist)
	if errors.Is(err, ebpf.ErrKeyExist) {
		return nil // the hooks know it, or another process has it too
	}
	if err != nil || !receives {
		return err
	}
	l := kernelListener{Owner: r.Owner, Count: 1}
	if err = k.objs.Listeners.Update(&key, &l, ebpf.UpdateNoExist); !errors.Is(err, ebpf.ErrKeyExist) {
		return err
	}
	if err := k.objs.Listeners.Lookup(&key, &l); err != nil {
		return err
	}
	l.Count++
	if l.Owner.Exe != r.Owner.Exe || l.Owner.Tgid != r.Owner.Tgid {
		l.Several |= uint32(kernelSeveralPROGRAMS)
	}
	return k.objs.Listeners.Put(&key, &l)
}

func iterate[T any](prog *ebpf.Program, f func(*T)) error {
	it, err := link.AttachIter(link.IterOptions{Program: prog})
	if err != nil {
		return err
	}
	defer it.Close()
	r, err := it.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	var z T
	for size := int(unsafe.Sizeof(z)); len(b) >= size; b = b[size:] {
		f(view[T](b))
	}
	return nil
}

// cgroupsBelow lists the ids (inode numbers) of a cgroup and all beneath it.
func cgroupsBelow(dir string) (map[uint64]bool, error) {
	ids := map[uint64]bool{}
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		i, err := d.Info()
		if err != nil {
			return err
		}
		ids[i.Sys().(*syscall.Stat_t).Ino] = true
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list cgroups: %w", err)
	}
	return ids, nil
}
