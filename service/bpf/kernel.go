package bpf

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"
	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sync/errgroup"
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

// Load brings the programs into the kernel, taking over the maps that an earlier start
// with the same tag pinned. It attaches nothing.
func Load(tag string, log *slog.Logger) (*Kernel, error) {
	if err := rlimit.RemoveMemlock(); err != nil {
		return nil, fmt.Errorf("lift the memory limit for maps: %w", err)
	}
	if err := mountBPFFS(); err != nil {
		return nil, err
	}
	k := &Kernel{pins: Pins(tag), log: log}
	if err := os.MkdirAll(k.pins, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder for pins: %w", err)
	}
	err := k.load()
	if errors.Is(err, ebpf.ErrMapIncompatible) {
		// Another version's maps: what it decided is decided again by the rules.
		log.Warn("the kernel's memory is of another version, starting it anew", "err", err)
		if err := k.unpinMaps(); err != nil {
			return nil, err
		}
		k.anew = true
		err = k.load()
	}
	if err != nil {
		return nil, fmt.Errorf("load the programs: %w", err)
	}
	if k.events, err = ringbuf.NewReader(k.objs.Events); err != nil {
		_ = k.objs.Close()
		return nil, fmt.Errorf("open the event ring: %w", err)
	}
	return k, nil
}

func (k *Kernel) load() error {
	spec, err := loadKernel()
	if err != nil {
		return err
	}
	for _, m := range spec.Maps {
		if !private[m.Name] && !strings.HasPrefix(m.Name, ".") {
			m.Pinning = ebpf.PinByName
		}
	}
	empty := spec.Copy()
	empty.Programs = nil
	all, err := ebpf.NewCollectionWithOptions(empty, ebpf.CollectionOptions{Maps: ebpf.MapOptions{PinPath: k.pins}})
	if err != nil {
		return err
	}
	defer all.Close() // but for what Assign takes
	if all.Programs, err = loadPrograms(spec, all.Maps); err != nil {
		return err
	}
	return all.Assign(&k.objs)
}

// loadPrograms has the kernel go through the programs, which takes most of the time until
// the service is ready, two at a time.
func loadPrograms(spec *ebpf.CollectionSpec, with map[string]*ebpf.Map) (map[string]*ebpf.Program, error) {
	names := slices.SortedFunc(maps.Keys(spec.Programs), func(a, b string) int {
		return cmp.Or(len(spec.Programs[b].Instructions)-len(spec.Programs[a].Instructions), cmp.Compare(a, b))
	})
	var parts [2]*ebpf.Collection
	var g errgroup.Group
	for i := range parts {
		part := spec.Copy()
		for n, name := range names {
			if n%len(parts) != i {
				delete(part.Programs, name)
			}
		}
		g.Go(func() (err error) {
			parts[i], err = ebpf.NewCollectionWithOptions(part, ebpf.CollectionOptions{MapReplacements: with})
			return err
		})
	}
	err := g.Wait()
	programs := map[string]*ebpf.Program{}
	for _, p := range parts {
		if p == nil {
			continue
		}
		if err == nil {
			for name := range p.Programs {
				programs[name] = p.DetachProgram(name)
			}
		}
		p.Close()
	}
	return programs, err
}

func (k *Kernel) unpinMaps() error {
	spec, err := loadKernel()
	if err != nil {
		return err
	}
	for name := range spec.Maps {
		if strings.HasPrefix(name, ".") {
			continue // never pinned; bpffs refuses such names
		}
		if err := os.Remove(filepath.Join(k.pins, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("unpin %s: %w", name, err)
		}
	}
	return nil
}

// Close lets go of the programs and maps; what is pinned goes on working.
func (k *Kernel) Close() error {
	return errors.Join(k.events.Close(), k.objs.Close())
}

var _ io.Closer = (*Kernel)(nil)

// Classifier is the programs that nftables asks about each packet, by file descriptor.
type Classifier struct {
	Allowed, Blocked  int // may leave; is to be refused
	Arrives, Stopped  int // may be delivered; is to be dropped
	Passes, PassesNot int // may be forwarded; is to be refused
	Answer            int // answers a name lookup that we watch
}

// Classifier returns them; they are valid until Close.
func (k *Kernel) Classifier() Classifier {
	p := &k.objs.kernelPrograms
	return Classifier{
		Allowed: p.Allowed.FD(), Blocked: p.Blocked.FD(), Arrives: p.Arrives.FD(), Stopped: p.Stopped.FD(),
		Passes: p.Passes.FD(), PassesNot: p.PassesNot.FD(), Answer: p.Answer.FD(),
	}
}
