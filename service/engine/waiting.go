package engine

import (
	"log/slog"
	"time"

	"sekisho/app/flow"
	"sekisho/service/bpf"
	"sekisho/service/traffic"
)

// waitingFlow is a flow whose packets the kernel holds for us, or that was refused since
// nothing could hold them: then what is answered is for the next attempt.
type waitingFlow struct {
	flow     flow.Flow
	owner    bpf.Owner
	held     []Held
	deadline time.Time
	question *question
	refused  bool
}

func (w *waitingFlow) give(verdict func(Held) error, log *slog.Logger) {
	give(w.held, verdict, log)
	w.held = nil
}

// waitingFlows are those that wait for an answer, by what they are looked for.
type waitingFlows struct {
	flows     map[traffic.Key]*waitingFlow
	ofSocket  map[uint64]map[*waitingFlow]bool // by cookie
	ofProgram map[string]int                   // how many, by flow.Program.Key
	ofUser    map[uint32]int
}

func newWaitingFlows() waitingFlows {
	return waitingFlows{
		flows: map[traffic.Key]*waitingFlow{}, ofSocket: map[uint64]map[*waitingFlow]bool{}, ofProgram: map[string]int{}, ofUser: map[uint32]int{},
	}
}

func (s *waitingFlows) add(w *waitingFlow) {
	s.flows[traffic.KeyOf(&w.flow)] = w
	s.ofProgram[w.flow.Process.Key()]++
	s.ofUser[w.flow.Process.UID]++
	c := w.flow.Cookie
	if s.ofSocket[c] == nil {
		s.ofSocket[c] = map[*waitingFlow]bool{}
	}
	s.ofSocket[c][w] = true
}

func (s *waitingFlows) remove(w *waitingFlow) {
	delete(s.flows, traffic.KeyOf(&w.flow))
	key, c := w.flow.Process.Key(), w.flow.Cookie
	if s.ofProgram[key]--; s.ofProgram[key] <= 0 {
		delete(s.ofProgram, key)
	}
	uid := w.flow.Process.UID
	if s.ofUser[uid]--; s.ofUser[uid] <= 0 {
		delete(s.ofUser, uid)
	}
	if delete(s.ofSocket[c], w); len(s.ofSocket[c]) == 0 {
		delete(s.ofSocket, c)
	}
}
