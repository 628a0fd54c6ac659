package server

import (
	"context"
	"errors"
	"io"

	"google.golang.org/grpc"

	"sekisho/app/api"
	"sekisho/app/api/sekishopb"
)

// The bounds on what a message about lists may hold.
const (
	maxListText       = 2048 // of each text, in bytes
	maxListExceptions = 1000
	maxZones          = 64
)

var errNoLists = api.Errorf(api.Failed, "this service has no blocklists; it is of another version, restart it after an update")

// Lists sends all of them with how they are.
func (s *Server) Lists(_ *sekishopb.Empty, stream grpc.ServerStreamingServer[sekishopb.ListState]) error {
	if s.config.Lists == nil {
		return errNoLists
	}
	all, err := s.config.Lists.Lists(stream.Context())
	if err != nil {
		return err
	}
	return relay(stream.Context(), s, patience, func(_ context.Context, push func(*sekishopb.ListState)) error {
		for _, l := range all {
			push(api.PackListState(l))
		}
		return nil
	}, stream.Send)
}

// KnownLists sends the catalogue.
func (s *Server) KnownLists(_ *sekishopb.Empty, stream grpc.ServerStreamingServer[sekishopb.KnownList]) error {
	if s.config.Lists == nil {
		return errNoLists
	}
	all, err := s.config.Lists.KnownLists(stream.Context())
	if err != nil {
		return err
	}
	return relay(stream.Context(), s, patience, func(_ context.Context, push func(*sekishopb.KnownList)) error {
		for _, l := range all {
			push(&sekishopb.KnownList{List: api.PackList(l.List), About: l.About, Home: l.Home, Licence: l.Licence, Zone: l.Zone})
		}
		return nil
	}, stream.Send)
}

// SaveList adds or changes one.
func (s *Server) SaveList(ctx context.Context, q *sekishopb.SaveListRequest) (*sekishopb.Empty, error) {
	if s.config.Lists == nil {
		return nil, errNoLists
	}
	l := api.UnpackList(q.GetList())
	if err := checkID("list", l.ID); err != nil {
		return nil, err
	}
	if len(l.Exceptions) > maxListExceptions {
		return nil, api.Errorf(api.BadRequest, "a list has at most %d exceptions", maxListExceptions)
	}
	texts := []string{l.Name, l.URL, l.Format, l.Category, l.Action}
	for _, e := range l.Exceptions {
		texts = append(texts, e.Entry)
		if len(e.Program) > 2*maxPath {
			return nil, api.Errorf(api.BadRequest, "a program's path in an exception is too long")
		}
	}
	for _, t := range texts {
		if len(t) > maxListText {
			return nil, api.Errorf(api.BadRequest, "%.40q… is too long: at most %d bytes", t, maxListText)
		}
	}
	if err := s.config.Lists.SaveList(ctx, l, q.GetAdd()); err != nil {
		return nil, err
	}
	s.log.Info("list saved", "id", l.ID, "new", q.GetAdd(), "by", caller(ctx).User)
	return &sekishopb.Empty{}, nil
}

// RemoveList forgets one.
func (s *Server) RemoveList(ctx context.Context, q *sekishopb.ListID) (*sekishopb.Empty, error) {
	if s.config.Lists == nil {
		return nil, errNoLists
	}
	if err := checkID("list", q.GetId()); err != nil {
		return nil, err
	}
	if err := s.config.Lists.RemoveList(ctx, q.GetId()); err != nil {
		return nil, err
	}
	s.log.Info("list removed", "id", q.GetId(), "by", caller(ctx).User)
	return &sekishopb.Empty{}, nil
}

