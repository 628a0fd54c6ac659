package bpf

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// Header is what a network device's frames begin with.
type Header int

const (
	UnknownHeader  Header = iota // only who may send anything anywhere may send frames there
	EthernetHeader               // Ethernet's
	NoHeader                     // IP at once
)

// Device is a network device of the namespace that we run in.
type Device struct {
	Index  int
	Header Header
}

// Devices are the network devices at which the frames of packet sockets are judged. The
// hooks are pinned: they stay when the service ends. One goroutine uses them.
type Devices struct {
	k    *Kernel
	held map[int]heldDevice // by index
}

type heldDevice struct {
	link.Link
	header Header
}

// HoldDevices judges frames of sockets that were made in a cgroup, given by its number and
// its depth below the root, and beneath it; number 0: of all. It covers no device yet.
func (k *Kernel) HoldDevices(cgroup uint64, level uint32) (*Devices, error) {
	if err := k.objs.FrameScopes.Put(uint32(0), &kernelFrameScope{Cgroup: cgroup, Level: level}); err != nil {
		return nil, fmt.Errorf("write whose frames are judged: %w", err)
	}
	return &Devices{k: k, held: map[int]heldDevice{}}, nil
}

// Close lets go of the hooks, which go on as long as their pins are there.
func (d *Devices) Close() error {
	var errs []error
	for _, h := range d.held {
		errs = append(errs, h.Close())
	}
	return errors.Join(errs...)
}

// Cover sees to it that frames are judged at all of these devices, and at no other. again
// is how many hooks others had taken away. errors.Is(err, ebpf.ErrNotSupported): this
// kernel cannot (before 6.6). What an earlier start left is replaced by the first call,
// which attaches the new hook first.
func (d *Devices) Cover(all []Device) (again int, err error) {
	var errs []error
	wanted := map[string]bool{}
	for _, v := range all {
		wanted[filepath.Base(d.pin(v.Index))] = true
		h, held := d.held[v.Index]
		if held && h.header == v.Header {
			ok, err := d.runs(v.Index, h)
			if err != nil {
				errs = append(errs, err)
			}
			if ok || err != nil {
				continue
			}
		}
		if err := d.attach(v); err != nil {
			errs = append(errs, err)
		} else if held && h.header == v.Header {
			again++
		}
	}
	for index, h := range maps.Clone(d.held) {
		if !slices.ContainsFunc(all, func(v Device) bool { return v.Index == index }) {
			delete(d.held, index)
			errs = append(errs, h.Close())
		}
	}
	return again, errors.Join(append(errs, d.forget(wanted))...)
}

func (d *Devices) pin(index int) string {
	return filepath.Join(d.k.pins, "device_"+strconv.Itoa(index))
}

// runs reports whether the hook is still at its device, and pins it again where that is all
// that is missing: the kernel takes a program no second time at one device.
func (d *Devices) runs(index int, h heldDevice) (bool, error) {
	info, err := h.Info()
	if err != nil {
		return false, fmt.Errorf("look at a device's hook: %w", err)
	}
	if t := info.TCX(); t == nil || int(t.Ifindex) != index {
		return false, nil
	}
	_, err = os.Lstat(d.pin(index))
	if errors.Is(err, os.ErrNotExist) {
		// Unpin, since it believes to be pinned.
		err = errors.Join(os.MkdirAll(d.k.pins, 0o700), h.Unpin(), h.Pin(d.pin(index)))
	}
	if err != nil {
		return true, fmt.Errorf("pin the hook of device %d: %w", index, err)
	}
	return true, nil
}

func (d *Devices) attach(v Device) error {
	p := &d.k.objs.kernelPrograms
	program := p.FrameUnknown
	switch v.Header {
	case EthernetHeader:
		program = p.FrameEthernet
	case NoHeader:
		program = p.FrameBare
	}
	// First of all: another one's program there may let frames go without asking the rest.
	l, err := link.AttachTCX(link.TCXOptions{Interface: v.Index, Program: program, Attach: ebpf.AttachTCXEgress, Anchor: link.Head()})
	if err != nil {
		return fmt.Errorf("judge frames at device %d: %w", v.Index, err)
	}
	next := d.pin(v.Index) + "_new"
	err = ignoreMissing(os.Remove(next))
	if err == nil {
		err = os.MkdirAll(d.k.pins, 0o700)
	}
	if err == nil {
		err = l.Pin(next)
	}
	if err == nil {
		err = os.Rename(next, d.pin(v.Index))
	}
	if err != nil {
		return errors.Join(fmt.Errorf("pin the hook of device %d: %w", v.Index, err), l.Close())
	}
	old, held := d.held[v.Index]
	d.held[v.Index] = heldDevice{l, v.Header}
	if held {
		return old.Close()
	}
	return nil
}

// forget removes the pins of devices that are not there.
func (d *Devices) forget(wanted map[string]bool) error {
	pins, err := filepath.Glob(filepath.Join(d.k.pins, "device_*"))
	if err != nil {
		return err
	}
	var errs []error
	for _, pin := range pins {
		if name := filepath.Base(pin); !wanted[name] && !wanted[strings.TrimSuffix(name, "_new")] {
			errs = append(errs, ignoreMissing(os.Remove(pin)))
		}
	}
	return errors.Join(errs...)
}

func ignoreMissing(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}
