package server

import (
	"context"
	"time"

	"sekisho/app/api"
	"sekisho/app/api/sekishopb"
)

// Status is everybody's to read: it holds counts and health, nobody's flows.
func (s *Server) Status(ctx context.Context, _ *sekishopb.Empty) (*sekishopb.StatusReply, error) {
	status, err := s.backend.Status(ctx)
	if err != nil {
		return nil, err
	}
	return api.PackStatus(status), nil
}

// SetMode is for administrators.
func (s *Server) SetMode(ctx context.Context, q *sekishopb.SetModeRequest) (*sekishopb.Empty, error) {
	mode, span := api.Mode(q.GetMode()), time.Duration(q.GetSpan())
	if err := checkMode(mode); err != nil {
		return nil, err
	}
	if err := checkSpan(span); err != nil {
		return nil, err
	}
	if err := s.backend.SetMode(ctx, mode, span); err != nil {
		return nil, err
	}
	s.log.Info("mode set", "mode", mode, "for", span, "by", caller(ctx).User)
	return &sekishopb.Empty{}, nil
}

// Settings is everybody's to read: the prompt shows the deadline.
func (s *Server) Settings(ctx context.Context, _ *sekishopb.Empty) (*sekishopb.SettingsMessage, error) {
	settings, err := s.backend.Settings(ctx)
	if err != nil {
		return nil, err
	}
	return api.PackSettings(settings), nil
}

// SetSettings is for administrators.
func (s *Server) SetSettings(ctx context.Context, q *sekishopb.SettingsMessage) (*sekishopb.Empty, error) {
	settings := api.UnpackSettings(q)
	if err := checkSettings(settings); err != nil {
		return nil, err
	}
	if err := s.backend.SetSettings(ctx, settings); err != nil {
		return nil, err
	}
	s.log.Info("settings changed", "by", caller(ctx).User)
	return &sekishopb.Empty{}, nil
}

// Explain answers others about themselves alone, and makes attempts for administrators. The
// backend leaves out what is not the asker's to see.
func (s *Server) Explain(ctx context.Context, q *sekishopb.ExplainRequest) (*sekishopb.ExplainReply, error) {
	question, err := api.UnpackQuestion(q)
	if err != nil {
		return nil, bad(err)
	}
	if err := checkQuestion(question); err != nil {
		return nil, err
	}
	p := caller(ctx)
	question.Asker = api.Asker{UID: p.UID, Admin: p.Admin}
	if !p.Admin {
		if question.Live {
			return nil, api.Errorf(api.NotPermitted, "an attempt under the kernel's trace is for administrators; leave out --live, or use sudo")
		}
		if question.User == "" {
			question.User = p.User
		}
		if !p.Is(question.User) {
			return nil, api.Errorf(api.NotPermitted, "what is decided for %s is not yours to ask; leave out the user, or use sudo", question.User)
		}
	}
	e, err := s.backend.Explain(ctx, question)
	if err != nil {
		return nil, err
	}
	return api.PackExplanation(e), nil
}
