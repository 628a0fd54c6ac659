package resolved

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"sekisho/service/names"
)

// Socket is where systemd-resolved tells what it answered. Only root may listen to it.
const Socket = "/run/systemd/resolve/io.systemd.Resolve.Monitor"

const (
	subscribe = "io.systemd.Resolve.Monitor.SubscribeQueryResults" // since systemd 252
	// Pauses between attempts to reach a service that is not there, or has restarted.
	firstPause = 250 * time.Millisecond
	maxPause   = 30 * time.Second
)

// Monitor listens to systemd-resolved. Make it with NewMonitor.
type Monitor struct {
	path    string
	log     *slog.Logger
	working atomic.Bool
}

// NewMonitor makes a Monitor of the service behind a socket: Socket, but for tests.
func NewMonitor(path string, log *slog.Logger) *Monitor { return &Monitor{path: path, log: log} }

// Working reports whether answers are heard of now. It may be called from any goroutine.
func (m *Monitor) Working() bool { return m.working.Load() }

// Run calls f for each answer with addresses, from its own goroutine and one at a time,
// until ctx is done. A machine without systemd-resolved has nothing to tell; one that
// restarts is found again.
func (m *Monitor) Run(ctx context.Context, f func(names.Answer)) error {
	pause := firstPause
	for {
		heard := false
		err := call(ctx, m.path, subscribe, func(p json.RawMessage) error {
			heard = true
			m.working.Store(true)
			if a, ok := m.read(p); ok {
				f(a)
			}
			return nil
		})
		m.working.Store(false)
		if ctx.Err() != nil {
			return nil
		}
		if heard {
			pause = firstPause
		}
		if !errors.Is(err, os.ErrNotExist) {
			m.log.Debug("systemd-resolved does not tell what it answers", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
		pause = min(2*pause, maxPause)
	}
}

// result is one reply of SubscribeQueryResults; the first has nothing but ready.
type result struct {
	State    string `json:"state"`
	Question []key  `json:"question"`
	// Collected are the questions before Question, whose answers were aliases.
	Collected []key `json:"collectedQuestions"`
	Answer    []struct {
		Raw []byte `json:"raw"` // base64
	} `json:"answer"`
}

type key struct {
	Class uint16 `json:"class"`
	Type  uint16 `json:"type"`
	Name  string `json:"name"`
}

func (m *Monitor) read(p json.RawMessage) (names.Answer, bool) {
	var r result
	if err := json.Unmarshal(p, &r); err != nil {
		m.log.Debug("systemd-resolved told something else", "err", err)
		return names.Answer{}, false
	}
	if r.State != "success" || len(r.Question) == 0 {
		return names.Answer{}, false
	}
	raw := make([][]byte, len(r.Answer))
	for i := range r.Answer {
		raw[i] = r.Answer[i].Raw
	}
	a, err := names.FromRecords(chain(r.Collected, r.Question), raw)
	if err != nil {
		m.log.Debug("an answer of systemd-resolved is not read whole", "err", err)
	}
	return a, len(a.Addrs) > 0
}

// chain is the names that were asked for one after the other. Each stands there once for
// each type, and once more in its own letters.
func chain(questions ...[]key) (all []string) {
	for _, q := range questions {
		for _, k := range q {
			if n, ok := names.HostName(k.Name); ok && k.Class <= 1 && (len(all) == 0 || all[len(all)-1] != n) {
				all = append(all, n)
			}
		}
	}
	return all
}
