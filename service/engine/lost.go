package engine

import (
	"sekisho/service/bpf"
	"sekisho/service/traffic"
)

// lookForLost ends the flows whose end was not told, after events were lost: else they
// would be shown for ever, and one day fill what room there is.
func (e *Engine) lookForLost() {
	k, err := e.c.Kernel.Counters()
	if err != nil {
		return
	}
	e.mu.Lock()
	if k.LostEvents == e.lost {
		e.mu.Unlock()
		return
	}
	e.lost = k.LostEvents
	peers := make(map[uint64]bpf.Peer, e.live.Len()+len(e.waiting.ofSocket))
	for c, l := range e.live.Sockets() {
		peers[c] = traffic.Peer(&l.Flow)
	}
	for c, waiting := range e.waiting.ofSocket {
		for w := range waiting {
			peers[c] = traffic.Peer(&w.flow)
		}
	}
	e.mu.Unlock()
	now := e.c.Clock().Since
	for c, p := range peers {
		if _, open := e.c.Kernel.Traffic(c, p); !open && c != 0 {
			e.Closed(bpf.Closed{Cookie: c, At: now})
		}
	}
	e.c.Log.Warn("events of the kernel were lost", "in all", k.LostEvents, "compared", len(peers))
}
