package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"

	"sekisho/app/api"
	"sekisho/app/api/sekishopb"
)

// DefaultGroup is the group whose members are administrators of the firewall.
const DefaultGroup = "sekisho"

// Config says where the server listens and who its administrators are.
type Config struct {
	Socket string         // path; "" means api.DefaultSocket
	Group  string         // "" means DefaultGroup
	Log    *slog.Logger   // nil: slog.Default()
	Lists  api.Blocklists // nil: there are none
}

// Server answers clients. Make one with New; it runs once.
type Server struct {
	sekishopb.UnimplementedSekishoServer

	backend  Backend
	config   Config
	log      *slog.Logger
	accounts accounts
	guests   *guests
	ready    chan struct{} // closed once the socket can be connected to
	stopping chan struct{} // closed when streams have to end

	// rules is held from looking whose a rule is to changing it.
	rules sync.Mutex
}

// New makes a server that asks backend. It starts nothing.
func New(backend Backend, c Config) *Server {
	if c.Socket == "" {
		c.Socket = api.DefaultSocket
	}
	if c.Group == "" {
		c.Group = DefaultGroup
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return &Server{
		backend:  backend,
		config:   c,
		log:      c.Log,
		accounts: accounts{passwd: "/etc/passwd", group: "/etc/group", admins: c.Group},
		guests:   newGuests(time.Now),
		ready:    make(chan struct{}),
		stopping: make(chan struct{}),
	}
}

// Ready is closed once clients can connect.
func (s *Server) Ready() <-chan struct{} { return s.ready }

// Run listens and serves until ctx is done; it then ends the streams, lets calls that
// are under way finish for a moment, and removes the socket. It returns nil when ctx
// ended it.
func (s *Server) Run(ctx context.Context) error {
	l, err := listen(ctx, s.config.Socket)
	if err != nil {
		return err
	}
	g := s.grpc()
	served := make(chan error, 1)
	go func() { served <- g.Serve(l) }()
	close(s.ready)
	select {
	case <-ctx.Done():
	case err := <-served:
		g.Stop()
		return fmt.Errorf("serve %s: %w", s.config.Socket, err)
	}
	close(s.stopping)
	stop(g)
	if err := <-served; err != nil && !errors.Is(err, grpc.ErrServerStopped) && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("serve %s: %w", s.config.Socket, err)
	}
	return nil
}

// stop gives calls a second to finish; streams have been told to end already.
func stop(g *grpc.Server) {
	t := time.AfterFunc(time.Second, g.Stop)
	defer t.Stop()
	g.GracefulStop()
}

func (s *Server) grpc() *grpc.Server {
	g := grpc.NewServer(
		grpc.Creds(&peerCredentials{accounts: s.accounts, guests: s.guests}),
		grpc.UnaryInterceptor(s.unary),
		grpc.StreamInterceptor(s.stream),
		grpc.MaxRecvMsgSize(api.MaxMessage),
		grpc.MaxSendMsgSize(api.MaxMessage),
		grpc.MaxHeaderListSize(16<<10),
		grpc.MaxConcurrentStreams(32),
		grpc.ConnectionTimeout(5*time.Second),
		grpc.WaitForHandlers(true),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second, PermitWithoutStream: true}),
	)
	sekishopb.RegisterSekishoServer(g, s)
	return g
}
