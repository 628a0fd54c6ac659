package server

import (
	"fmt"
	"net"
	"sync"
	"time"

	"sekisho/app/api"
)

// The bounds on what users may take of the service.
const (
	maxConnections     = 64 // in all
	keptForAdmins      = 16 // of them, so that nobody can lock administrators out
	maxConnectionsEach = 16 // per user
	maxStreamsEach     = 32 // calls answered by a stream, per user
	callsPerSecond     = 200
	burst              = 200
	maxRemembered      = 1024 // users whose rate is known
)

// guests counts the connections, the streams and the calls of each user.
type guests struct {
	now func() time.Time

	mu    sync.Mutex // guards what is below
	all   int        // connections
	users map[uint32]*guest
}

// guest is one user; its calls are a bucket that holds tokens and fills with time.
type guest struct {
	connections int
	streams     int
	tokens      float64
	filled      time.Time
}

func newGuests(now func() time.Time) *guests {
	return &guests{now: now, users: make(map[uint32]*guest)}
}

// enter admits a connection of p; leave must follow once it is closed.
func (g *guests) enter(p Peer) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	limit := maxConnections
	if !p.Admin {
		limit -= keptForAdmins
	}
	if g.all >= limit {
		return fmt.Errorf("refuse %v: %d connections are open", p, g.all)
	}
	u := g.user(p.UID)
	if u.connections >= maxConnectionsEach {
		return fmt.Errorf("refuse %v: they have %d connections open", p, u.connections)
	}
	u.connections++
	g.all++
	return nil
}

func (g *guests) leave(p Peer) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.all--
	g.user(p.UID).connections--
}

// call takes one token of p's.
func (g *guests) call(p Peer) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	u := g.user(p.UID)
	u.fill(g.now())
	if u.tokens < 1 {
		return tooMany("calls: at most %d a second; wait a moment and try again", callsPerSecond)
	}
	u.tokens--
	return nil
}

// open admits a stream of p; its end must be told to shut.
func (g *guests) open(p Peer) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	u := g.user(p.UID)
	if u.streams >= maxStreamsEach {
		return tooMany("streams: at most %d each; close some", maxStreamsEach)
	}
	u.streams++
	return nil
}

func (g *guests) shut(p Peer) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.user(p.UID).streams--
}

// user is called with the lock held.
func (g *guests) user(uid uint32) *guest {
	if u, ok := g.users[uid]; ok {
		return u
	}
	if len(g.users) >= maxRemembered {
		for id, u := range g.users {
			u.fill(g.now())
			if u.connections == 0 && u.streams == 0 && u.tokens >= burst {
				delete(g.users, id)
			}
		}
	}
	u := &guest{tokens: burst, filled: g.now()}
	g.users[uid] = u
	return u
}

func (u *guest) fill(now time.Time) {
	u.tokens = min(burst, u.tokens+now.Sub(u.filled).Seconds()*callsPerSecond)
	u.filled = now
}

func tooMany(format string, args ...any) error {
	return api.Errorf(api.Failed, "too many "+format, args...)
}

// guestConn tells when a connection is closed.
type guestConn struct {
	net.Conn
	once  sync.Once
	leave func()
}

func (c *guestConn) Close() error {
	c.once.Do(c.leave)
	return c.Conn.Close()
}
