package engine

import (
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"sekisho/app/rule"
)

// Clock tells the time by which lifetimes are judged.
type Clock func() rule.Clock

// SystemClock is the machine's.
func SystemClock() Clock {
	boot := ""
	if b, err := os.ReadFile("/proc/sys/kernel/random/boot_id"); err == nil {
		boot = strings.TrimSpace(string(b))
	}
	return func() rule.Clock {
		return rule.Clock{Boot: boot, Since: boottime(), Wall: time.Now()}
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
