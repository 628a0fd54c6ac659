package api

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	"sekisho/app/api/sekishopb"
)

// DefaultSocket is where an installed service listens.
const DefaultSocket = "/run/sekisho/sekisho.sock"

// HowToStart is what a person types when no service runs, installed or not.
const HowToStart = "sudo systemctl start sekishod, or in the foreground: sudo sekishod"

const (
	// MaxMessage bounds one message in either direction, in bytes.
	MaxMessage = 4 << 20
	// MaxImport bounds the file that ImportRules takes, in bytes.
	MaxImport = 16 << 20
	// chunk is how much of a file travels in one message.
	chunk = 256 << 10
)

// Client is the Service over a unix socket. It connects at the first call and again
// after the service was restarted, and talks to nobody but root or the own user.
type Client struct {
	socket string

	mu   sync.Mutex // guards what is below
	conn *grpc.ClientConn
	dial *Error // why the last attempt to connect failed; nil once one succeeded
}

var _ Service = (*Client)(nil)

// Dial makes a Client of the service at socket. It does not connect yet.
func Dial(socket string) *Client { return &Client{socket: socket} }

// Close ends the connection; calls that are under way fail.
func (c *Client) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn == nil {
		return nil
	}
	err := c.conn.Close()
	c.conn = nil
	return err
}

// stub is what calls are made with. A connection that failed is replaced, because gRPC
// would wait before it tries again while the service may be back already.
func (c *Client) stub() (sekishopb.SekishoClient, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn != nil {
		if s := c.conn.GetState(); s == connectivity.TransientFailure || s == connectivity.Shutdown {
			_ = c.conn.Close() // nothing is under way on it
			c.conn = nil
		}
	}
	if c.conn == nil {
		conn, err := grpc.NewClient("passthrough:///sekisho",
			grpc.WithContextDialer(c.connect),
			// The socket belongs to this machine; who serves it is checked by connect.
			grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithDisableServiceConfig(),
			grpc.WithNoProxy(),
			grpc.WithIdleTimeout(0),
			grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.Config{BaseDelay: time.Second, Multiplier: 2, MaxDelay: 5 * time.Second}, MinConnectTimeout: 5 * time.Second}),
			grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(MaxMessage), grpc.MaxCallSendMsgSize(MaxMessage)),
		)
		if err != nil {
			return nil, &Error{Code: Failed, Message: err.Error()}
		}
		c.conn = conn
	}
	return sekishopb.NewSekishoClient(c.conn), nil
}

// fail turns what gRPC returned into an *Error.
func (c *Client) fail(ctx context.Context, err error) error {
	c.mu.Lock()
	dial := c.dial
	c.mu.Unlock()
	return fromStatus(ctx, c.socket, err, dial)
}

func (c *Client) connect(ctx context.Context, _ string) (net.Conn, error) {
	conn, err := dialService(ctx, c.socket)
	var e *Error
	if err != nil && !errors.As(err, &e) {
		e = Errorf(NoService, "connect to %s: %v", c.socket, err)
	}
	c.mu.Lock()
	c.dial = e
	c.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return conn, nil
}

// dialService connects to the socket and makes sure that a service is behind it.
func dialService(ctx context.Context, socket string) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", socket)
	if errors.Is(err, syscall.ECONNREFUSED) {
		if there, err := os.Stat(socket); err == nil && there.Mode().Type() != os.ModeSocket {
			what := "a file"
			if there.IsDir() {
				what = "a folder"
			}
			return nil, Errorf(NoService, "%s is %s and no socket; give the one where the Sekisho service listens, such as %s", socket, what, DefaultSocket)
		}
	}
	switch {
	case errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOTDIR):
		return nil, Errorf(NoService, "The Sekisho service is not running at %s; start it: "+HowToStart, socket)
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return nil, Errorf(NotPermitted, "You may not reach %s: permission denied; try again with sudo", socket)
	case errors.Is(err, syscall.EINVAL):
		return nil, Errorf(NoService, "%s cannot be a socket: the path is too long (107 characters at most)", socket)
	case err != nil:
		return nil, err
	}
	uid, err := servedBy(conn)
	if err == nil && uid != 0 && uid != uint32(os.Geteuid()) {
		err = Errorf(NoService, "%s is served by user %d, which is neither root nor you; it is not the Sekisho service, and nothing was told to it", socket, uid)
	}
	if err != nil {
		_ = conn.Close() // what matters is why
		return nil, err
	}
	return conn, nil
}

// servedBy is the user that listens at the other end.
func servedBy(conn net.Conn) (uint32, error) {
	raw, err := conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		return 0, err
	}
	var (
		cred    *unix.Ucred
		credErr error
	)
	if err := raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return 0, err
	}
	if credErr != nil {
		return 0, credErr
	}
	return cred.Uid, nil
}
