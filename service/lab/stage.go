package lab

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"sync"
)

// Stage is a T for a program that is not a test: what is played on it may fail, and is
// taken down at the end whatever happens.
type Stage struct {
	name string
	ctx  context.Context

	mu       sync.Mutex
	failed   bool
	cleanups []func()
}

// Perform plays a scenario in a goroutine of its own, which Fatalf may end, takes
// everything down and reports whether nothing failed. The name stands before what goes
// wrong, on standard error.
func Perform(name string, scenario func(*Stage)) bool {
	ctx, cancel := context.WithCancel(context.Background())
	s := &Stage{name: name, ctx: ctx}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer s.takeDown(cancel)
		scenario(s)
	}()
	<-done
	return !s.Failed()
}

func (s *Stage) takeDown(cancel context.CancelFunc) {
	cancel()
	for {
		s.mu.Lock()
		if len(s.cleanups) == 0 {
			s.mu.Unlock()
			return
		}
		last := len(s.cleanups) - 1
		f := s.cleanups[last]
		s.cleanups = s.cleanups[:last]
		s.mu.Unlock()
		f()
	}
}

// Must ends the scenario if err is not nil.
func (s *Stage) Must(what string, err error) {
	if err != nil {
		s.Fatalf("%s: %v", what, err)
	}
}

// Helper is for T.
func (s *Stage) Helper() {}

// Context ends before the cleanups run.
func (s *Stage) Context() context.Context { return s.ctx }

// Cleanup has f called at the end, last first.
func (s *Stage) Cleanup(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cleanups = append(s.cleanups, f)
}

// Logf prints to standard error.
func (s *Stage) Logf(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

// Errorf prints and has the scenario fail.
func (s *Stage) Errorf(format string, args ...any) {
	s.mu.Lock()
	s.failed = true
	s.mu.Unlock()
	s.Logf(s.name+": "+format, args...)
}

// Fatalf is Errorf and ends the calling goroutine.
func (s *Stage) Fatalf(format string, args ...any) {
	s.Errorf(format, args...)
	runtime.Goexit()
}

// Failed reports whether Errorf or Fatalf was called.
func (s *Stage) Failed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}
