package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"

	"sekisho/app/flow"
)

// Peer is who calls: what the kernel noted of the process that connected, and what the
// account database said of its user at that moment.
type Peer struct {
	credentials.CommonAuthInfo

	UID, GID uint32
	PID      int32
	User     string // the account's name; the user's number if it has none
	// Admin: root, or a member of the group of administrators.
	Admin bool
}

// AuthType names the way in which the peer was established.
func (Peer) AuthType() string { return "SO_PEERCRED" }

func (p Peer) String() string { return fmt.Sprintf("%s (uid %d, process %d)", p.User, p.UID, p.PID) }

// Sees reports whether f is the peer's to see and to answer for.
func (p Peer) Sees(f flow.Flow) bool {
	if p.Admin {
		return true
	}
	return f.Process != nil && !f.Process.Kernel && f.Process.UID == p.UID
}

// Is reports whether user, a rule's or a question's, is the peer's own account. As in
// rules, digits are always an account's number.
func (p Peer) Is(user string) bool {
	if n, err := strconv.ParseUint(user, 10, 32); err == nil {
		return uint32(n) == p.UID
	}
	return user == p.User
}

// Owns reports whether a rule about user is the peer's to see and to change.
func (p Peer) Owns(user string) bool { return p.Admin || p.Is(user) }

// peerCredentials are gRPC transport credentials that add nothing to the bytes on the
// socket and take the peer from the kernel.
type peerCredentials struct {
	accounts accounts
	guests   *guests
}

var _ credentials.TransportCredentials = (*peerCredentials)(nil)

// ServerHandshake finds out who connected and turns away who has too many connections.
func (c *peerCredentials) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	p, err := c.identify(conn)
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("identify peer: %w", err), conn.Close())
	}
	if err := c.guests.enter(p); err != nil {
		return nil, nil, errors.Join(err, conn.Close())
	}
	return &guestConn{Conn: conn, leave: func() { c.guests.leave(p) }}, p, nil
}

func (c *peerCredentials) identify(conn net.Conn) (Peer, error) {
	u, ok := conn.(*net.UnixConn)
	if !ok {
		return Peer{}, fmt.Errorf("%T is not a unix socket", conn)
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return Peer{}, err
	}
	var (
		cred    *unix.Ucred
		credErr error
	)
	if err := raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return Peer{}, err
	}
	if credErr != nil {
		return Peer{}, credErr
	}
	p := Peer{
		CommonAuthInfo: credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity},
		UID:            cred.Uid, GID: cred.Gid, PID: cred.Pid,
	}
	p.User, p.Admin = c.accounts.lookup(p.UID, p.GID)
	return p, nil
}

// ClientHandshake is here for the interface; the server never dials.
func (c *peerCredentials) ClientHandshake(context.Context, string, net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, errors.New("the service never dials out")
}

func (c *peerCredentials) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "unix"}
}

func (c *peerCredentials) Clone() credentials.TransportCredentials { return c }

func (c *peerCredentials) OverrideServerName(string) error { return nil }

// caller is the peer of a call; the interceptors have made sure that there is one.
func caller(ctx context.Context) Peer {
	p, _ := peerOf(ctx)
	return p
}

// peerOf gives nobody and false when the transport knows none.
func peerOf(ctx context.Context) (Peer, bool) {
	g, ok := peer.FromContext(ctx)
	if !ok {
		return nobody, false
	}
	p, ok := g.AuthInfo.(Peer)
	if !ok {
		return nobody, false
	}
	return p, true
}

// nobody owns nothing: no process runs under the number that means "no user".
var nobody = Peer{UID: ^uint32(0), GID: ^uint32(0), User: "nobody at all"}
