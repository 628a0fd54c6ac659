package server

import (
	"bytes"
	"context"
	"errors"
	"io"
	"time"

	"google.golang.org/grpc"

	"sekisho/app/api"
	"sekisho/app/api/sekishopb"
	"sekisho/app/rule"
)

// batch is how many rules, prompts or flows travel in one message.
const batch = 128

// Rules lists what is the caller's: for others than administrators, the rules about
// their own account.
func (s *Server) Rules(_ *sekishopb.Empty, stream grpc.ServerStreamingServer[sekishopb.RuleBatch]) error {
	p := caller(stream.Context())
	return relay(stream.Context(), s, patience, func(ctx context.Context, push func(*sekishopb.RuleBatch)) error {
		rules, err := s.backend.Rules(ctx)
		if err != nil {
			return err
		}
		b := &sekishopb.RuleBatch{}
		for _, r := range rules {
			if !p.Owns(r.User) {
				continue
			}
			if b.Rules = append(b.Rules, api.PackRule(r)); len(b.Rules) == batch {
				push(b)
				b = &sekishopb.RuleBatch{}
			}
		}
		if len(b.Rules) > 0 {
			push(b)
		}
		return nil
	}, stream.Send)
}

// AddRule saves a rule of the caller's.
func (s *Server) AddRule(ctx context.Context, q *sekishopb.SaveRuleRequest) (*sekishopb.Rule, error) {
	r, err := api.UnpackRule(q.GetRule())
	if err != nil {
		return nil, bad(err)
	}
	p, span := caller(ctx), time.Duration(q.GetSpan())
	if err := forSelf(p, &r); err != nil {
		return nil, err
	}
	// What a client says of these is not evidence; the backend fills them in.
	r.ID, r.Created, r.Hits, r.LastUsed, r.By = "", time.Time{}, 0, time.Time{}, p.User
	r.Lifetime = begin(r.Lifetime)
	if r.Origin == "" {
		r.Origin = rule.FromCommand
	}
	if err := checkRule(r); err != nil {
		return nil, err
	}
	if err := checkLifetime(r.Lifetime.Kind, span); err != nil {
		return nil, err
	}
	s.rules.Lock()
	defer s.rules.Unlock()
	saved, err := s.backend.AddRule(ctx, r, span)
	if err != nil {
		return nil, err
	}
	s.log.Info("rule added", "id", saved.ID, "by", p.User)
	return api.PackRule(saved), nil
}

// EditRule replaces a rule of the caller's; what clients have no say in stays as it was.
func (s *Server) EditRule(ctx context.Context, q *sekishopb.SaveRuleRequest) (*sekishopb.Rule, error) {
	r, err := api.UnpackRule(q.GetRule())
	if err != nil {
		return nil, bad(err)
	}
	p, span := caller(ctx), time.Duration(q.GetSpan())
	if err := forSelf(p, &r); err != nil {
		return nil, err
	}
	s.rules.Lock()
	defer s.rules.Unlock()
	old, err := s.ruleOf(ctx, p, r.ID)
	if err != nil {
		return nil, err
	}
	r.Created, r.Hits, r.LastUsed, r.By, r.Origin = old.Created, old.Hits, old.LastUsed, old.By, old.Origin
	if r.Lifetime.Kind == old.Lifetime.Kind && span == 0 {
		r.Lifetime = old.Lifetime // it goes on as it is
	} else {
		r.Lifetime = begin(r.Lifetime)
		if err := checkLifetime(r.Lifetime.Kind, span); err != nil {
			return nil, err
		}
	}
	if err := checkRule(r); err != nil {
		return nil, err
	}
	saved, err := s.backend.EditRule(ctx, r, span)
	if err != nil {
		return nil, err
	}
	s.log.Info("rule changed", "id", saved.ID, "by", p.User)
	return api.PackRule(saved), nil
}

