package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"
)

// stage is where a scenario plays: the lab's T for a program that is not a test. It
// numbers the steps and remembers what has to be taken down.
type stage struct {
	ctx    context.Context
	began  time.Time
	number int
	// clicked is when the answer was given.
	clicked time.Time

	mu       sync.Mutex
	failed   bool
	cleanups []func()
}

// perform plays a scenario in a goroutine of its own, which Fatalf may end, takes
// everything down and returns the exit code.
func perform(scenario func(*stage)) int {
	ctx, cancel := context.WithCancel(context.Background())
	s := &stage{ctx: ctx, began: time.Now()}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer s.takeDown(cancel)
		scenario(s)
	}()
	<-done
	if s.Failed() {
		fmt.Fprintln(os.Stderr, "demo: failed")
		return 1
	}
	s.step("Done in %v. Nothing of it is left on this machine.", time.Since(s.began).Round(time.Second))
	return 0
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

// step prints what happens next, or has just happened.
func (s *stage) step(format string, args ...any) {
	s.number++
	fmt.Printf("%2d. %s\n", s.number, fmt.Sprintf(format, args...))
}

// say prints a line that belongs to the step above.
func (s *stage) say(format string, args ...any) {
	fmt.Printf("    %s\n", fmt.Sprintf(format, args...))
}

// must ends the scenario if err is not nil.
func (s *stage) must(what string, err error) {
	if err != nil {
		s.Fatalf("%s: %v", what, err)
	}
}

// within tries until f succeeds, and ends the scenario when it did not in time.
func (s *stage) within(span time.Duration, what string, f func() error) {
	deadline := time.Now().Add(span)
	for {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			s.Fatalf("%s: not within %v: %v", what, span, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// The rest is lab.T.

func (s *stage) Helper() {}

func (s *stage) Context() context.Context { return s.ctx }

func (s *stage) Cleanup(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cleanups = append(s.cleanups, f)
}

func (s *stage) Logf(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

func (s *stage) Errorf(format string, args ...any) {
	s.mu.Lock()
	s.failed = true
	s.mu.Unlock()
	fmt.Fprintf(os.Stderr, "demo: "+format+"\n", args...)
}

func (s *stage) Fatalf(format string, args ...any) {
	s.Errorf(format, args...)
	runtime.Goexit()
}

func (s *stage) Failed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}
