package daemon_test

import (
	"fmt"
	"testing"
	"time"

	"sekisho/app/flow"
)

const mptcp = 262

// conversation is what a client and a server say to each other, in bytes.
type tcpTalk struct {
	name           string
	client, server string
	there, back    uint64 // what the client sends, and the server
	protocols      [2]int // of client and server
}

var tcpTalks = []tcpTalk{
	{name: "10 MB and closed at once", client: "c = connect(); put(c, 10_000_000); c.close()", server: "rest(accept())", there: 10_000_000},
	{name: "10 MB that are sent back", client: "get(connect(), 10_000_000)", server: "put(accept(), 10_000_000)", back: 10_000_000},
	{
		name:   "closed with all of it in flight",
		client: "c = connect(); c.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 17)\nput(c, 150_000); c.close()",
		server: "c = accept(); time.sleep(0.3); rest(c)", there: 150_000,
	},
	{
		name:   "shut down and closed with all of it in flight",
		client: "c = connect(); put(c, 150_000); c.shutdown(socket.SHUT_WR); c.close()",
		server: "l = listen(); l.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 15); ready(); c = l.accept()[0]; time.sleep(0.3); rest(c)",
		there:  150_000,
	},
	{
		name:   "closed by the server and then by the client with all of it in flight",
		client: "c = connect(); put(c, 150_000); rest(c); c.close()",
		server: "l = listen(); l.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 15); ready(); c = l.accept()[0]\n" +
			"c.shutdown(socket.SHUT_WR); time.sleep(0.3); rest(c)",
		there: 150_000,
	},
	{
		name:   "half closed",
		client: "c = connect(); put(c, 1_000_000); c.shutdown(socket.SHUT_WR); rest(c)",
		server: "c = accept(); rest(c); time.sleep(0.1); put(c, 2_000_000)", there: 1_000_000, back: 2_000_000,
	},
	{
		name:   "reset by the client",
		client: "c = connect(); put(c, 500_000); get(c, 1_000); reset(c)",
		server: "c = accept(); get(c, 500_000); put(c, 1_000)\ntry: rest(c)\nexcept ConnectionResetError: pass", there: 500_000, back: 1_000,
	},
	{
		name:   "reset by the server",
		client: "c = connect(); put(c, 500_000)\ntry: rest(c)\nexcept ConnectionResetError: pass",
		server: "c = accept(); get(c, 500_000); reset(c)", there: 500_000,
	},
	{
		name:   "little, back and forth",
		client: "c = connect()\nfor i in range(200): put(c, 100); get(c, 300)",
		server: "c = accept()\nfor i in range(200): get(c, 100); put(c, 300)\nrest(c)", there: 20_000, back: 60_000,
	},
	{
		// The first data come with the last segment of the handshake.
		name:   "a question with the handshake",
		client: "c = socket.socket(FAMILY, socket.SOCK_STREAM); c.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 1)\nc.connect((ADDRESS, PORT)); put(c, 1000); get(c, 1000)",
		server: "c = accept(); get(c, 1000); put(c, 1000); rest(c)", there: 1000, back: 1000,
	},
	{
		name: "MPTCP", client: "c = connect(); put(c, 1_000_000); c.shutdown(socket.SHUT_WR); rest(c)",
		server: "c = accept(); rest(c); put(c, 2_000_000)", there: 1_000_000, back: 2_000_000, protocols: [2]int{mptcp, mptcp},
	},
	{
		name: "MPTCP of the server only", client: "c = connect(); put(c, 1_000_000); c.shutdown(socket.SHUT_WR); rest(c)",
		server: "c = accept(); rest(c); put(c, 2_000_000)", there: 1_000_000, back: 2_000_000, protocols: [2]int{0, mptcp},
	},
	{
		name: "MPTCP of the client only", client: "c = connect(); put(c, 1_000_000); c.shutdown(socket.SHUT_WR); rest(c)",
		server: "c = accept(); rest(c); put(c, 2_000_000)", there: 1_000_000, back: 2_000_000, protocols: [2]int{mptcp, 0},
	},
}

// What a TCP connection carries is what the history says, whoever listens and however it ends.
func TestCountTCP(t *testing.T) {
	s := newCountScene(t)
	for _, direction := range []flow.Direction{flow.Out, flow.In} {
		for i, c := range tcpTalks {
			t.Run(fmt.Sprintf("%s %s", direction, c.name), func(t *testing.T) {
				s.t = t
				s.talkTCP(c, direction, i%2 == 1)
			})
		}
	}
}

func (s *countScene) talkTCP(c tcpTalk, d flow.Direction, six bool) {
	s.t.Helper()
	begun := time.Now()
	place := s.place(d == flow.In, six, c.protocols[1])
	server := s.talk(d == flow.In, place, c.server)
	server.ready()
	client := s.talk(d == flow.Out, place+fmt.Sprintf("PROTOCOL = %d\n", c.protocols[0]), c.client)
	client.end()
	server.end()
	ended := time.Now()

	home, sent, received := client, c.there, c.back
	if d == flow.In {
		home, sent, received = server, c.back, c.there
	}
	f := s.past(home.file, 1)[0]
	if f.Direction != d || f.Protocol != flow.TCP || f.Decision.By.Kind != flow.ByRule || f.Decision.By.ID == "" {
		s.t.Errorf("%v %v by %+v", f.Direction, f.Protocol, f.Decision.By)
	}
	part := uint64(1)
	if c.protocols == [2]int{mptcp, mptcp} {
		part = 5 // it sends some of it twice
	}
	near(s.t, "bytes sent", f.Bytes.Sent, sent, part)
	near(s.t, "bytes received", f.Bytes.Received, received, part)
	lasted(s.t, f, begun, ended.Add(100*time.Millisecond))
	const segment = 1460
	if n := f.Packets.Sent; n < sent/segment || n > (sent+received)/segment*2+500 {
		s.t.Errorf("%d packets sent with %d bytes", n, sent)
	}
	if n := f.Packets.Received; n < received/segment || n > (sent+received)/segment*2+500 {
		s.t.Errorf("%d packets received with %d bytes", n, received)
	}
}
