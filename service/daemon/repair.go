package daemon

import (
	"context"
	"time"
)

// repair puts our table back when somebody flushes it.
func (s *service) repair(ctx context.Context) error {
	t := time.NewTicker(500 * time.Millisecond)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		there, err := s.table.Present()
		if there {
			continue
		}
		if err == nil {
			err = s.table.Apply()
		}
		if err != nil {
			s.engine.Problem("table", "Undecided traffic is not held: "+err.Error(), "Restart the service; sekishoctl doctor says more.")
			continue
		}
		s.Log.Warn("another program removed our nftables rules; they are back")
		s.engine.Problem("table", "Another program removed the firewall's rules; they were put back.", "Look which one flushes nftables.")
	}
}
