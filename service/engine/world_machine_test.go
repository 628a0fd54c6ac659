package engine

import (
	"errors"
	"net/netip"
	"sync"
	"time"

	"sekisho/app/flow"
	"sekisho/store"
)

// fakeSockets are the machine's; they end as they would.
type fakeSockets struct {
	mu    sync.Mutex
	open  []Socket
	ended []Socket
}

func (s *fakeSockets) End(which func(Socket) bool) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	var left []Socket
	for _, o := range s.open {
		if which(o) {
			s.ended = append(s.ended, o)
			n++
		} else {
			left = append(left, o)
		}
	}
	s.open = left
	return n, nil
}

func (s *fakeSockets) Locals(map[uint64]bool) (map[uint64]netip.AddrPort, error) { return nil, nil }

func (s *fakeSockets) left() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}

type fakeProcesses struct {
	all map[flow.ProcessID]*flow.Process
}

func (p *fakeProcesses) Find(id flow.ProcessID) (*flow.Process, bool) {
	q, ok := p.all[id]
	return q, ok
}
func (p *fakeProcesses) Running(string) []flow.ProcessID { return nil }
func (p *fakeProcesses) Sum(string, flow.Executable) (string, error) {
	return "", errors.ErrUnsupported
}
func (p *fakeProcesses) Prune(time.Time) {}
func (p *fakeProcesses) Provenance(q *flow.Process) flow.Provenance {
	return flow.Provenance{File: q.Path, Package: q.Package}
}

// fakePackages is what is installed: each file's package, and those that were modified.
type fakePackages struct {
	mu       sync.Mutex
	of       map[string]string
	modified map[flow.Executable]bool
}

func (p *fakePackages) Of(path string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.of[path]
}

func (p *fakePackages) Check(path string, exe flow.Executable) flow.Integrity {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.of[path] == "":
		return flow.UnknownIntegrity
	case p.modified[exe]:
		return flow.Modified
	}
	return flow.Intact
}

func (p *fakePackages) Any() bool { return true }

// memory is the store as the engine sees it.
type memory struct{ *store.Store }

func (m memory) AddHits(uses map[string]Use) error {
	all := map[string]store.Use{}
	for id, u := range uses {
		all[id] = store.Use{Hits: u.Hits, Last: u.Last}
	}
	return m.Store.AddHits(all)
}

func (m memory) History(since time.Time, program string, verdict flow.Verdict, limit int, f func(flow.Flow) bool) error {
	return m.Store.History(store.HistoryFilter{Since: since, Program: program, Verdict: verdict, Limit: limit}, f)
}
