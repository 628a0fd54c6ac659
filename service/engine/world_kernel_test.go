package engine

import (
	"net/netip"
	"os"
	"sync"

	"sekisho/app/flow"
	"sekisho/service/bpf"
)

// fakeKernel holds what it is told and decides by it as c/decide.h does.
type fakeKernel struct {
	mu       sync.Mutex
	control  bpf.Control
	programs map[flow.Executable]bpf.ProgramVerdict
	exacts   map[exactRef]exactVerdict
	files    map[string]flow.Executable
	gone     map[uint64]bool
	counted  map[counted]flow.Traffic
	peers    int // forgotten
	lost     uint64
	owners   map[uint64]bpf.Owner
}

type exactVerdict struct {
	generation uint64
	verdict    bpf.Verdict
}

type counted struct {
	cookie uint64
	remote netip.AddrPort
}

func (k *fakeKernel) Control() (bpf.Control, error) { return k.control, nil }

func (k *fakeKernel) SetControl(c bpf.Control) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.control = c
	return nil
}

func (k *fakeKernel) LetThrough(netip.AddrPort, netip.AddrPort, bool) error { return nil }

func (k *fakeKernel) SetProgram(exe flow.Executable, v bpf.ProgramVerdict) error {
	return k.SetPrograms(map[flow.Executable]bpf.ProgramVerdict{exe: v})
}

func (k *fakeKernel) SetPrograms(all map[flow.Executable]bpf.ProgramVerdict) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	for exe, v := range all {
		k.programs[exe] = v
	}
	return nil
}

func (k *fakeKernel) ForgetProgram(exe flow.Executable) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.programs, exe)
	return nil
}

func (k *fakeKernel) Programs(f func(flow.Executable, bpf.ProgramVerdict)) error {
	for exe, v := range k.programs {
		f(exe, v)
	}
	return nil
}

func (k *fakeKernel) SetExact(s bpf.Subject, p bpf.Peer, v bpf.Verdict, generation uint64) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.exacts[exactRef{s, p}] = exactVerdict{generation, v}
	return nil
}

func (k *fakeKernel) ForgetExact(s bpf.Subject, p bpf.Peer) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.exacts, exactRef{s, p})
	return nil
}

func (k *fakeKernel) Identify(path string) (flow.Executable, error) {
	if exe, ok := k.files[path]; ok {
		return exe, nil
	}
	return flow.Executable{}, os.ErrNotExist
}

func (k *fakeKernel) IdentifyAll(paths []string) (map[string]flow.Executable, error) {
	found := map[string]flow.Executable{}
	for _, p := range paths {
		if exe, ok := k.files[p]; ok {
			found[p] = exe
		}
	}
	return found, nil
}

func (k *fakeKernel) Counters() (bpf.Counters, error) {
	return bpf.Counters{LostEvents: k.lost}, nil
}

func (k *fakeKernel) OwnerOfSocket(cookie uint64) (bpf.Owner, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	o, ok := k.owners[cookie]
	return o, ok || cookie != 0 && !k.gone[cookie]
}

func (k *fakeKernel) Traffic(cookie uint64, p bpf.Peer) (flow.Traffic, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	t, ok := k.counted[counted{cookie, netip.AddrPortFrom(p.Addr, p.Port)}]
	return t, cookie != 0 && (ok || !k.gone[cookie])
}

func (k *fakeKernel) ForgetPeers(_ uint64, peers []bpf.Peer) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.peers += len(peers)
	return nil
}

func (k *fakeKernel) exact(r exactRef) bpf.Verdict {
	if x, ok := k.exacts[r]; ok && x.generation == k.control.Generation {
		return x.verdict
	}
	return bpf.Ask
}

// decide is c/decide.h.
func (k *fakeKernel) decide(f *flow.Flow, o bpf.Owner) bpf.Verdict {
	k.mu.Lock()
	defer k.mu.Unlock()
	var subject bpf.Subject
	found := false
	if !o.Mismatch && !o.Unknown {
		v := k.control.Fallback
		if p, ok := k.programs[o.Executable]; ok && p.Generation == k.control.Generation {
			v, subject, found = p.Out, bpf.OfProgram(p.ID), true
			if f.Direction == flow.In {
				v = p.In
			}
			if p.PerProcess {
				subject = bpf.OfProcess(o)
				v = k.exact(exactRef{subject, bpf.Peer{Direction: f.Direction}})
			}
		}
		if k.control.Loopback != bpf.Ask && k.control.Fallback != bpf.Allow && f.Remote.Addr.Unmap().IsLoopback() {
			if k.control.Loopback == bpf.Allow {
				return bpf.Allow
			}
			v = bpf.Depends
		}
		if v == bpf.Allow || v == bpf.Block {
			return v
		}
	}
	if found {
		if v := k.exact(exactRef{subject, peerOf(f)}); v == bpf.Allow || v == bpf.Block {
			return v
		}
	}
	own := bpf.Peer{Direction: f.Direction, Protocol: f.Protocol, Addr: f.Remote.Addr, Port: f.Remote.Port}
	return k.exact(exactRef{bpf.OfSocket(o.Cookie, o.Process, o.ExecID), own})
}
