package server

import (
	"context"

	"google.golang.org/grpc"

	"sekisho/app/api"
	"sekisho/app/api/sekishopb"
	"sekisho/app/flow"
)

// Connections lists the live flows that are the caller's to see.
func (s *Server) Connections(_ *sekishopb.Empty, stream grpc.ServerStreamingServer[sekishopb.FlowBatch]) error {
	p := caller(stream.Context())
	return relay(stream.Context(), s, patience, func(ctx context.Context, push func(*sekishopb.FlowBatch)) error {
		flows, err := s.backend.Connections(ctx)
		if err != nil {
			return err
		}
		b := &sekishopb.FlowBatch{}
		for _, f := range flows {
			if !p.Sees(f) {
				continue
			}
			if b.Flows = append(b.Flows, api.PackFlow(f)); len(b.Flows) == batch {
				push(b)
				b = &sekishopb.FlowBatch{}
			}
		}
		if len(b.Flows) > 0 {
			push(b)
		}
		return nil
	}, stream.Send)
}

// FollowConnections streams the caller's flows as they open, change and close.
func (s *Server) FollowConnections(_ *sekishopb.Empty, stream grpc.ServerStreamingServer[sekishopb.Flow]) error {
	p := caller(stream.Context())
	return relay(stream.Context(), s, 0, func(ctx context.Context, push func(flow.Flow)) error {
		return s.backend.FollowConnections(ctx, seenBy(p, push))
	}, sendFlow(stream))
}

// Activity streams what was decided about the caller's flows.
func (s *Server) Activity(q *sekishopb.ActivityRequest, stream grpc.ServerStreamingServer[sekishopb.Flow]) error {
	a, err := api.UnpackFilter(q)
	if err != nil {
		return bad(err)
	}
	if err := checkFilter(a); err != nil {
		return err
	}
	p := caller(stream.Context())
	return relay(stream.Context(), s, patience, func(ctx context.Context, push func(flow.Flow)) error {
		return s.backend.Activity(ctx, a, seenBy(p, push))
	}, sendFlow(stream))
}

// seenBy lets through what p may see.
func seenBy(p Peer, f func(flow.Flow)) func(flow.Flow) {
	return func(v flow.Flow) {
		if p.Sees(v) {
			f(v)
		}
	}
}

func sendFlow(stream grpc.ServerStreamingServer[sekishopb.Flow]) func(flow.Flow) error {
	return func(f flow.Flow) error { return stream.Send(api.PackFlow(f)) }
}

// Programs lists the programs of the caller's flows.
func (s *Server) Programs(_ *sekishopb.Empty, stream grpc.ServerStreamingServer[sekishopb.SeenProgram]) error {
	p := caller(stream.Context())
	return relay(stream.Context(), s, patience, func(ctx context.Context, push func(api.SeenProgram)) error {
		all, err := s.backend.Programs(ctx, p.Sees, p.Owns)
		if err != nil {
			return err
		}
		for _, seen := range all {
			push(seen)
		}
		return nil
	}, func(seen api.SeenProgram) error { return stream.Send(api.PackSeenProgram(seen)) })
}
