package daemon

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"sekisho/service/enforce"
	"sekisho/service/engine"
)

// sockets are those of our network namespace, and of every other one that can be reached:
// some thread is in it, or it has a name.
type sockets struct{}

// End does the engine's work in our own namespace first.
func (sockets) End(which func(engine.Socket) bool) (int, error) {
	n := 0
	err := eachNetns(func(netns uint64, d *enforce.Diag) error {
		ended, err := d.End(func(s enforce.Socket) bool {
			return which(engine.Socket{Netns: netns, Cookie: s.Cookie, Protocol: s.Protocol, Local: s.Local, Remote: s.Remote})
		})
		n += ended
		return err
	})
	return n, err
}

// errFound ends the search.
var errFound = errors.New("all are found")

func (sockets) Locals(of map[uint64]bool) (map[uint64]netip.AddrPort, error) {
	m := make(map[uint64]netip.AddrPort, len(of))
	err := eachNetns(func(_ uint64, d *enforce.Diag) error {
		all, err := d.Sockets()
		for _, s := range all {
			if of[s.Cookie] {
				m[s.Cookie] = s.Local
			}
		}
		if len(m) == len(of) {
			return errFound
		}
		return err
	})
	if errors.Is(err, errFound) {
		err = nil
	}
	return m, err
}

// eachNetns calls f for our network namespace, which is 0, and then for each other one, by
// its inode number. errFound ends it; other errors of f do not.
func eachNetns(f func(netns uint64, d *enforce.Diag) error) error {
	visit := func(netns uint64, fd int) error {
		d, err := enforce.OpenDiag(fd)
		if err != nil {
			return err
		}
		defer d.Close()
		return f(netns, d)
	}
	err := visit(0, 0)
	if errors.Is(err, errFound) {
		return err
	}
	errs := []error{err}
	others, err := otherNetns()
	errs = append(errs, err)
	for netns, path := range others {
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			continue // who was there is gone
		}
		err = visit(netns, fd)
		_ = unix.Close(fd)
		if errors.Is(err, errFound) {
			return err
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("in %s: %w", path, err))
		}
	}
	return errors.Join(errs...)
}
