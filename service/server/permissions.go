package server

import (
	"context"
	"runtime/debug"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"sekisho/app/api"
	"sekisho/app/api/sekishopb"
)

// permission says who may make a call.
type permission uint8

const (
	// own: anybody, for what is theirs; the handler narrows what it shows and changes.
	// Zero, which a missing row has, is no permission.
	own permission = iota + 1
	// admin: root and the group of administrators.
	admin
)

// permissions is the table. A method that is not in it is refused.
var permissions = map[string]permission{
	sekishopb.Sekisho_Status_FullMethodName:      own, // counts and health, nobody's flows
	sekishopb.Sekisho_SetMode_FullMethodName:     admin,
	sekishopb.Sekisho_Settings_FullMethodName:    own,
	sekishopb.Sekisho_SetSettings_FullMethodName: admin,

	sekishopb.Sekisho_Rules_FullMethodName:       own,
	sekishopb.Sekisho_AddRule_FullMethodName:     own,
	sekishopb.Sekisho_EditRule_FullMethodName:    own,
	sekishopb.Sekisho_EnableRule_FullMethodName:  own,
	sekishopb.Sekisho_RemoveRule_FullMethodName:  own,
	sekishopb.Sekisho_ImportRules_FullMethodName: admin,

	sekishopb.Sekisho_Networks_FullMethodName:    own, // where the machine is, which every program on it can see
	sekishopb.Sekisho_NameNetwork_FullMethodName: admin,

	sekishopb.Sekisho_Learned_FullMethodName:       admin, // of everybody's programs
	sekishopb.Sekisho_AcceptLearned_FullMethodName: admin,
	sekishopb.Sekisho_DropLearned_FullMethodName:   admin,

	sekishopb.Sekisho_Prompts_FullMethodName: own,
	sekishopb.Sekisho_Answer_FullMethodName:  own,
	sekishopb.Sekisho_Attend_FullMethodName:  own,
	sekishopb.Sekisho_Watch_FullMethodName:   own,

	sekishopb.Sekisho_Connections_FullMethodName:       own,
	sekishopb.Sekisho_FollowConnections_FullMethodName: own,
	sekishopb.Sekisho_Activity_FullMethodName:          own,
	sekishopb.Sekisho_Programs_FullMethodName:          own,
	sekishopb.Sekisho_Explain_FullMethodName:           own,

	sekishopb.Sekisho_Lists_FullMethodName:          own, // what is listed is no secret
	sekishopb.Sekisho_KnownLists_FullMethodName:     own,
	sekishopb.Sekisho_TestLists_FullMethodName:      own,
	sekishopb.Sekisho_SenderLists_FullMethodName:    own,
	sekishopb.Sekisho_SaveList_FullMethodName:       admin,
	sekishopb.Sekisho_RemoveList_FullMethodName:     admin,
	sekishopb.Sekisho_UpdateLists_FullMethodName:    admin,
	sekishopb.Sekisho_ImportList_FullMethodName:     admin,
	sekishopb.Sekisho_SetSenderLists_FullMethodName: admin,

	sekishopb.Sekisho_Backup_FullMethodName:  admin,
	sekishopb.Sekisho_Restore_FullMethodName: admin,
}

// permit reports why the caller may not make this call; nil: they may.
func (s *Server) permit(ctx context.Context, method string) (Peer, error) {
	p, ok := peerOf(ctx)
	if !ok {
		return p, api.Errorf(api.NotPermitted, "the service could not find out who you are")
	}
	if err := s.guests.call(p); err != nil {
		return p, err
	}
	switch permissions[method] {
	case own:
		return p, nil
	case admin:
		if p.Admin {
			return p, nil
		}
		return p, api.Errorf(api.NotPermitted, "you are not an administrator of the firewall; use sudo, or join the group with: sudo adduser %s %s", p.User, s.config.Group)
	}
	return p, api.Errorf(api.NotPermitted, "%s: nobody may make this call", method)
}

// unary stands before every handler of a call with one answer.
func (s *Server) unary(ctx context.Context, q any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (a any, err error) {
	defer s.recovered(info.FullMethod, &err)
	if _, err := s.permit(ctx, info.FullMethod); err != nil {
		return nil, api.ToStatus(err)
	}
	a, err = handler(ctx, q)
	return a, api.ToStatus(err)
}

// stream stands before every handler of a call with a stream.
func (s *Server) stream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) (err error) {
	defer s.recovered(info.FullMethod, &err)
	p, err := s.permit(stream.Context(), info.FullMethod)
	if err != nil {
		return api.ToStatus(err)
	}
	if err := s.guests.open(p); err != nil {
		return api.ToStatus(err)
	}
	defer s.guests.shut(p)
	return api.ToStatus(handler(srv, stream))
}

// recovered turns a panic into an error: a fault in one call must not end the firewall.
func (s *Server) recovered(method string, err *error) {
	r := recover()
	if r == nil {
		return
	}
	s.log.Error("call panicked", "method", method, "panic", r, "stack", string(debug.Stack()))
	*err = status.Error(codes.Internal, "the service failed at this call; its log says where (journalctl -u sekishod)")
}
