package engine

import (
	"os"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"sekisho/app/rule"
)

// Clock tells the time by which lifetimes are judged.
type Clock func() rule.Clock

// Wall turns a moment on CLOCK_BOOTTIME into one on the wall clock.
func (c Clock) Wall(at time.Duration) time.Time {
	now := c()
	return now.Wall.Add(at - now.Since)
}

// clockHolds is how long CLOCK_BOOTTIME is reckoned on from what it was: asking for it is a
// system call, too dear for each connection. After a sleep of the machine it is late for
// that long at most.
const clockHolds = time.Millisecond

// SystemClock is the machine's.
func SystemClock() Clock {
	boot := ""
	if b, err := os.ReadFile("/proc/sys/kernel/random/boot_id"); err == nil {
		boot = strings.TrimSpace(string(b))
	}
	var read atomic.Pointer[rule.Clock]
	return func() rule.Clock {
		now := time.Now()
		if last := read.Load(); last != nil {
			if since := now.Sub(last.Wall); since >= 0 && since < clockHolds {
				return rule.Clock{Boot: boot, Since: last.Since + since, Wall: now}
			}
		}
		c := rule.Clock{Boot: boot, Since: boottime(), Wall: now}
		read.Store(&c)
		return c
	}
}

// boottime is CLOCK_BOOTTIME, which goes on while the machine sleeps.
func boottime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		return 0
	}
	return time.Duration(t.Nano())
}
