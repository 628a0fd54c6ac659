package server

import (
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"sekisho/app/api"
	"sekisho/app/api/sekishopb"
)

// Whoever adds a call has to say who may make it.
func TestEveryMethodHasPermission(t *testing.T) {
	methods := map[string]bool{}
	for i, services := 0, sekishopb.File_sekisho_proto.Services(); i < services.Len(); i++ {
		for j, all := 0, services.Get(i).Methods(); j < all.Len(); j++ {
			methods["/"+string(services.Get(i).FullName())+"/"+string(all.Get(j).Name())] = true
		}
	}
	if len(methods) == 0 {
		t.Fatal("no methods")
	}
	for m := range methods {
		if p := permissions[m]; p != own && p != admin {
			t.Errorf("%s is not in the table", m)
		}
	}
	for m := range permissions {
		if !methods[m] {
			t.Errorf("%s is in the table and is no method", m)
		}
	}
}

func TestUnlistedMethodIsRefused(t *testing.T) {
	method := sekishopb.Sekisho_Status_FullMethodName
	before := permissions[method]
	delete(permissions, method)
	defer func() { permissions[method] = before }()
	s := start(t, nil)
	if _, err := s.client.Status(t.Context()); api.CodeOf(err) != api.NotPermitted {
		t.Errorf("got %v", err)
	}
}

// raw is a connection without the client's own care.
func raw(t *testing.T, s *running) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient("unix:"+s.socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func TestUnknownMethod(t *testing.T) {
	s := start(t, nil)
	for _, m := range []string{"/sekisho.v1.Sekisho/Shutdown", "/other.Service/Status", "/", ""} {
		err := raw(t, s).Invoke(t.Context(), m, &sekishopb.Empty{}, &sekishopb.Empty{})
		if c := status.Code(err); c != codes.Unimplemented && c != codes.Internal {
			t.Errorf("%q: %v", m, err)
		}
	}
}

func TestPanic(t *testing.T) {
	s := start(t, nil)
	s.backend.Panic()
	_, err := s.client.Explain(t.Context(), api.Question{Program: "/usr/bin/curl"})
	if api.CodeOf(err) != api.Failed || !strings.Contains(err.Error(), "its log says where") {
		t.Errorf("got %v", err)
	}
	if _, err := s.client.Status(t.Context()); err != nil {
		t.Errorf("after the panic: %v", err)
	}
}
