package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"sync"
)

// stage is the lab's T for a program that is not a test.
type stage struct {
	ctx context.Context

	mu       sync.Mutex
	failed   bool
	cleanups []func()
}

// perform calls f in a goroutine of its own, which Fatalf may end, takes everything
// down and reports whether nothing failed.
func perform(f func(*stage)) bool {
	ctx, cancel := context.WithCancel(context.Background())
	s := &stage{ctx: ctx}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer s.takeDown(cancel)
		f(s)
	}()
	<-done
	return !s.Failed()
}

func (s *stage) takeDown(cancel context.CancelFunc) {
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

// must ends the run if err is not nil.
func (s *stage) must(what string, err error) {
	if err != nil {
		s.Fatalf("%s: %v", what, err)
	}
}

// Helper and the methods below are lab.T.
func (s *stage) Helper() {}

// Context ends before the cleanups run.
func (s *stage) Context() context.Context { return s.ctx }

// Cleanup has f called at the end, last first.
func (s *stage) Cleanup(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cleanups = append(s.cleanups, f)
}

// Logf prints to standard error.
func (s *stage) Logf(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

// Errorf prints and has the run fail.
func (s *stage) Errorf(format string, args ...any) {
	s.mu.Lock()
	s.failed = true
	s.mu.Unlock()
	s.Logf("bench: "+format, args...)
}

// Fatalf is Errorf and ends the calling goroutine.
func (s *stage) Fatalf(format string, args ...any) {
	s.Errorf(format, args...)
	runtime.Goexit()
}

// Failed reports whether Errorf or Fatalf was called.
func (s *stage) Failed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}
