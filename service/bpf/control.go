package bpf

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/cilium/ebpf"

	"sekisho/app/flow"
)

// Verdict is what the kernel holds for a program or a flow.
type Verdict uint32

const (
	Ask     = Verdict(kernelVerdictASK)     // hold the packet and let the service decide
	Allow   = Verdict(kernelVerdictALLOW)   // let it pass
	Block   = Verdict(kernelVerdictBLOCK)   // refuse it
	Depends = Verdict(kernelVerdictDEPENDS) // look at the destination
)

// Control is what all decisions hang on. Writing a new Generation makes everything
// that was decided before stale at once.
type Control struct {
	Generation uint64
	Netns      uint64  // cookie of the network namespace whose packets can be held
	Fallback   Verdict // for programs that nothing is known of
	// Loopback is for 127.0.0.0/8 and ::1. Allow: passes, whatever is decided of the
	// program. Depends: only decisions about the very address count. Ask: it is like any.
	Loopback Verdict
	All      bool // every program of the machine is filtered
	DHCP     bool // root's DHCP client may send by packet sockets
}

// SetControl writes c.
func (k *Kernel) SetControl(c Control) error {
	v := kernelControl{Generation: c.Generation, Netns: c.Netns, Fallback: uint32(c.Fallback), Loopback: uint32(c.Loopback)}
	if c.All {
		v.Flags |= uint32(kernelControlFlagSCOPE_ALL)
	}
	if c.DHCP {
		v.Flags |= uint32(kernelControlFlagDHCP)
	}
	if err := k.objs.Controls.Put(uint32(0), &v); err != nil {
		return fmt.Errorf("write control: %w", err)
	}
	return nil
}

// Control reads what an earlier start left; zero if none did.
func (k *Kernel) Control() (Control, error) {
	var v kernelControl
	if err := k.objs.Controls.Lookup(uint32(0), &v); err != nil {
		return Control{}, fmt.Errorf("read control: %w", err)
	}
	return Control{
		Generation: v.Generation, Netns: v.Netns, Fallback: Verdict(v.Fallback),
		Loopback: Verdict(v.Loopback),
		All:      v.Flags&uint32(kernelControlFlagSCOPE_ALL) != 0, DHCP: v.Flags&uint32(kernelControlFlagDHCP) != 0,
	}, nil
}

// ProgramVerdict is what the kernel knows of a program.
type ProgramVerdict struct {
	Generation uint64
	ID         uint64 // subject of its exact decisions; never 0
	Out, In    Verdict
	PerProcess bool // decisions are kept by process
}

// ForwardedExecutable stands for what passes through this machine; the zero Executable
// for the kernel itself.
var ForwardedExecutable = flow.Executable{Device: ^uint32(0)}

// SetProgram writes what is known of the program with this identity.
func (k *Kernel) SetProgram(e flow.Executable, v ProgramVerdict) error {
	if err := k.objs.Programs.Put(toExecutable(e), toProgram(v)); err != nil {
		return fmt.Errorf("write a program's verdict: %w", err)
	}
	return nil
}

// SetPrograms is SetProgram for many, in one call to the kernel.
func (k *Kernel) SetPrograms(all map[flow.Executable]ProgramVerdict) error {
	if len(all) == 0 {
		return nil
	}
	keys := make([]kernelExecutable, 0, len(all))
	values := make([]kernelProgram, 0, len(all))
	for e, v := range all {
		keys = append(keys, *toExecutable(e))
		values = append(values, *toProgram(v))
	}
	if _, err := k.objs.Programs.BatchUpdate(keys, values, nil); err != nil {
		return fmt.Errorf("write %d programs' verdicts: %w", len(all), err)
	}
	return nil
}

// Programs calls f for each program that the kernel knows.
func (k *Kernel) Programs(f func(flow.Executable, ProgramVerdict)) error {
	return walk(k.objs.Programs, func(e *kernelExecutable, p *kernelProgram) {
		f(fromExecutable(*e), ProgramVerdict{p.Generation, p.Id, Verdict(p.Verdict[flow.Out]), Verdict(p.Verdict[flow.In]), p.PerProcess != 0})
	})
}

