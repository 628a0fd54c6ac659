package bpf

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// Links are the attached hooks of a Kernel, held open: who deletes their pins detaches
// nothing as long as we live. One goroutine uses them.
type Links struct {
	k      *Kernel
	cgroup string
	id     uint64              // of the cgroup
	held   map[string]heldLink // by pin
	maps   map[string]*ebpf.Map
}

type heldLink struct {
	link.Link
	program  ebpf.ProgramID
	ofCgroup bool // only these can be detached
	at       ebpf.AttachType
}

// Mended is what Mend found amiss and put right.
type Mended struct {
	Detached int // hooks that were gone or ran another program
	Pins     int // pins that were gone
}

// HoldLinks takes hold of what Attach has put in place.
func (k *Kernel) HoldLinks(cgroup string) (*Links, error) {
	id, err := cgroupID(cgroup)
	if err != nil {
		return nil, err
	}
	l := &Links{k: k, cgroup: cgroup, id: id, maps: map[string]*ebpf.Map{}}
	for name, m := range fields[*ebpf.Map](&k.objs.kernelMaps) {
		if m.IsPinned() {
			l.maps[name] = m
		}
	}
	if l.held, err = l.hold(); err != nil {
		return nil, err
	}
	return l, nil
}

// Close lets go of the hooks, which go on as long as their pins are there.
func (l *Links) Close() error { return release(l.held) }

func release(held map[string]heldLink) error {
	var errs []error
	for _, h := range held {
		errs = append(errs, h.Close())
	}
	return errors.Join(errs...)
}

func (l *Links) hold() (map[string]heldLink, error) {
	pins, err := filepath.Glob(filepath.Join(l.k.pins, "link_*"))
	if err != nil {
		return nil, err
	}
	held := map[string]heldLink{}
	for _, pin := range pins {
		if strings.HasSuffix(pin, "_new") {
			continue // left by a start that was killed
		}
		h, err := holdLink(pin)
		if err != nil {
			return nil, errors.Join(err, release(held))
		}
		held[pin] = h
	}
	return held, nil
}

func holdLink(pin string) (heldLink, error) {
	n, err := link.LoadPinnedLink(pin, nil)
	if err != nil {
		return heldLink{}, fmt.Errorf("hold %s: %w", filepath.Base(pin), err)
	}
	info, err := n.Info()
	if err != nil {
		return heldLink{}, errors.Join(fmt.Errorf("hold %s: %w", filepath.Base(pin), err), n.Close())
	}
	h := heldLink{Link: n, program: info.Program}
	if c := info.Cgroup(); c != nil {
		h.ofCgroup, h.at = true, ebpf.AttachType(c.AttachType)
	}
	return h, nil
}

// fields are the members of type T of a structure that bpf2go made, by name.
func fields[T any](structure any) map[string]T {
	all := map[string]T{}
	v := reflect.ValueOf(structure).Elem()
	for i := range v.NumField() {
		if f, ok := v.Field(i).Interface().(T); ok {
			all[v.Type().Field(i).Tag.Get("ebpf")] = f
		}
	}
	return all
}

// Mend looks whether every hook runs and every pin is there, and puts right what isn't.
// It costs some 50 microseconds where all is well.
func (l *Links) Mend() (Mended, error) {
	var m Mended
	for pin, h := range l.held {
		ok, err := l.runs(h)
		if err == nil && !ok {
			m.Detached++
			err = l.attachAgain(pin, h)
		}
		if err != nil {
			return m, fmt.Errorf("look at %s: %w", filepath.Base(pin), err)
		}
	}
	var err error
	m.Pins, err = l.mendPins()
	return m, err
}

func (l *Links) runs(h heldLink) (bool, error) {
	info, err := h.Info()
	if err != nil {
		return false, err
	}
	return info.Program == h.program && (!h.ofCgroup || info.Cgroup() != nil && info.Cgroup().CgroupId == l.id), nil
}

// attachAgain puts our program back into a link that runs another, or into a new one.
func (l *Links) attachAgain(pin string, h heldLink) error {
	prog, err := l.program(h.program)
	if err != nil {
		return err
	}
	if !h.ofCgroup {
		return h.Update(prog)
	}
	name := strings.TrimPrefix(filepath.Base(pin), "link_")
	if err := l.k.attachCgroup(name, l.cgroup, l.id, h.at, prog); err != nil {
		return err
	}
	n, err := holdLink(pin)
	if err != nil {
		return err
	}
	l.held[pin] = n
	return h.Close()
}

// program finds one of ours by its number.
func (l *Links) program(id ebpf.ProgramID) (*ebpf.Program, error) {
	for _, p := range fields[*ebpf.Program](&l.k.objs.kernelPrograms) {
		info, err := p.Info()
		if err != nil {
			return nil, err
		}
		if n, ok := info.ID(); ok && n == id {
			return p, nil
		}
	}
	return nil, fmt.Errorf("no program has number %d", id)
}

// pinned is a map or a link.
type pinned interface {
	Pin(string) error
	Unpin() error
}

func (l *Links) mendPins() (int, error) {
	n := 0
	mend := func(file string, p pinned) error {
		_, err := os.Lstat(file)
		if err == nil {
			return nil
		}
		if !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("look at a pin: %w", err)
		}
		n++
		if err := os.MkdirAll(l.k.pins, 0o700); err != nil {
			return fmt.Errorf("make the folder for pins: %w", err)
		}
		// Unpin, since it believes to be pinned.
		if err := errors.Join(p.Unpin(), p.Pin(file)); err != nil {
			return fmt.Errorf("put the pin %s back: %w", filepath.Base(file), err)
		}
		return nil
	}
	for pin, h := range l.held {
		if err := mend(pin, h.Link); err != nil {
			return n, err
		}
	}
	for name, m := range l.maps {
		if err := mend(filepath.Join(l.k.pins, name), m); err != nil {
			return n, err
		}
	}
	return n, nil
}
