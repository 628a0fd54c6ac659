package engine

import "sync"

// asides are what the engine does beside the one path, each in a goroutine of its own: look
// at a file that may be large, write to a disk that may be slow.
type asides struct {
	mu      sync.Mutex // guards over; never held while another is taken
	over    bool
	running sync.WaitGroup
}

// do does f; false: nothing is done any more. It may be called from any goroutine.
func (a *asides) do(f func()) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.over {
		return false
	}
	a.running.Go(f)
	return true
}

// end waits for those that run, and lets no other begin.
func (a *asides) end() {
	a.mu.Lock()
	a.over = true
	a.mu.Unlock()
	a.running.Wait()
}