// ForgetProgram removes what is known of a program.
func (k *Kernel) ForgetProgram(e flow.Executable) error {
	err := k.objs.Programs.Delete(toExecutable(e))
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		return nil
	}
	return err
}

// Subject is whom an exact decision is about.
type Subject struct{ a, b uint64 }

// OfProgram is every process of a program.
func OfProgram(id uint64) Subject { return Subject{id, 0} }

// OfProcess is one process.
func OfProcess(o Owner) Subject {
	return Subject{uint64(o.ExecID)<<32 | uint64(o.Process.PID), o.Process.Start}
}

// OfSocket is one socket as one execution of a process uses it: another one that has it too
// gets nothing by that.
func OfSocket(cookie uint64, user flow.ProcessID, execID uint32) Subject {
	return Subject{cookie, ^(user.Start + uint64(execID))}
}

func (s Subject) raw() kernelSubject { return kernelSubject{A: s.a, B: s.b} }

// Peer is with whom a decision is about. The port is the remote end's for what goes out,
// and our own for what comes in; in a decision for one socket it is always the remote
// end's. Without address, port and protocol it is everybody, in that direction.
type Peer struct {
	Direction flow.Direction
	Protocol  flow.Protocol
	Addr      netip.Addr
	Port      uint16
}

func (p Peer) key(s Subject) kernelExactKey {
	k := kernelExactKey{Subject: s.raw(), Port: p.Port, Protocol: uint8(p.Protocol), Direction: uint8(p.Direction)}
	if p.Addr.IsValid() {
		k.Address = p.Addr.As16()
	}
	return k
}

// SetExact writes the decision for a subject and a peer.
func (k *Kernel) SetExact(s Subject, p Peer, v Verdict, generation uint64) error {
	key := p.key(s)
	if err := k.objs.Exacts.Put(&key, &kernelExact{Generation: generation, Verdict: uint32(v)}); err != nil {
		return fmt.Errorf("write a decision: %w", err)
	}
	return nil
}

// ForgetExact removes it.
func (k *Kernel) ForgetExact(s Subject, p Peer) error {
	key := p.key(s)
	err := k.objs.Exacts.Delete(&key)
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		return nil
	}
	return err
}

// Counters are what the kernel counted since its maps were made.
type Counters struct {
	LostEvents, Mismatches, UnknownProcesses, SocketsFull, ForeignRefused uint64
	LastRefused                                                           uint64 // packets that were undecided where nothing can hold them
	Untold                                                                uint64 // flows that somebody else made too many of to be shown
}

// Counters reads them.
func (k *Kernel) Counters() (Counters, error) {
	var v [kernelCounterCOUNTERS]uint64
	for i := range v {
		if err := k.objs.Counters.Lookup(uint32(i), &v[i]); err != nil {
			return Counters{}, fmt.Errorf("read counters: %w", err)
		}
	}
	return Counters{
		LostEvents: v[kernelCounterLOST_EVENTS], Mismatches: v[kernelCounterMISMATCHES],
		UnknownProcesses: v[kernelCounterUNKNOWN_PROCESSES], SocketsFull: v[kernelCounterSOCKETS_FULL],
		ForeignRefused: v[kernelCounterFOREIGN_REFUSED], LastRefused: v[kernelCounterLAST_REFUSED], Untold: v[kernelCounterUNTOLD],
	}, nil
}

func toExecutable(e flow.Executable) *kernelExecutable {
	return &kernelExecutable{Inode: e.Inode, Ctime: e.Ctime, CtimeNano: e.CtimeNano, Device: e.Device, Generation: e.Generation}
}

func toProgram(v ProgramVerdict) *kernelProgram {
	p := &kernelProgram{Generation: v.Generation, Id: v.ID, Verdict: [2]uint8{uint8(v.Out), uint8(v.In)}}
	if v.PerProcess {
		p.PerProcess = 1
	}
	return p
}

func fromExecutable(e kernelExecutable) flow.Executable {
	return flow.Executable{Inode: e.Inode, Ctime: e.Ctime, CtimeNano: e.CtimeNano, Device: e.Device, Generation: e.Generation}
}