// UpdateLists fetches, and tells how far it is.
func (s *Server) UpdateLists(q *sekishopb.ListID, stream grpc.ServerStreamingServer[sekishopb.ListProgress]) error {
	if s.config.Lists == nil {
		return errNoLists
	}
	if q.GetId() != "" {
		if err := checkID("list", q.GetId()); err != nil {
			return err
		}
	}
	return relay(stream.Context(), s, 0, func(ctx context.Context, push func(*sekishopb.ListProgress)) error {
		return s.config.Lists.UpdateLists(ctx, q.GetId(), func(p api.ListProgress) {
			push(&sekishopb.ListProgress{List: p.List, Stage: p.Stage, Done: p.Done, Total: p.Total})
		})
	}, stream.Send)
}

// ImportList hands the pieces on as one text, which is read as untrusted.
func (s *Server) ImportList(stream grpc.ClientStreamingServer[sekishopb.ImportListChunk, sekishopb.Empty]) error {
	if s.config.Lists == nil {
		return errNoLists
	}
	first, err := stream.Recv()
	if errors.Is(err, io.EOF) {
		return api.Errorf(api.BadRequest, "the id of the list is missing")
	}
	if err != nil {
		return err
	}
	if err := checkID("list", first.GetId()); err != nil {
		return err
	}
	r := &listReader{stream: stream, rest: first.GetContent()}
	if err := s.config.Lists.ImportList(stream.Context(), first.GetId(), r); err != nil {
		return err
	}
	s.log.Info("list imported", "id", first.GetId(), "by", caller(stream.Context()).User)
	return stream.SendAndClose(&sekishopb.Empty{})
}

// listReader reads the messages of a stream as one text; how long that may be is the
// backend's to say.
type listReader struct {
	stream grpc.ClientStreamingServer[sekishopb.ImportListChunk, sekishopb.Empty]
	rest   []byte
}

func (r *listReader) Read(b []byte) (int, error) {
	for len(r.rest) == 0 {
		m, err := r.stream.Recv()
		if err != nil {
			return 0, err
		}
		r.rest = m.GetContent()
	}
	n := copy(b, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// TestLists looks a name or an address up.
func (s *Server) TestLists(ctx context.Context, q *sekishopb.ListQuestion) (*sekishopb.ListHits, error) {
	if s.config.Lists == nil {
		return nil, errNoLists
	}
	if q.GetWhat() == "" {
		return nil, api.Errorf(api.BadRequest, "which host? give a name or an address")
	}
	if err := checkHost(q.GetWhat()); err != nil {
		return nil, err
	}
	hits, err := s.config.Lists.TestLists(ctx, q.GetWhat())
	if err != nil {
		return nil, err
	}
	m := &sekishopb.ListHits{}
	for _, h := range hits {
		m.Hits = append(m.Hits, &sekishopb.ListHit{List: h.List, Name: h.Name, Category: h.Category, Action: h.Action, Entry: h.Entry, Matched: h.Matched})
	}
	return m, nil
}

// SenderLists tells which zones are asked.
func (s *Server) SenderLists(ctx context.Context, _ *sekishopb.Empty) (*sekishopb.SenderListsMessage, error) {
	if s.config.Lists == nil {
		return nil, errNoLists
	}
	l, err := s.config.Lists.SenderLists(ctx)
	if err != nil {
		return nil, err
	}
	return api.PackSenderLists(l), nil
}

// SetSenderLists changes which zones are asked.
func (s *Server) SetSenderLists(ctx context.Context, m *sekishopb.SenderListsMessage) (*sekishopb.Empty, error) {
	if s.config.Lists == nil {
		return nil, errNoLists
	}
	if len(m.GetZones()) > maxZones || len(m.GetPorts()) > maxZones {
		return nil, api.Errorf(api.BadRequest, "at most %d zones and ports", maxZones)
	}
	l, err := api.UnpackSenderLists(m)
	if err != nil {
		return nil, err
	}
	if err := s.config.Lists.SetSenderLists(ctx, l); err != nil {
		return nil, err
	}
	s.log.Info("sender lists changed", "zones", len(l.Zones), "by", caller(ctx).User)
	return &sekishopb.Empty{}, nil
}
