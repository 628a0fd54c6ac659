package api

import (
	"time"

	"sekisho/app/api/sekishopb"
)

// PackStatus writes s as a message.
func PackStatus(s Status) *sekishopb.StatusReply {
	m := &sekishopb.StatusReply{
		Version:   text(s.Version),
		Mode:      text(string(s.Mode)),
		ModeUntil: packTime(s.ModeUntil),
		Enforcing: s.Enforcing,
		Since:     packTime(s.Since),
		Rules:     int64(s.Rules),
		Waiting:   int64(s.Waiting),
		Kernel: &sekishopb.Kernel{
			Release: text(s.Kernel.Release), Decisions: text(s.Kernel.Decisions), Queue: text(s.Kernel.Queue),
		},
		Counters: &sekishopb.Counters{
			Flows:        s.Counters.Flows,
			Queued:       s.Counters.Queued,
			QueueDropped: s.Counters.QueueDropped,
			Unattributed: s.Counters.Unattributed,
			Prompts:      s.Counters.Prompts,
			Answered:     s.Counters.Answered,
			Missed:       s.Counters.Missed,
			OverLimit:    s.Counters.OverLimit,
			EventsLost:   s.Counters.EventsLost,
			NotSaved:     s.Counters.NotSaved,
			Refused:      s.Counters.Refused,
			Unidentified: s.Counters.Unidentified,
			NotShown:     s.Counters.NotShown,
		},
	}
	m.Network, m.NetworkProfile = text(s.Network), text(s.NetworkProfile)
	for _, p := range s.Problems {
		m.Problems = append(m.Problems, &sekishopb.Problem{
			Code: text(p.Code), Value: []byte(p.Value), What: []byte(p.What), Since: packTime(p.Since), Do: []byte(p.Do),
		})
	}
	return m
}

// UnpackStatus reads a message.
func UnpackStatus(m *sekishopb.StatusReply) Status {
	k, c := m.GetKernel(), m.GetCounters()
	s := Status{
		Version:   m.GetVersion(),
		Mode:      Mode(m.GetMode()),
		ModeUntil: unpackTime(m.GetModeUntil()),
		Enforcing: m.GetEnforcing(),
		Since:     unpackTime(m.GetSince()),
		Rules:     int(m.GetRules()),
		Waiting:   int(m.GetWaiting()),
		Kernel:    Kernel{Release: k.GetRelease(), Decisions: k.GetDecisions(), Queue: k.GetQueue()},
		Counters: Counters{
			Flows:        c.GetFlows(),
			Queued:       c.GetQueued(),
			QueueDropped: c.GetQueueDropped(),
			Unattributed: c.GetUnattributed(),
			Prompts:      c.GetPrompts(),
			Answered:     c.GetAnswered(),
			Missed:       c.GetMissed(),
			OverLimit:    c.GetOverLimit(),
			EventsLost:   c.GetEventsLost(),
			NotSaved:     c.GetNotSaved(),
			Refused:      c.GetRefused(),
			Unidentified: c.GetUnidentified(),
			NotShown:     c.GetNotShown(),
		},
	}
	s.Network, s.NetworkProfile = m.GetNetwork(), m.GetNetworkProfile()
	for _, p := range m.GetProblems() {
		s.Problems = append(s.Problems, Problem{
			Code: p.GetCode(), Value: string(p.GetValue()), What: string(p.GetWhat()), Since: unpackTime(p.GetSince()), Do: string(p.GetDo()),
		})
	}
	return s
}

// PackSettings writes s as a message.
func PackSettings(s Settings) *sekishopb.SettingsMessage {
	m := &sekishopb.SettingsMessage{
		Deadline: int64(s.Deadline), Unattended: text(s.Unattended), WhenStopped: text(s.WhenStopped), Trust: s.Trust,
	}
	for _, p := range s.DisabledPresets {
		m.DisabledPresets = append(m.DisabledPresets, text(p))
	}
	return m
}

// UnpackSettings reads a message.
func UnpackSettings(m *sekishopb.SettingsMessage) Settings {
	return Settings{
		Deadline:        time.Duration(m.GetDeadline()),
		Unattended:      m.GetUnattended(),
		WhenStopped:     m.GetWhenStopped(),
		DisabledPresets: m.GetDisabledPresets(),
		Trust:           m.GetTrust(),
	}
}

// PackFilter writes a as a message.
func PackFilter(a ActivityFilter) *sekishopb.ActivityRequest {
	return &sekishopb.ActivityRequest{
		Since:   packTime(a.Since),
		Program: []byte(a.Program),
		Verdict: sekishopb.Verdict(a.Verdict),
		Follow:  a.Follow,
		Limit:   int32(a.Limit),
	}
}

// UnpackFilter reads a message.
func UnpackFilter(m *sekishopb.ActivityRequest) (ActivityFilter, error) {
	v, err := unpackVerdict(m.GetVerdict())
	return ActivityFilter{
		Since:   unpackTime(m.GetSince()),
		Program: string(m.GetProgram()),
		Verdict: v,
		Follow:  m.GetFollow(),
		Limit:   int(m.GetLimit()),
	}, err
}
