package rule

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"sekisho/app/flow"
)

const (
	// MinSpan and MaxSpan bound the span of a rule that ends at a moment.
	MinSpan = time.Second
	MaxSpan = 10 * 365 * 24 * time.Hour

	maxBoot = 64
)

// LifetimeKinds lists every kind, the shortest first.
var LifetimeKinds = []LifetimeKind{Once, Quit, Until, Boot, Always}

func (k LifetimeKind) valid() bool {
	switch k {
	case Always, Boot, Quit, Until, Once:
		return true
	}
	return false
}

// ParseLifetime reads "always", "once", "quit", "boot", or a span such as "15m", "1h30m"
// or "2d", which gives Until and the span.
func ParseLifetime(s string) (LifetimeKind, time.Duration, error) {
	s = strings.ToLower(strings.TrimSpace(s))
	if k := LifetimeKind(s); k != Until && k.valid() {
		return k, 0, nil
	}
	d, err := parseSpan(s)
	if err != nil {
		return "", 0, fmt.Errorf("lifetime %q: want always, once, quit, boot or a span such as 15m, 1h or 2d", s)
	}
	return Until, d, checkSpan(d)
}

func parseSpan(s string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		return time.Duration(n) * 24 * time.Hour, err
	}
	return time.ParseDuration(s)
}

func checkSpan(d time.Duration) error {
	if d < MinSpan || d > MaxSpan {
		return fmt.Errorf("span %s: want 1s to %dd", d, int(MaxSpan.Hours()/24))
	}
	return nil
}

// NewLifetime begins a lifetime now. The span counts for Until alone; process, which
// may be zero, for Quit alone.
func NewLifetime(k LifetimeKind, span time.Duration, now Clock, process flow.ProcessID) (Lifetime, error) {
	l := Lifetime{Kind: k}
	switch k {
	case Always, Once:
	case Boot:
		l.Boot = now.Boot
	case Quit:
		l.Boot, l.Process = now.Boot, process
	case Until:
		if err := checkSpan(span); err != nil {
			return Lifetime{}, err
		}
		l.Boot, l.Deadline = now.Boot, now.Since+span
		l.Until = now.Wall.Add(span).Round(0).UTC()
	default:
		return Lifetime{}, fmt.Errorf("lifetime %q: want always, once, quit, boot or until", k)
	}
	return l, nil
}

// bound reports whether l holds for one process and what descends from it.
func (l *Lifetime) bound() bool { return l.Kind == Quit && l.Process != flow.ProcessID{} }

// matches reports whether process q is one that l holds for.
func (l *Lifetime) matches(q *flow.Process) bool {
	if !l.bound() || l.Process == q.ProcessID {
		return true
	}
	for i := range q.Parents {
		if q.Parents[i].ProcessID == l.Process {
			return true
		}
	}
	return false
}

// Ended reports whether r's lifetime is over. It can't see that a process has quit or
// that a flow was the one of Once: whoever sees that removes the rule.
//
// A restart ends Boot and Quit. Until ends at its moment on CLOCK_BOOTTIME while the
// machine runs, whatever the wall clock is set to. After a restart the wall clock
// judges, but never for longer than the whole span after the start, nor when it
// stands before the rule was made.
func Ended(r *Rule, now Clock) bool {
	switch l := &r.Lifetime; l.Kind {
	case Always, Once, "":
		return false
	case Boot, Quit:
		return l.Boot == "" || l.Boot != now.Boot
	case Until:
		left, _ := Left(r, now)
		return left <= 0
	}
	return true
}

// Left is how long r still holds; false if it doesn't end at a moment.
func Left(r *Rule, now Clock) (time.Duration, bool) {
	l := &r.Lifetime
	if l.Kind != Until {
		return 0, false
	}
	if l.Boot != "" && l.Boot == now.Boot {
		return max(0, l.Deadline-now.Since), true
	}
	left := l.Until.Sub(now.Wall)
	if !r.Created.IsZero() {
		if now.Wall.Before(r.Created) {
			return 0, true
		}
		left = min(left, l.Until.Sub(r.Created)-now.Since)
	}
	return max(0, left), true
}

// normal returns l with an absent kind as Always.
func (l Lifetime) normal() Lifetime {
	if l.Kind == "" {
		l.Kind = Always
	}
	if !l.Until.IsZero() {
		l.Until = l.Until.Round(0).UTC()
	}
	return l
}

// check says what is wrong with l. Boot and Quit without a boot id are let through:
// they count as ended until the service begins them.
func (l *Lifetime) check() error {
	if !l.Kind.valid() {
		return badf("%q is no lifetime: want always, once, quit, boot or until", l.Kind)
	}
	if err := checkText(l.Boot, maxBoot); err != nil {
		return err
	}
	p := l.Process
	switch k := l.Kind; {
	case k != Until && (!l.Until.IsZero() || l.Deadline != 0):
		return badf("%s has no end at a moment: leave out the end, or choose until", k)
	case k == Until && l.Until.IsZero():
		return badf("until needs the moment of its end")
	case k == Until && (l.Deadline == 0) != (l.Boot == ""):
		return badf("a deadline and the boot it counts from go together: give both or neither")
	case l.Deadline < 0 || !plainYear(l.Until):
		return badf("the end is beyond reason")
	case (k == Always || k == Once) && l.Boot != "":
		return badf("%s outlives a restart: leave out the boot id", k)
	case k != Quit && p != flow.ProcessID{}:
		return badf("a process is for rules until it quits alone")
	case (p.PID == 0) != (p.Start == 0):
		return badf("a process needs its number and its start")
	}
	return nil
}

// plainYear reports whether t can be written as RFC 3339.
func plainYear(t time.Time) bool { return t.Year() >= 1 && t.Year() <= 9999 }
