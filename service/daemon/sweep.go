package daemon

import (
	"context"
	"time"

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
		all, err := enforce.Sockets()
		if err != nil {
			s.Log.Warn("sockets that are gone are not forgotten", "err", err)
			continue
		}
		open := make(map[uint64]bool, len(all))
		for _, o := range all {
			open[o.Cookie] = true
		}
		now := map[uint64]bool{}
		err = s.kernel.Sweep(func(cookie uint64) bool {
			if open[cookie] {
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
