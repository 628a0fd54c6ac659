package server

import (
	"context"

	"google.golang.org/grpc"

	"sekisho/app/api"
	"sekisho/app/api/sekishopb"
	"sekisho/app/rule"
)

// maxSettled is how many proposals are settled at once.
const maxSettled = 4096

// maxNetworkID is longer than any id of a network, in bytes.
const maxNetworkID = 256

// Networks is everybody's to read.
func (s *Server) Networks(ctx context.Context, _ *sekishopb.Empty) (*sekishopb.NetworksReply, error) {
	all, err := s.backend.Networks(ctx)
	if err != nil {
		return nil, err
	}
	m := &sekishopb.NetworksReply{}
	for _, n := range all {
		m.Networks = append(m.Networks, api.PackNetwork(n))
	}
	return m, nil
}

// NameNetwork is for administrators.
func (s *Server) NameNetwork(ctx context.Context, q *sekishopb.NameNetworkRequest) (*sekishopb.Empty, error) {
	if q.GetId() == "" || len(q.GetId()) > maxNetworkID {
		return nil, api.Errorf(api.BadRequest, "which network? give its id as sekishoctl networks lists it")
	}
	if p := rule.NormalNetwork(q.GetProfile()); p != "" {
		if err := rule.CheckProfile(p); err != nil {
			return nil, bad(err)
		}
	}
	if err := s.backend.NameNetwork(ctx, q.GetId(), q.GetProfile()); err != nil {
		return nil, err
	}
	s.log.Info("network named", "network", q.GetId(), "profile", q.GetProfile(), "by", caller(ctx).User)
	return &sekishopb.Empty{}, nil
}

// Learned is for administrators: it tells of everybody's programs.
func (s *Server) Learned(_ *sekishopb.Empty, stream grpc.ServerStreamingServer[sekishopb.LearnedBatch]) error {
	return relay(stream.Context(), s, patience, func(ctx context.Context, push func(*sekishopb.LearnedBatch)) error {
		l, err := s.backend.Learned(ctx)
		if err != nil {
			return err
		}
		b := &sekishopb.LearnedBatch{Left: int64(l.Left), Skipped: l.Skipped}
		for _, p := range l.Proposals {
			if b.Proposals = append(b.Proposals, api.PackProposal(p)); len(b.Proposals) == batch {
				push(b)
				b = &sekishopb.LearnedBatch{}
			}
		}
		push(b)
		return nil
	}, stream.Send)
}

// AcceptLearned is for administrators.
func (s *Server) AcceptLearned(q *sekishopb.AcceptLearnedRequest, stream grpc.ServerStreamingServer[sekishopb.RuleBatch]) error {
	if err := checkSettled(q.GetIds()); err != nil {
		return err
	}
	changed := map[string]rule.Rule{}
	for id, m := range q.GetChanged() {
		r, err := api.UnpackRule(m)
		if err == nil {
			err = rule.ValidateOperands(r)
		}
		if err != nil {
			return bad(err)
		}
		changed[id] = r
	}
	p := caller(stream.Context())
	return relay(stream.Context(), s, patience, func(ctx context.Context, push func(*sekishopb.RuleBatch)) error {
		s.rules.Lock()
		defer s.rules.Unlock()
		rules, err := s.backend.AcceptLearned(ctx, q.GetIds(), changed, p.User)
		if err != nil {
			return err
		}
		s.log.Info("proposals accepted", "rules", len(rules), "by", p.User)
		for len(rules) > 0 {
			n := min(len(rules), batch)
			b := &sekishopb.RuleBatch{}
			for _, r := range rules[:n] {
				b.Rules = append(b.Rules, api.PackRule(r))
			}
			push(b)
			rules = rules[n:]
		}
		return nil
	}, stream.Send)
}

// DropLearned is for administrators.
func (s *Server) DropLearned(ctx context.Context, q *sekishopb.DropLearnedRequest) (*sekishopb.Empty, error) {
	if err := checkSettled(q.GetIds()); err != nil {
		return nil, err
	}
	if err := s.backend.DropLearned(ctx, q.GetIds()); err != nil {
		return nil, err
	}
	s.log.Info("proposals dropped", "proposals", len(q.GetIds()), "by", caller(ctx).User)
	return &sekishopb.Empty{}, nil
}

func checkSettled(ids []string) error {
	if len(ids) > maxSettled {
		return api.Errorf(api.BadRequest, "%d proposals at once are too many; at most %d", len(ids), maxSettled)
	}
	if len(ids) == 0 {
		return api.Errorf(api.BadRequest, "which proposals? give their ids")
	}
	for _, id := range ids {
		if err := checkID("proposal", id); err != nil {
			return err
		}
	}
	return nil
}
