package main

import (
	"fmt"
	"time"

	"sekisho/service/lab"
)

// stage is where a scenario plays. It numbers the steps.
type stage struct {
	*lab.Stage
	number int
	// clicked is when the answer was given.
	clicked time.Time
}

// perform plays a scenario and returns the exit code.
func perform(scenario func(*stage)) int {
	s, began := &stage{}, time.Now()
	ok := lab.Perform("demo", func(l *lab.Stage) {
		s.Stage = l
		scenario(s)
	})
	if !ok {
		s.Logf("demo: failed")
		return 1
	}
	s.step("Done in %v. Nothing of it is left on this machine.", time.Since(began).Round(time.Second))
	return 0
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
func (s *stage) must(what string, err error) { s.Must(what, err) }

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
