package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"sekisho/app/api"
	"sekisho/app/rule"
)

// modeState is the mode and, while it holds for a span only, what comes after. The span
// runs on CLOCK_BOOTTIME; after a restart of the machine the wall clock judges.
type modeState struct {
	Mode     api.Mode
	Then     api.Mode      `json:",omitempty"`
	Boot     string        `json:",omitempty"`
	Deadline time.Duration `json:",omitempty"`
	Until    time.Time     `json:",omitzero"`
}

func (m modeState) over(now rule.Clock) bool {
	switch {
	case m.Then == "":
		return false
	case m.Boot == now.Boot:
		return now.Since >= m.Deadline
	}
	// A pause is never longer than the machine runs.
	return m.Mode == api.ModeOff || !now.Wall.Before(m.Until)
}

var errNoMode = errors.New("no such mode")

func (m modeState) after() modeState { return modeState{Mode: m.Then} }

func (e *Engine) recallMode() error {
	e.mode = modeState{Mode: api.ModeAsk}
	if _, err := e.c.Store.Load("mode", &e.mode); err != nil {
		return fmt.Errorf("recall the mode: %w", err)
	}
	if !slices.Contains(api.Modes, e.mode.Mode) {
		return fmt.Errorf("recall the mode: %w: %q", errNoMode, e.mode.Mode)
	}
	if e.mode.over(e.c.Clock()) {
		e.mode = e.mode.after()
	}
	return nil
}

// SetMode changes the mode, for good or for a span after which the one before is back.
func (e *Engine) SetMode(_ context.Context, m api.Mode, span time.Duration) error {
	if !slices.Contains(api.Modes, m) {
		return api.Errorf(api.BadRequest, "mode %q: want one of %s", m, modeNames())
	}
	if span < 0 {
		return api.Errorf(api.BadRequest, "a mode can't hold for less than no time")
	}
	e.begin()
	defer e.saving.Unlock()
	e.mu.Lock()
	next := modeState{Mode: m}
	if span > 0 && m != e.mode.Mode || span > 0 && e.mode.Then != "" {
		now := e.c.Clock()
		next.Then, next.Boot, next.Deadline, next.Until = e.mode.Mode, now.Boot, now.Since+span, now.Wall.Add(span)
		if e.mode.Then != "" { // a span inside a span goes back to what held before both
			next.Then = e.mode.Then
		}
	}
	e.mu.Unlock()
	if err := e.c.Store.Save("mode", next); err != nil {
		return notSaved(err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.changeMode(next)
	return nil
}

func modeNames() string {
	names := make([]string, len(api.Modes))
	for i, m := range api.Modes {
		names[i] = string(m)
	}
	return strings.Join(names, ", ")
}

func (e *Engine) changeMode(next modeState) {
	e.c.Log.Info("mode", "was", e.mode.Mode, "is", next.Mode, "then", next.Then)
	e.mode = next
	e.reconsider()
}

func (e *Engine) endModeSpan() {
	e.mu.Lock()
	over := e.mode.over(e.c.Clock())
	if over {
		e.changeMode(e.mode.after())
	}
	e.mu.Unlock()
	if over {
		e.aside.do(e.saveMode) // the disk may be slow
	}
}

// saveMode writes the mode as it is then: somebody may set another one meanwhile.
func (e *Engine) saveMode() {
	e.saving.Lock()
	defer e.saving.Unlock()
	e.mu.Lock()
	now := e.mode
	e.mu.Unlock()
	if err := e.c.Store.Save("mode", now); err != nil {
		e.c.Log.Warn("the mode is not saved", "err", err)
	}
}

// Bounds of the deadline: a SYN can be held for 134 s before the program's own connect
// fails (measured in prototypes/kernel, p3t), and no answer comes within less than 1 s.
const (
	minDeadline = time.Second
	maxDeadline = 100 * time.Second
)

func defaultSettings() api.Settings {
	return api.Settings{Deadline: time.Minute, Unattended: unattendedBlock, WhenStopped: whenStoppedClosed}
}

// Values of Settings.WhenStopped.
const (
	whenStoppedClosed = "closed"
	whenStoppedOpen   = "open"
)

// Settings returns them.
func (e *Engine) Settings(context.Context) (api.Settings, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.settings
	s.DisabledPresets = slices.Clone(s.DisabledPresets)
	return s, nil
}

// otherSettings makes what follows from other settings.
func (e *Engine) otherSettings() {
	e.presets = presets{}
	e.shipped()
}

// SetSettings replaces them.
func (e *Engine) SetSettings(_ context.Context, s api.Settings) error {
	if s.Deadline < minDeadline || s.Deadline > maxDeadline {
		return api.Errorf(api.BadRequest, "the deadline is from %v to %v", minDeadline, maxDeadline)
	}
	if s.Unattended != unattendedBlock && s.Unattended != unattendedPackage {
		return api.Errorf(api.BadRequest, "unattended: want %s or %s", unattendedBlock, unattendedPackage)
	}
	if s.WhenStopped != whenStoppedClosed && s.WhenStopped != whenStoppedOpen {
		return api.Errorf(api.BadRequest, "when-stopped: want %s or %s", whenStoppedOpen, whenStoppedClosed)
	}
	for _, p := range s.DisabledPresets {
		if names := rule.PresetNames(); !slices.Contains(names, p) {
			return api.Errorf(api.BadRequest, "there is no preset %q: want one of %s", p, strings.Join(names, ", "))
		}
	}
	e.begin()
	defer e.saving.Unlock()
	if err := e.c.Store.Save("settings", s); err != nil {
		return notSaved(err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.settings = s
	e.otherSettings()
	e.reconsider()
	return nil
}
