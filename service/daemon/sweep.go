package daemon

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"sekisho/service/enforce"
)

// sweep forgets sockets that ended without telling. A socket that is not listed twice,
// with a minute between, is gone: one that was just made may be missing once.
func (s *service) sweep(ctx context.Context) error {
	t := time.NewTicker(time.Minute)
	defer t.Stop()
	missing := map[uint64]bool{}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		all, err := listSockets()
		if err != nil {
			s.Log.Warn("sockets that are gone are not forgotten", "err", err)
			continue
		}
		now := map[uint64]bool{}
		err = s.kernel.Sweep(func(cookie uint64) bool {
			if all.open[cookie] || s.outOfSight(cookie, all.netns) {
				return true
			}
			now[cookie] = true
			return !missing[cookie]
		}, s.engine.Closed)
		if err != nil {
			s.Log.Warn("sockets that are gone are not forgotten", "err", err)
		}
		missing = now
	}
}

// listed is what there is: sockets by cookie, in which network namespaces by inode number.
type listed struct{ open, netns map[uint64]bool }

func listSockets() (listed, error) {
	l := listed{map[uint64]bool{}, map[uint64]bool{}}
	err := eachNetns(func(netns uint64, d *enforce.Diag) error {
		all, err := d.Sockets()
		if err != nil {
			return err
		}
		l.netns[netns] = true
		for _, o := range all {
			l.open[o.Cookie] = true
		}
		return nil
	})
	if l.netns[0] {
		err = nil // what was not listed is out of sight
	}
	return l, err
}

// outOfSight reports whether a socket may be open in a network namespace whose sockets were
// not listed: its process lives, and in none of the others that were.
func (s *service) outOfSight(cookie uint64, netns map[uint64]bool) bool {
	o, ok := s.kernel.OwnerOfSocket(cookie)
	if !ok || !o.Foreign {
		return false
	}
	var is unix.Stat_t
	if unix.Stat(fmt.Sprintf("/proc/%d/ns/net", o.Process.PID), &is) != nil {
		return false
	}
	return !netns[is.Ino]
}
