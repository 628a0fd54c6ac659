package bpf

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
)

// Hold says that packets of another network namespace, by its cookie, wait in a queue too:
// what is undecided there is no longer refused at once.
func (k *Kernel) Hold(netns uint64) error {
	if err := k.objs.Namespaces.Put(netns, uint32(1)); err != nil {
		return fmt.Errorf("hold packets of a network namespace: %w", err)
	}
	return nil
}

// HoldNoMore takes Hold back.
func (k *Kernel) HoldNoMore(netns uint64) error {
	if err := k.objs.Namespaces.Delete(netns); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return fmt.Errorf("hold packets of a network namespace no more: %w", err)
	}
	return nil
}

// HoldOwnOnly takes every Hold back, an earlier start's too.
func (k *Kernel) HoldOwnOnly() error {
	var all []uint64
	err := walk(k.objs.Namespaces, func(cookie *uint64, _ *uint32) { all = append(all, *cookie) })
	errs := []error{err}
	for _, c := range all {
		errs = append(errs, k.HoldNoMore(c))
	}
	return errors.Join(errs...)
}
