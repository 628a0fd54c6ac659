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
	All        bool    // every program of the machine is filtered
}

// SetControl writes c.
func (k *Kernel) SetControl(c Control) error {
	v := kernelControl{Generation: c.Generation, Netns: c.Netns, Fallback: uint32(c.Fallback)}
	if c.All {
		v.Flags = uint32(kernelControlFlagSCOPE_ALL)
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
	return Control{Generation: v.Generation, Netns: v.Netns, Fallback: Verdict(v.Fallback), All: v.Flags != 0}, nil
}

// ProgramVerdict is what the kernel knows of a program.
type ProgramVerdict struct {
	Generation uint64
	ID         uint64 // subject of its exact decisions; never 0
	Verdict    Verdict
	PerProcess bool // decisions are kept by process
}

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
	var e kernelExecutable
	var p kernelProgram
	it := k.objs.Programs.Iterate()
	for it.Next(&e, &p) {
		f(fromExecutable(e), ProgramVerdict{p.Generation, p.Id, Verdict(p.Verdict), p.PerProcess != 0})
	}
	return it.Err()
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

// OfSocket is one socket.
func OfSocket(cookie uint64) Subject { return Subject{cookie, ^uint64(0)} }

func (s Subject) raw() kernelSubject { return kernelSubject{A: s.a, B: s.b} }

// Destination is where an exact decision is for. The zero value is everywhere.
type Destination struct {
	Addr     netip.Addr
	Port     uint16
	Protocol flow.Protocol
}

func (d Destination) key(s Subject) kernelExactKey {
	k := kernelExactKey{Subject: s.raw(), Port: d.Port, Protocol: uint8(d.Protocol)}
	if d.Addr.IsValid() {
		k.Address = d.Addr.As16()
	}
	return k
}

// SetExact writes the decision for a subject and a destination.
func (k *Kernel) SetExact(s Subject, d Destination, v Verdict, generation uint64) error {
	key := d.key(s)
	if err := k.objs.Exacts.Put(&key, &kernelExact{Generation: generation, Verdict: uint32(v)}); err != nil {
		return fmt.Errorf("write a decision: %w", err)
	}
	return nil
}

// ForgetExact removes it.
func (k *Kernel) ForgetExact(s Subject, d Destination) error {
	key := d.key(s)
	err := k.objs.Exacts.Delete(&key)
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		return nil
	}
	return err
}

// Counters are what the kernel counted since its maps were made.
type Counters struct {
	LostEvents, Mismatches, UnknownProcesses, SocketsFull, ForeignRefused uint64
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
		ForeignRefused: v[kernelCounterFOREIGN_REFUSED],
	}, nil
}

func toExecutable(e flow.Executable) *kernelExecutable {
	return &kernelExecutable{Inode: e.Inode, Ctime: e.Ctime, CtimeNano: e.CtimeNano, Device: e.Device, Generation: e.Generation}
}

func toProgram(v ProgramVerdict) *kernelProgram {
	p := &kernelProgram{Generation: v.Generation, Id: v.ID, Verdict: uint32(v.Verdict)}
	if v.PerProcess {
		p.PerProcess = 1
	}
	return p
}

func fromExecutable(e kernelExecutable) flow.Executable {
	return flow.Executable{Inode: e.Inode, Ctime: e.Ctime, CtimeNano: e.CtimeNano, Device: e.Device, Generation: e.Generation}
}
