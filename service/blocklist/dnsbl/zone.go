package dnsbl

import "time"

// A zone that failed so often in a row is left alone for a while, twice as long each
// time; then one question tries it.
const (
	patience   = 5
	firstPause = time.Minute
	lastPause  = time.Hour
)

// zone is how a zone behaves.
type zone struct {
	failures int
	pauses   int
	until    time.Time // asked no more before
	probing  bool      // the question that tries it is on its way
	proven   time.Time // known until then not to list everybody
}

// mayAsk says whether the zone is to be asked now.
func (z *zone) mayAsk(now time.Time) bool {
	if z.pauses == 0 {
		return true
	}
	if now.Before(z.until) || z.probing {
		return false
	}
	z.probing = true
	return true
}

// failed counts; at once means that there is no point in asking again soon.
func (z *zone) failed(now time.Time, atOnce bool) {
	if now.Before(z.until) { // it was on its way when the pause began
		return
	}
	z.failures++
	z.probing = false
	if z.failures < patience && !atOnce && z.pauses == 0 {
		return
	}
	pause := min(firstPause<<min(z.pauses, 10), lastPause)
	if atOnce {
		pause = lastPause
	}
	z.pauses++
	z.until = now.Add(pause)
}

func (z *zone) answered() { z.failures, z.pauses, z.probing = 0, 0, false }
