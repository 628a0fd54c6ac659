package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"time"

	"sekisho/service/lab"
)

// scene is a lab with the real service, on which checks are done one after another. It is
// the lab's T: what goes wrong fails the check that is being done, and the next follows.
type scene struct {
	*lab.Lab
	name    string
	service *lab.Service
	target  netip.AddrPort // an echo server on Remote
	port    uint16         // of the last server

	ctx      context.Context
	mu       sync.Mutex
	errs     []error // of the check that is being done
	failed   bool
	says     []string
	cleanups []func()
}

// perform plays a scene and takes it down, which is a check too, and reports whether
// all went well.
func perform(name string, play func(*scene)) bool {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s := &scene{name: name, ctx: ctx}
	if s.check("a lab", func() { s.Lab = lab.New(s) }) {
		play(s)
	}
	s.check("nothing of it is left", func() {
		for len(s.cleanups) > 0 {
			last := s.cleanups[len(s.cleanups)-1]
			s.cleanups = s.cleanups[:len(s.cleanups)-1]
			last()
		}
	})
	return !s.failed
}

// check does one check and reports it.
func (s *scene) check(what string, f func()) bool {
	s.mu.Lock()
	s.errs, s.says = nil, nil
	s.mu.Unlock()
	began, done := time.Now(), make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	<-done
	s.mu.Lock()
	defer s.mu.Unlock()
	err := errors.Join(s.errs...)
	report(s.name+": "+what, began, err, s.says...)
	if err != nil && s.service != nil {
		for l := range strings.Lines(s.service.Log()) {
			fmt.Print("  log: ", l)
		}
	}
	return err == nil
}

// say adds to what the check reports when all is well.
func (s *scene) say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.says = append(s.says, fmt.Sprintf(format, args...))
}

// must ends the check if err is not nil.
func (s *scene) must(what string, err error) {
	if err != nil {
		s.Fatalf("%s: %v", what, err)
	}
}

// eventually looks again and again until ok, for twenty seconds: this machine is slow.
func (s *scene) eventually(what string, ok func() bool) {
	deadline := time.Now().Add(20 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			s.Fatalf("%s: not within twenty seconds", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// Helper is for lab.T.
func (s *scene) Helper() {}

// Context ends with the scene.
func (s *scene) Context() context.Context { return s.ctx }

// Cleanup has f called at the end, last first.
func (s *scene) Cleanup(f func()) { s.cleanups = append(s.cleanups, f) }

// Logf prints between the checks.
func (s *scene) Logf(format string, args ...any) {
	fmt.Printf("  %s\n", strings.ReplaceAll(fmt.Sprintf(format, args...), "\n", "\n  "))
}

// Errorf fails the check.
func (s *scene) Errorf(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed = true
	s.errs = append(s.errs, fmt.Errorf(format, args...))
}

// Fatalf fails the check and ends it.
func (s *scene) Fatalf(format string, args ...any) {
	s.Errorf(format, args...)
	runtime.Goexit()
}

// Failed reports whether a check failed.
func (s *scene) Failed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}
