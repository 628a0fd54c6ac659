package engine

import (
	"time"

	"sekisho/service/bpf"
)

// comparePause is how often what lives is compared with the kernel at least: an end may
// have been told before its flow was.
const comparePause = time.Minute

// lookForLost ends the flows whose end was not told: else they would be shown for ever, and
// one day fill what room there is.
func (e *Engine) lookForLost() {
	k, err := e.c.Kernel.Counters()
	if err != nil {
		return
	}
	e.mu.Lock()
	lost := k.LostEvents != e.lost
	if !lost && time.Since(e.compared) < comparePause {
		e.mu.Unlock()
		return
	}
	e.mu.Unlock()
	e.drain() // what was told before: all that can miss its end is live then
	e.mu.Lock()
	e.lost, e.compared = k.LostEvents, time.Now()
	cookies := make([]uint64, 0, e.live.Len()+len(e.waiting.ofSocket))
	for c := range e.live.Sockets() {
		cookies = append(cookies, c)
	}
	for c := range e.waiting.ofSocket {
		cookies = append(cookies, c)
	}
	e.mu.Unlock()
	now := e.c.Clock().Since
	for _, c := range cookies {
		if _, there := e.c.Kernel.OwnerOfSocket(c); !there && c != 0 {
			e.Closed(bpf.Closed{Cookie: c, At: now, Several: true})
		}
	}
	if lost {
		e.c.Log.Warn("events of the kernel were lost", "in all", k.LostEvents, "compared", len(cookies))
	}
}
