package bpf

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/ringbuf"
	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sync/errgroup"
)

// Code is the programs as they were compiled, and the running kernel's types, which they
// are fitted to.
type Code struct {
	spec   *ebpf.CollectionSpec
	types  *btf.Cache
	kernel *btf.Spec
}

// ReadCode reads both. It changes nothing in the kernel, so it may be done in any
// goroutine while other things go on.
func ReadCode() (*Code, error) {
	spec, err := loadKernel()
	if err != nil {
		return nil, fmt.Errorf("read the programs: %w", err)
	}
	for _, m := range spec.Maps {
		if !private[m.Name] && !strings.HasPrefix(m.Name, ".") {
			m.Pinning = ebpf.PinByName
		}
	}
	types := btf.NewCache()
	kernel, err := types.Kernel()
	if err != nil {
		return nil, fmt.Errorf("read the kernel's types: %w", err)
	}
	return &Code{spec, types, kernel}, nil
}

// Load brings the programs into the kernel, taking over the maps that an earlier start
// with the same tag pinned. It attaches nothing.
func (c *Code) Load(tag string, log *slog.Logger) (*Kernel, error) {
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
	err := c.load(k)
	if errors.Is(err, ebpf.ErrMapIncompatible) {
		// Another version's maps: what it decided is decided again by the rules.
		log.Warn("the kernel's memory is of another version, starting it anew", "err", err)
		if err := c.unpinMaps(k.pins); err != nil {
			return nil, err
		}
		k.anew = true
		err = c.load(k)
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

func (c *Code) load(k *Kernel) error {
	empty := *c.spec
	empty.Programs = nil
	all, err := ebpf.NewCollectionWithOptions(&empty, ebpf.CollectionOptions{Maps: ebpf.MapOptions{PinPath: k.pins}, Cache: c.types})
	if err != nil {
		return err
	}
	defer all.Close() // but for what Assign takes
	if all.Programs, err = c.programs(all.Maps); err != nil {
		return err
	}
	return all.Assign(&k.objs)
}

// programs has the kernel go through the programs, which takes most of the time until the
// service is ready, on every processor, the longest first.
func (c *Code) programs(with map[string]*ebpf.Map) (map[string]*ebpf.Program, error) {
	names := slices.SortedFunc(maps.Keys(c.spec.Programs), func(a, b string) int {
		return cmp.Or(len(c.spec.Programs[b].Instructions)-len(c.spec.Programs[a].Instructions), cmp.Compare(a, b))
	})
	var mu sync.Mutex // guards loaded
	loaded := make(map[string]*ebpf.Program, len(names))
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for _, name := range names {
		g.Go(func() error {
			p, err := c.program(name, with)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			loaded[name] = p
			return nil
		})
	}
	err := g.Wait()
	if err != nil {
		for _, p := range loaded {
			_ = p.Close()
		}
	}
	return loaded, err
}

func (c *Code) program(name string, with map[string]*ebpf.Map) (*ebpf.Program, error) {
	alone := ebpf.CollectionSpec{
		Maps: c.spec.Maps, Programs: map[string]*ebpf.ProgramSpec{name: c.spec.Programs[name]},
		Types: c.spec.Types, ByteOrder: c.spec.ByteOrder,
	}
	// Without KernelTypes the types of every module would be read too; none of ours is there.
	options := ebpf.CollectionOptions{Programs: ebpf.ProgramOptions{KernelTypes: c.kernel}, MapReplacements: with, Cache: c.types}
	p, err := ebpf.NewCollectionWithOptions(&alone, options)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	return p.DetachProgram(name), nil
}

func (c *Code) unpinMaps(pins string) error {
	for name := range c.spec.Maps {
		if strings.HasPrefix(name, ".") {
			continue // never pinned; bpffs refuses such names
		}
		if err := os.Remove(filepath.Join(pins, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("unpin %s: %w", name, err)
		}
	}
	return nil
}
