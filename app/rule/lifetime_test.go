package rule

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sekisho/app/flow"
)

// day is a clock that runs from genStart, an hour after the machine's start.
func day(since time.Duration) Clock {
	return Clock{Boot: "b-1", Since: time.Hour + since, Wall: genStart.Add(since)}
}

// restarted is the same day after a restart.
func restarted(since, up time.Duration) Clock {
	return Clock{Boot: "b-2", Since: up, Wall: genStart.Add(since)}
}

func setBack(c Clock, by time.Duration) Clock { c.Wall = c.Wall.Add(-by); return c }

func TestLifetimeEnds(t *testing.T) {
	process := flow.ProcessID{PID: 7, Start: 70}
	for _, c := range []struct {
		name  string
		kind  LifetimeKind
		now   Clock
		ended bool
	}{
		{"always", Always, restarted(1e6*time.Hour, 0), false},
		{"once ends with its flow, which no clock tells", Once, restarted(time.Hour, 0), false},
		{"boot, the same", Boot, day(1000 * time.Hour), false},
		{"boot, restarted", Boot, restarted(time.Minute, 0), true},
		{"quit, the same boot", Quit, day(1000 * time.Hour), false},
		{"quit, restarted", Quit, restarted(time.Minute, 0), true},
		{"hour, just before", Until, day(time.Hour - 1), false},
		{"hour, over", Until, day(time.Hour), true},
		{"hour, slept through: boottime runs on", Until, day(8 * time.Hour), true},
		{"hour, wall clock set back", Until, setBack(day(time.Hour), 5*time.Hour), true},
		{"hour, wall clock set forward", Until, setBack(day(time.Minute), -5*time.Hour), false},
		{"hour, restarted in it", Until, restarted(30*time.Minute, time.Minute), false},
		{"hour, restarted, over", Until, restarted(time.Hour, time.Minute), true},
		{"hour, restarted, wall clock set back before its beginning", Until, restarted(-time.Second, time.Minute), true},
		{"hour, restarted, wall clock set back, but up for the whole span", Until, restarted(time.Minute, time.Hour), true},
		{"of no known kind", "later", day(0), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := Rule{Enabled: true, Action: Block, Created: genStart, Lifetime: Lifetime{Kind: c.kind}}
			if c.kind.valid() {
				var err error
				if r.Lifetime, err = NewLifetime(c.kind, time.Hour, day(0), process); err != nil {
					t.Fatal(err)
				}
				if err := Validate(r); err != nil {
					t.Fatal(err)
				}
			}
			if got := Ended(&r, c.now); got != c.ended {
				t.Errorf("ended: %v, want %v", got, c.ended)
			}
			q := Query{Process: &flow.Process{ProcessID: process}}
			if _, ok := NewSet([]Rule{r}).Decide(q, c.now); ok == c.ended {
				t.Errorf("decides: %v", ok)
			}
		})
	}
}

// However the wall clock is set, a span lasts no longer than it says on the boot it
// was made in, and after a restart no longer than that once more.
func TestSettingTheClockNeverProlongs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		span := time.Duration(rapid.Int64Range(int64(MinSpan), int64(100*time.Hour)).Draw(t, "span"))
		l, err := NewLifetime(Until, span, day(0), flow.ProcessID{})
		if err != nil {
			t.Fatal(err)
		}
		r := Rule{Created: genStart, Lifetime: l}
		later := span + time.Duration(rapid.Int64Range(0, int64(100*time.Hour)).Draw(t, "later"))
		wall := time.Duration(rapid.Int64Range(int64(-200*time.Hour), int64(200*time.Hour)).Draw(t, "wall"))
		same, next := day(later), restarted(0, later)
		same.Wall, next.Wall = genStart.Add(wall), genStart.Add(wall)
		if !Ended(&r, same) || !Ended(&r, next) {
			t.Fatalf("a span of %s still holds after %s at %s", span, later, wall)
		}
	})
}

// An imported rule knows the moment of its end alone.
func TestUntilOfAnotherMachine(t *testing.T) {
	r := Rule{Action: Allow, Lifetime: Lifetime{Kind: Until, Until: genStart.Add(time.Hour)}}
	if err := Validate(r); err != nil {
		t.Fatal(err)
	}
	if left, ok := Left(&r, day(15*time.Minute)); !ok || left != 45*time.Minute {
		t.Errorf("%s left, %v", left, ok)
	}
	if !Ended(&r, day(time.Hour)) {
		t.Error("outlives its end")
	}
}

func TestNextEnd(t *testing.T) {
	rule := func(id string, k LifetimeKind, span time.Duration) Rule {
		l, err := NewLifetime(k, span, day(0), flow.ProcessID{})
		if err != nil {
			t.Fatal(err)
		}
		return Rule{ID: id, Enabled: true, Action: Allow, Created: genStart, Lifetime: l}
	}
	s := NewSet([]Rule{
		rule("1", Always, 0), rule("2", Until, 3*time.Hour), rule("3", Until, 2*time.Hour), rule("4", Boot, 0),
	})
	for _, c := range []struct {
		now  Clock
		want time.Duration
	}{
		{day(0), 2 * time.Hour},
		{day(90 * time.Minute), 30 * time.Minute},
		{day(150 * time.Minute), 0}, // the one that ended is still there to be taken out
		{restarted(time.Hour, time.Minute), time.Hour},
	} {
		if got, ok := s.NextEnd(c.now); !ok || got != c.want {
			t.Errorf("at %s: %s, %v; want %s", c.now.Since, got, ok, c.want)
		}
	}
	if _, ok := NewSet([]Rule{rule("1", Always, 0)}).NextEnd(day(0)); ok {
		t.Error("an end where there is none")
	}
}

func TestParseLifetime(t *testing.T) {
	for _, c := range []struct {
		in   string
		kind LifetimeKind
		span time.Duration
		err  string
	}{
		{in: "always", kind: Always}, {in: "Once", kind: Once}, {in: "quit", kind: Quit}, {in: " boot ", kind: Boot},
		{in: "15m", kind: Until, span: 15 * time.Minute},
		{in: "1h30m", kind: Until, span: 90 * time.Minute},
		{in: "2d", kind: Until, span: 48 * time.Hour},
		{in: "until", err: "want always, once, quit, boot or a span"},
		{in: "", err: "want always"}, {in: "d", err: "want always"}, {in: "15", err: "want always"},
		{in: "forever", err: "want always"},
		{in: "-5m", err: "want 1s to 3650d"}, {in: "1ms", err: "want 1s"}, {in: "3651d", err: "want 1s to 3650d"},
	} {
		kind, span, err := ParseLifetime(c.in)
		switch {
		case c.err != "":
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%q: error %v, want %q", c.in, err, c.err)
			}
		case err != nil || kind != c.kind || span != c.span:
			t.Errorf("%q: %s %s, %v", c.in, kind, span, err)
		}
	}
	if _, err := NewLifetime("later", 0, day(0), flow.ProcessID{}); err == nil {
		t.Error("a lifetime of no kind began")
	}
	if _, err := NewLifetime(Until, 0, day(0), flow.ProcessID{}); err == nil {
		t.Error("a span of nothing began")
	}
}
