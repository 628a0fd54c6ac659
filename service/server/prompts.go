package server

import (
	"context"

	"google.golang.org/grpc"

	"sekisho/app/api"
	"sekisho/app/api/sekishopb"
)

// Prompts lists those that the caller may answer.
func (s *Server) Prompts(_ *sekishopb.Empty, stream grpc.ServerStreamingServer[sekishopb.PromptBatch]) error {
	p := caller(stream.Context())
	return relay(stream.Context(), s, patience, func(ctx context.Context, push func(*sekishopb.PromptBatch)) error {
		prompts, err := s.backend.Prompts(ctx)
		if err != nil {
			return err
		}
		b := &sekishopb.PromptBatch{}
		for _, m := range prompts {
			if !p.Sees(m.Flow) {
				continue
			}
			if b.Prompts = append(b.Prompts, api.PackPrompt(m)); len(b.Prompts) == batch {
				push(b)
				b = &sekishopb.PromptBatch{}
			}
		}
		if len(b.Prompts) > 0 {
			push(b)
		}
		return nil
	}, stream.Send)
}

// Answer settles a prompt of the caller's; the rule that it may leave is by the caller and, of
// others than administrators, about the caller alone.
func (s *Server) Answer(ctx context.Context, q *sekishopb.AnswerRequest) (*sekishopb.AnswerReply, error) {
	id, a, err := api.UnpackAnswer(q)
	if err != nil {
		return nil, bad(err)
	}
	if err := checkID("prompt", id); err != nil {
		return nil, err
	}
	if err := checkAnswer(a); err != nil {
		return nil, err
	}
	p := caller(ctx)
	if err := s.answers(ctx, p, id); err != nil {
		return nil, err
	}
	a.By = p.User
	if !p.Admin {
		a.User = p.User
	}
	r, err := s.backend.Answer(ctx, id, a)
	if err != nil {
		return nil, err
	}
	s.log.Info("prompt answered", "id", id, "action", a.Action, "like", a.Like, "by", p.User)
	if r == nil {
		return &sekishopb.AnswerReply{}, nil
	}
	return &sekishopb.AnswerReply{Rule: api.PackRule(*r)}, nil
}

// answers reports why p may not answer the prompt or the waiting flow id. Whoever may
// not see it learns nothing of whether it exists.
func (s *Server) answers(ctx context.Context, p Peer, id string) error {
	if p.Admin {
		return nil
	}
	prompts, err := s.backend.Prompts(ctx)
	if err != nil {
		return err
	}
	for _, m := range prompts {
		if m.ID == id || m.Flow.ID == id {
			if p.Sees(m.Flow) {
				return nil
			}
			return notYours(id)
		}
	}
	flows, err := s.backend.Connections(ctx) // it may be a later flow of a prompt
	if err != nil {
		return err
	}
	for _, f := range flows {
		if f.ID == id && p.Sees(f) {
			return nil
		}
	}
	return notYours(id)
}

func notYours(id string) error {
	return api.Errorf(api.NotPermitted, "no connection of yours waits as %s; sekishoctl prompts shows yours, those of other users and of the system are an administrator's to answer (sudo)", id)
}

// Attend streams events to a client that can show prompts.
func (s *Server) Attend(_ *sekishopb.Empty, stream grpc.ServerStreamingServer[sekishopb.Event]) error {
	p := caller(stream.Context())
	return s.events(stream, func(ctx context.Context, f func(api.Event)) error {
		return s.backend.Attend(ctx, p.UID, p.Admin, f)
	})
}

// Watch streams events to a client that only looks.
func (s *Server) Watch(_ *sekishopb.Empty, stream grpc.ServerStreamingServer[sekishopb.Event]) error {
	return s.events(stream, s.backend.Watch)
}

func (s *Server) events(stream grpc.ServerStreamingServer[sekishopb.Event], source func(context.Context, func(api.Event)) error) error {
	v := view{backend: s.backend, peer: caller(stream.Context())}
	if err := v.learn(stream.Context()); err != nil {
		return err
	}
	first := true
	return relay(stream.Context(), s, 0, source, func(e api.Event) error {
		if first {
			// What appeared between the first look and the subscription.
			if err := v.learn(stream.Context()); err != nil {
				return err
			}
			first = false
		}
		e, any := v.narrow(e)
		if !any {
			return nil
		}
		return stream.Send(api.PackEvent(e))
	})
}

// view narrows events to what is one peer's.
type view struct {
	backend Backend
	peer    Peer
	seen    map[string]bool // prompts of the peer that are not gone yet
}

// learn notes the prompts that there are, since the event of their end names their id
// alone.
func (v *view) learn(ctx context.Context) error {
	if v.peer.Admin {
		return nil
	}
	prompts, err := v.backend.Prompts(ctx)
	if err != nil {
		return err
	}
	if v.seen == nil {
		v.seen = make(map[string]bool)
	}
	for _, m := range prompts {
		if v.peer.Sees(m.Flow) {
			v.seen[m.ID] = true
		}
	}
	return nil
}

// narrow leaves of e what the peer may see; false: nothing.
func (v *view) narrow(e api.Event) (api.Event, bool) {
	if v.peer.Admin {
		return e, true
	}
	if e.Prompt != nil {
		if v.peer.Sees(e.Prompt.Flow) {
			v.seen[e.Prompt.ID] = true
		} else {
			e.Prompt = nil
		}
	}
	if e.Blocked != nil && !v.peer.Sees(*e.Blocked) {
		e.Blocked = nil
	}
	if !v.seen[e.Gone] {
		e.Gone = ""
	}
	delete(v.seen, e.Gone)
	return e, e.Prompt != nil || e.Gone != "" || e.Status != nil || e.Rules || e.Blocked != nil
}
