package api

import (
	"time"

	"sekisho/app/api/sekishopb"
	"sekisho/app/prompt"
	"sekisho/app/rule"
)

// PackPrompt writes p as a message.
func PackPrompt(p prompt.Prompt) *sekishopb.Prompt {
	m := &sekishopb.Prompt{
		Id:         text(p.ID),
		Generation: p.Generation,
		Flow:       PackFlow(p.Flow),
		Flows:      int32(p.Flows),
		Deadline:   packTime(p.Deadline),
		State:      text(string(p.State)),
	}
	m.Warnings = packWarnings(p.Warnings)
	for _, path := range p.Predecessors {
		m.Predecessors = append(m.Predecessors, []byte(path))
	}
	for _, s := range p.Scopes {
		m.Scopes = append(m.Scopes, packScope(s))
	}
	return m
}

// UnpackPrompt reads a message.
func UnpackPrompt(m *sekishopb.Prompt) (prompt.Prompt, error) {
	f, err := UnpackFlow(m.GetFlow())
	if err != nil {
		return prompt.Prompt{}, err
	}
	p := prompt.Prompt{
		ID:         m.GetId(),
		Generation: m.GetGeneration(),
		Flow:       f,
		Flows:      int(m.GetFlows()),
		Deadline:   unpackTime(m.GetDeadline()),
		State:      prompt.State(m.GetState()),
	}
	p.Warnings = unpackWarnings(m.GetWarnings())
	for _, path := range m.GetPredecessors() {
		p.Predecessors = append(p.Predecessors, string(path))
	}
	for _, s := range m.GetScopes() {
		scope, err := unpackScope(s)
		if err != nil {
			return prompt.Prompt{}, err
		}
		p.Scopes = append(p.Scopes, scope)
	}
	return p, nil
}

// PackAnswer writes an answer to the prompt or flow id. Answer.By and Answer.User do
// not travel: the server sets them from the caller.
func PackAnswer(id string, a prompt.Answer) *sekishopb.AnswerRequest {
	return &sekishopb.AnswerRequest{
		Id:         text(id),
		Action:     packAction(a.Action),
		Lifetime:   text(string(a.Lifetime)),
		Span:       int64(a.For),
		Scope:      packScope(a.Scope),
		Generation: a.Generation,
		Like:       []byte(a.Like),
	}
}

// UnpackAnswer reads a message.
func UnpackAnswer(m *sekishopb.AnswerRequest) (id string, a prompt.Answer, err error) {
	a = prompt.Answer{
		Lifetime:   rule.LifetimeKind(m.GetLifetime()),
		For:        time.Duration(m.GetSpan()),
		Generation: m.GetGeneration(),
	}
	if len(m.GetLike()) > 0 {
		a.Like = string(m.GetLike())
		return m.GetId(), a, nil
	}
	if a.Action, err = unpackAction(m.GetAction()); err != nil {
		return "", prompt.Answer{}, err
	}
	if a.Scope, err = unpackScope(m.GetScope()); err != nil {
		return "", prompt.Answer{}, err
	}
	return m.GetId(), a, nil
}

func packScope(s prompt.Scope) *sekishopb.Scope {
	return &sekishopb.Scope{Kind: text(string(s.Kind)), To: []byte(s.To), Port: uint32(s.Port)}
}

func unpackScope(m *sekishopb.Scope) (prompt.Scope, error) {
	port, err := unpackPort(m.GetPort())
	return prompt.Scope{Kind: prompt.ScopeKind(m.GetKind()), To: string(m.GetTo()), Port: port}, err
}

// PackEvent writes e as a message.
func PackEvent(e Event) *sekishopb.Event {
	m := &sekishopb.Event{Gone: text(e.Gone), Rules: e.Rules}
	if e.Prompt != nil {
		m.Prompt = PackPrompt(*e.Prompt)
	}
	if e.Status != nil {
		m.Status = PackStatus(*e.Status)
	}
	if e.Blocked != nil {
		m.Blocked = PackFlow(*e.Blocked)
	}
	return m
}

// UnpackEvent reads a message.
func UnpackEvent(m *sekishopb.Event) (Event, error) {
	e := Event{Gone: m.GetGone(), Rules: m.GetRules()}
	if m.GetPrompt() != nil {
		p, err := UnpackPrompt(m.GetPrompt())
		if err != nil {
			return Event{}, err
		}
		e.Prompt = &p
	}
	if m.GetStatus() != nil {
		s := UnpackStatus(m.GetStatus())
		e.Status = &s
	}
	if m.GetBlocked() != nil {
		f, err := UnpackFlow(m.GetBlocked())
		if err != nil {
			return Event{}, err
		}
		e.Blocked = &f
	}
	return e, nil
}
