package daemon

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"time"

	"sekisho/app/flow"
	"sekisho/service/capture"
	"sekisho/service/engine"
	"sekisho/service/names/hello"
	"sekisho/service/names/stream"
)

const (
	maxUnsaid = 4096 // flows that are listened to
	// maxSaid bounds the packets of one of them that are held; those beyond are dropped,
	// and TCP sends them again.
	maxSaid = 16
	// saidWithin is how long the rest of a hello is waited for.
	saidWithin = 200 * time.Millisecond
	// saidKept is how long after the verdict packets may still come that were on their way.
	saidKept = 5 * time.Second
)

// listener reads what programs say first on connections of which nothing but the handshake
// was let go, and on datagrams that are held. Its methods may be called from any goroutine.
type listener struct {
	s *service

	mu    sync.Mutex // guards what follows; never held while the engine is called
	conns *hello.Conns[saidKey]
	flows map[saidKey]*unsaid
	tcp   int // of flows
	asks  []asking
	ends  []uint64 // cookies of connections that are to end
	over  bool
	wake  chan struct{}
}

type asking struct {
	u *unsaid
	h hello.Hello
}

type saidKey struct {
	cookie   uint64
	protocol flow.Protocol
	remote   netip.AddrPort
}

// unsaid is one flow that is listened to.
type unsaid struct {
	key     saidKey
	packet  engine.Packet
	said    []*capture.Packet
	waits   bool // for the rest of a hello
	asked   bool // the engine decides
	verdict flow.Verdict
}

func newListener(s *service) *listener {
	return &listener{s: s, conns: hello.NewConns[saidKey](), flows: map[saidKey]*unsaid{}, wake: make(chan struct{}, 1)}
}

// run asks the engine, which may not be called where it calls, until ctx is done.
func (l *listener) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			l.mu.Lock()
			defer l.mu.Unlock()
			l.over = true
			return nil
		case <-l.wake:
		}
		l.mu.Lock()
		asks, ends := l.asks, l.ends
		l.asks, l.ends = nil, nil
		l.mu.Unlock()
		for _, a := range asks {
			l.ask(a.u, a.h)
		}
		if len(ends) > 0 {
			_, err := sockets{}.End(func(s engine.Socket) bool { return slices.Contains(ends, s.Cookie) })
			if err != nil {
				l.s.Log.Warn("a forbidden connection goes on in silence", "err", err)
			}
		}
	}
}

// work wakes run up. It is called with mu held.
func (l *listener) work() {
	select {
	case l.wake <- struct{}{}:
	default: // it will see all
	}
}

// listen tells how a held packet's flow can be listened to, nil if it can't.
func (l *listener) listen(p *capture.Packet, packet engine.Packet) func() bool {
	key := saidKey{p.Owner.Cookie, p.Protocol, end(p.Remote)}
	if key.cookie == 0 || p.Direction == flow.In || p.Forwarded {
		return nil
	}
	packet.Held = nil
	switch p.Protocol {
	case flow.TCP:
		seq, data, ok := p.SYN()
		if !ok {
			return nil
		}
		if data { // it is sent again without them
			return func() bool { l.drop(p); return true }
		}
		return func() bool { return l.begin(key, packet, seq+1, p) }
	case flow.UDP:
		said := slices.Clone(p.Datagram())
		return func() bool { return l.datagram(key, packet, said, p) }
	}
	return nil
}

// begin lets a handshake go.
func (l *listener) begin(key saidKey, packet engine.Packet, seq uint32, p *capture.Packet) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if u := l.flows[key]; u == nil || u.verdict != flow.Waiting {
		if l.add(key, packet, seq) == nil {
			return false
		}
	}
	if err := p.AcceptUnsaid(); err != nil {
		l.s.Log.Debug("a handshake went without its verdict", "err", err)
	}
	return true
}

// add begins to listen to a flow, anew if it was before; nil if there is no room.
func (l *listener) add(key saidKey, packet engine.Packet, seq uint32) *unsaid {
	l.forget(key)
	if len(l.flows) >= maxUnsaid {
		return nil
	}
	u := &unsaid{key: key, packet: packet, verdict: flow.Waiting}
	l.flows[key] = u
	l.conns.Begin(key, key.protocol, seq)
	if key.protocol == flow.TCP {
		if l.tcp++; l.tcp == 1 {
			l.hearing(true)
		}
	}
	return u
}

func (l *listener) forget(key saidKey) {
	u := l.flows[key]
	if u == nil {
		return
	}
	for _, p := range u.said {
		l.drop(p)
	}
	u.said = nil
	delete(l.flows, key)
	l.conns.End(key)
	if key.protocol == flow.TCP {
		if l.tcp--; l.tcp == 0 {
			l.hearing(false)
		}
	}
}

func (l *listener) hearing(is bool) {
	if err := l.s.kernel.SetHearing(is); err != nil {
		l.s.Log.Error("what programs say first is refused", "err", err)
	}
}

