package daemon

import (
	"context"
	"runtime/debug"
	"sync"
	"time"

	"sekisho/app/api"
)

// knowFiles keeps what is known of where programs come from: which package has a file, and
// who wrote it. Without either of them the firewall decides as before, with fewer facts.
func (s *service) knowFiles(ctx context.Context) error {
	var all sync.WaitGroup
	defer all.Wait()
	all.Go(func() {
		s.packages.Any()
		debug.FreeOSMemory()    // what the first reading took
		_ = s.packages.Run(ctx) // its end is ctx's
	})
	all.Go(func() { s.watchPackages(ctx) })
	if err := s.writers.Run(ctx); err != nil {
		s.engine.Problem("writers", api.NewProblem(api.ProblemWriters, err.Error()))
	}
	return nil
}

// watchPackages says what keeps the packages from being known.
func (s *service) watchPackages(ctx context.Context) {
	t := time.NewTicker(10 * time.Second)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		if err := s.packages.Problem(); err != nil {
			s.engine.Problem("packages", api.NewProblem(api.ProblemPackages, err.Error()))
		} else {
			s.engine.Solved("packages")
		}
	}
}
