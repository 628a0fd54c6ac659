package traffic

import (
	"time"

	"sekisho/app/flow"
	"sekisho/service/bpf"
)

// Meter counts. bpf.Kernel is one.
type Meter interface {
	// Traffic is what went between a socket and a peer, by the remote end's port; false if
	// the socket is gone and nothing is left of it.
	Traffic(cookie uint64, p bpf.Peer) (flow.Traffic, bool)
	// ForgetPeers clears what is left of a socket that is gone.
	ForgetPeers(cookie uint64, peers []bpf.Peer) error
}

// Measure fills in what went through f until now, if its socket is there.
func Measure(m Meter, f *flow.Flow) {
	if f.Cookie == 0 || f.State != flow.Open {
		return
	}
	if t, ok := m.Traffic(f.Cookie, Peer(f)); ok {
		f.Bytes, f.Packets = t.Bytes, t.Packets
	}
}

// Set notes what was measured of l at a moment, and reports whether that is news.
func (l *Live) Set(t flow.Traffic, at time.Time) bool {
	if l.Bytes == t.Bytes && l.Packets == t.Packets {
		return false
	}
	l.Bytes, l.Packets, l.moved = t.Bytes, t.Packets, at.UnixNano()
	return true
}

// Last fills in what went in all through the flows of a socket that was closed, and has the
// kernel forget them. The flows must be out of their Table.
func Last(m Meter, c bpf.Closed, flows []*Live) error {
	known := c.Bytes != flow.Bytes{} || c.Packets != flow.Packets{} // else its end was not told
	if !c.Several {
		for _, l := range flows { // the first of a socket is what is counted with it
			if l.State == flow.Open && known {
				l.Bytes, l.Packets = c.Bytes, c.Packets
				break
			}
		}
		return nil
	}
	first := true
	peers := make([]bpf.Peer, 0, len(flows))
	for _, l := range flows {
		p := Peer(&l.Flow)
		t, ok := m.Traffic(c.Cookie, p)
		switch {
		case ok:
			l.Bytes, l.Packets = t.Bytes, t.Packets
			peers = append(peers, p)
		case first && known && l.State == flow.Open:
			l.Bytes, l.Packets = c.Bytes, c.Packets
			first = false
		}
	}
	return m.ForgetPeers(c.Cookie, peers)
}

// Spans after which a flow that nobody says the end of is taken to be over.
const (
	arrival = 2 * time.Minute // a handshake takes 63 s at most (net.ipv4.tcp_synack_retries)
	idle    = 3 * time.Minute // between datagrams of one of a socket's many peers
)

// Stale lists the flows that are over though their socket is there: connections that never
// came about, what was blocked on its way in, and peers that a socket with several has not
// heard of for long. Others decide how many of these there are. It goes by what was Set.
func (t *Table) Stale(now time.Time) []*Live {
	var stale []*Live
	for l := range t.each() {
		several := l.prev != nil || l.next != nil
		switch {
		case l.Arriving() || l.Direction == flow.In && l.State == flow.Closed:
			if now.Sub(l.Time) > arrival {
				stale = append(stale, l)
			}
		case several && l.Protocol != flow.TCP && now.UnixNano()-l.moved > int64(idle):
			stale = append(stale, l)
		}
	}
	return stale
}

// Several lists the open flows of sockets that talk to more than one peer, whose end
// only Stale finds.
func (t *Table) Several() []*Live {
	var all []*Live
	for l := range t.each() {
		if (l.prev != nil || l.next != nil) && l.State == flow.Open && l.Protocol != flow.TCP {
			all = append(all, l)
		}
	}
	return all
}