// said takes a packet of what a connection says first.
func (l *listener) said(p *capture.Packet) {
	key := saidKey{p.Owner.Cookie, p.Protocol, end(p.Remote)}
	seg, err := stream.Parse(p.Payload)
	if key.cookie == 0 || err != nil {
		l.drop(p)
		return
	}
	l.mu.Lock()
	u := l.flows[key]
	if u == nil { // its beginning was before the service's, or it was decided before
		u = l.add(key, engine.Packet{Owner: p.Owner, Direction: p.Direction, Protocol: p.Protocol, Local: p.Local, Remote: p.Remote}, seg.Seq)
	}
	l.take(u, p, func() (hello.Hello, hello.State) { return l.conns.Segment(key, &seg) })
}

func (l *listener) datagram(key saidKey, packet engine.Packet, said []byte, p *capture.Packet) bool {
	l.mu.Lock()
	u := l.flows[key]
	if u == nil {
		if u = l.add(key, packet, 0); u == nil {
			l.mu.Unlock()
			return false
		}
	}
	l.take(u, p, func() (hello.Hello, hello.State) { return l.conns.Datagram(key, said) })
	return true
}

// take holds a packet or gives it the verdict that its flow has. It is called with mu held,
// and releases it.
func (l *listener) take(u *unsaid, p *capture.Packet, read func() (hello.Hello, hello.State)) {
	defer l.mu.Unlock()
	switch {
	case u == nil || len(u.said) >= maxSaid || u.verdict == flow.Block:
		l.drop(p)
		return
	case u.verdict == flow.Allow:
		l.s.pass(p)
		return
	}
	u.said = append(u.said, p)
	if u.asked {
		return
	}
	h, state := read()
	if state == hello.More && len(u.said) < maxSaid {
		if !u.waits {
			u.waits = true
			time.AfterFunc(saidWithin, func() {
				l.mu.Lock()
				defer l.mu.Unlock()
				l.toAsk(u, hello.Hello{})
			})
		}
		return
	}
	l.toAsk(u, h)
}

// toAsk is called with mu held.
func (l *listener) toAsk(u *unsaid, h hello.Hello) {
	l.asks = append(l.asks, asking{u, h})
	l.work()
}

// ask has the engine decide by what was said.
func (l *listener) ask(u *unsaid, h hello.Hello) {
	l.mu.Lock()
	if u.asked || l.flows[u.key] != u {
		l.mu.Unlock()
		return
	}
	u.asked = true
	l.conns.End(u.key)
	l.mu.Unlock()
	p := u.packet
	p.Held = heldSaid{l, u}
	p.Heard = &engine.Heard{Name: h.Name, Front: h.Encrypted || h.Proxied, Target: target(h)}
	l.s.engine.Judge(p)
}

// target is what is asked for by HTTP, where it is asked of the other end itself.
func target(h hello.Hello) string {
	if h.Kind != hello.HTTP || h.Proxied {
		return ""
	}
	return h.Path
}

// closed forgets what a socket that is gone did not say.
func (l *listener) closed(cookie uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for key := range l.flows {
		if key.cookie == cookie {
			l.forget(key)
		}
	}
}

func (l *listener) drop(p *capture.Packet) {
	if err := p.Drop(); err != nil {
		l.s.Log.Debug("a packet went without its verdict", "err", err)
	}
}

// heldSaid is what was said on a flow, as the engine holds it.
type heldSaid struct {
	l *listener
	u *unsaid
}

func (h heldSaid) Accept() error { return h.decided(flow.Allow, (*capture.Packet).Accept) }

// Refuse loses what was said. A connection ends; of a datagram its sender is told.
func (h heldSaid) Refuse() error {
	if h.u.key.protocol != flow.TCP {
		return h.decided(flow.Block, (*capture.Packet).Refuse)
	}
	err := h.decided(flow.Block, (*capture.Packet).Drop)
	h.l.mu.Lock()
	defer h.l.mu.Unlock()
	h.l.ends = append(h.l.ends, h.u.key.cookie)
	h.l.work()
	return err
}

func (h heldSaid) decided(v flow.Verdict, give func(*capture.Packet) error) (err error) {
	h.l.mu.Lock()
	h.u.verdict = v
	said := h.u.said
	h.u.said = nil
	h.l.mu.Unlock()
	for _, p := range said {
		err = errors.Join(err, give(p))
	}
	time.AfterFunc(saidKept, func() {
		h.l.mu.Lock()
		defer h.l.mu.Unlock()
		if !h.l.over && h.l.flows[h.u.key] == h.u {
			h.l.forget(h.u.key)
		}
	})
	return err
}

// Drop loses it too; TCP says it again.
func (h heldSaid) Drop() error {
	h.l.mu.Lock()
	defer h.l.mu.Unlock()
	if h.l.flows[h.u.key] == h.u {
		h.l.forget(h.u.key)
	}
	return nil
}