// EnableRule switches a rule of the caller's.
func (s *Server) EnableRule(ctx context.Context, q *sekishopb.EnableRuleRequest) (*sekishopb.Empty, error) {
	s.rules.Lock()
	defer s.rules.Unlock()
	p := caller(ctx)
	if _, err := s.ruleOf(ctx, p, q.GetId()); err != nil {
		return nil, err
	}
	if err := s.backend.EnableRule(ctx, q.GetId(), q.GetOn()); err != nil {
		return nil, err
	}
	s.log.Info("rule switched", "id", q.GetId(), "on", q.GetOn(), "by", p.User)
	return &sekishopb.Empty{}, nil
}

// RemoveRule removes a rule of the caller's.
func (s *Server) RemoveRule(ctx context.Context, q *sekishopb.RuleID) (*sekishopb.Empty, error) {
	s.rules.Lock()
	defer s.rules.Unlock()
	p := caller(ctx)
	if _, err := s.ruleOf(ctx, p, q.GetId()); err != nil {
		return nil, err
	}
	if err := s.backend.RemoveRule(ctx, q.GetId()); err != nil {
		return nil, err
	}
	s.log.Info("rule removed", "id", q.GetId(), "by", p.User)
	return &sekishopb.Empty{}, nil
}

// ImportRules gathers the pieces of a file, which the backend reads as untrusted.
func (s *Server) ImportRules(stream grpc.ClientStreamingServer[sekishopb.ImportChunk, sekishopb.ImportReply]) error {
	var (
		file    bytes.Buffer
		replace bool
	)
	for first := true; ; first = false {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if first {
			replace = m.GetReplace()
		}
		if file.Len()+len(m.GetContent()) > api.MaxImport {
			return api.Errorf(api.BadRequest, "the file is too big: at most %d bytes can be imported; split it", api.MaxImport)
		}
		file.Write(m.GetContent())
	}
	s.rules.Lock()
	defer s.rules.Unlock()
	added, err := s.backend.ImportRules(stream.Context(), file.Bytes(), replace)
	if err != nil {
		return err
	}
	s.log.Info("rules imported", "added", added, "replace", replace, "by", caller(stream.Context()).User)
	return stream.SendAndClose(&sekishopb.ImportReply{Added: int32(added)})
}

// forSelf makes a rule of somebody who is no administrator one about themselves.
func forSelf(p Peer, r *rule.Rule) error {
	if p.Admin {
		return nil
	}
	if r.User == "" {
		r.User = p.User
	}
	if !p.Is(r.User) {
		return api.Errorf(api.NotPermitted, "a rule about %s is not yours to make; leave out the user, or use sudo", r.User)
	}
	return nil
}

// begin keeps of a lifetime what a client may choose; the clocks are the service's.
func begin(l rule.Lifetime) rule.Lifetime {
	b := rule.Lifetime{Kind: l.Kind}
	if b.Kind == "" {
		b.Kind = rule.Always
	}
	if b.Kind == rule.Quit {
		b.Process = l.Process
	}
	return b
}

// ruleOf finds the rule that p wants to change. Whoever may not see it learns nothing
// of whether it exists.
func (s *Server) ruleOf(ctx context.Context, p Peer, id string) (rule.Rule, error) {
	if err := checkID("rule", id); err != nil {
		return rule.Rule{}, err
	}
	rules, err := s.backend.Rules(ctx)
	if err != nil {
		return rule.Rule{}, err
	}
	for _, r := range rules {
		if r.ID == id && p.Owns(r.User) {
			return r, nil
		}
	}
	if p.Admin {
		return rule.Rule{}, api.Errorf(api.NotFound, "there is no rule %s; sekishoctl rule list shows those that there are", id)
	}
	return rule.Rule{}, api.Errorf(api.NotPermitted, "you have no rule %s of your own; sekishoctl rule list shows yours, all others are an administrator's to change (sudo)", id)
}
