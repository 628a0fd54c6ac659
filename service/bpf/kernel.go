package bpf

import (
	"errors"
	"io"
	"log/slog"
	"sync"

	"github.com/cilium/ebpf/ringbuf"
)

// Kernel is the loaded and pinned programs of one service.
type Kernel struct {
	pins string
	anew bool // the maps are new though hooks of an earlier start are there
	log  *slog.Logger
	objs kernelObjects

	identify sync.Mutex // one Identify at a time
	drain    sync.Mutex // one reader at a time; guards events, record, decoder
	events   *ringbuf.Reader
	record   ringbuf.Record
	decode   decoder
}

// private maps are scratch memory of a program; nothing outlives it.
var private = map[string]bool{"scratches": true}

// Load is ReadCode and Load of what that read.
func Load(tag string, log *slog.Logger) (*Kernel, error) {
	c, err := ReadCode()
	if err != nil {
		return nil, err
	}
	return c.Load(tag, log)
}

// Close lets go of the programs and maps; what is pinned goes on working.
func (k *Kernel) Close() error {
	return errors.Join(k.events.Close(), k.objs.Close())
}

var _ io.Closer = (*Kernel)(nil)

// Classifier is the programs that nftables asks about each packet, by file descriptor.
type Classifier struct {
	GoesOn            int // of what may leave, what needs no close look
	Allowed, Blocked  int // may leave; is to be refused
	Arrives, Stopped  int // may be delivered; is to be dropped
	Passes, PassesNot int // may be forwarded; is to be refused
	Answer            int // answers a name lookup that we watch
}

// Classifier returns them; they are valid until Close.
func (k *Kernel) Classifier() Classifier {
	p := &k.objs.kernelPrograms
	return Classifier{
		GoesOn: p.GoesOnThere.FD(), Allowed: p.Allowed.FD(), Blocked: p.Blocked.FD(), Arrives: p.Arrives.FD(), Stopped: p.Stopped.FD(),
		Passes: p.Passes.FD(), PassesNot: p.PassesNot.FD(), Answer: p.Answer.FD(),
	}
}
