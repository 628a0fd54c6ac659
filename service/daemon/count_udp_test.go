package daemon_test

import (
	"fmt"
	"testing"
	"time"

	"sekisho/app/flow"
)

// udpTalks say how a client and a server exchange datagrams. Both end by themselves.
var udpTalks = []struct {
	name           string
	client, server string
	there, back    uint64 // payload
	packets        uint64 // that the client sends
}{
	{
		name:   "connected",
		client: "u = udp(); u.connect(THERE)\nfor i in range(500): u.send(bytes(1000)); u.recv(2000)",
		server: "u = server()\nfor i in range(500): d, a = u.recvfrom(2000); u.sendto(d[:400], a)",
		there:  500_000, back: 200_000, packets: 500,
	},
	{
		name:   "not connected",
		client: "u = udp()\nfor i in range(500): u.sendto(bytes(1000), THERE); u.recv(2000)",
		server: "u = server()\nfor i in range(500): d, a = u.recvfrom(2000); u.sendto(d[:400], a)",
		there:  500_000, back: 200_000, packets: 500,
	},
	{
		name:   "one way",
		client: "u = udp(); u.connect(THERE)\nfor i in range(2000):\n  u.send(bytes(1000))\n  if i % 50 == 49: u.recv(10)",
		server: "u = server()\nfor i in range(2000):\n  d, a = u.recvfrom(2000)\n  if i % 50 == 49: u.sendto(b'on', a)",
		there:  2_000_000, back: 80, packets: 2000,
	},
	{
		// The kernel cuts each buffer into 40 datagrams.
		name:   "cut by the kernel",
		client: "u = udp(); u.setsockopt(socket.IPPROTO_UDP, 103, 1000); u.connect(THERE)\nfor i in range(50): u.send(bytes(40_000)); u.recv(10)",
		server: "u = server()\nfor i in range(2000):\n  d, a = u.recvfrom(2000)\n  if i % 40 == 39: u.sendto(b'on', a)",
		there:  2_000_000, back: 100, packets: 2000,
	},
	{
		name:   "cut by the kernel, not connected",
		client: "u = udp(); u.setsockopt(socket.IPPROTO_UDP, 103, 1000)\nfor i in range(50): u.sendto(bytes(39_500), THERE); u.recv(10)",
		server: "u = server()\nfor i in range(2000):\n  d, a = u.recvfrom(2000)\n  if i % 40 == 39: u.sendto(b'on', a)",
		there:  1_975_000, back: 100, packets: 2000,
	},
	{
		// Ten writes make one datagram.
		name: "corked",
		client: "u = udp(); u.connect(THERE)\nfor i in range(300):\n  u.setsockopt(socket.IPPROTO_UDP, 1, 1)\n" +
			"  for j in range(10): u.send(bytes(100))\n  u.setsockopt(socket.IPPROTO_UDP, 1, 0); u.recv(2000)",
		server: "u = server()\nfor i in range(300): d, a = u.recvfrom(2000); u.sendto(d, a)",
		there:  300_000, back: 300_000, packets: 300,
	},
	{
		// Each is three packets on the wire of 1,500 bytes, of which the last two have no ports.
		name:   "in fragments",
		client: "u = udp(); u.connect(THERE)\nfor i in range(200): u.send(bytes(4000)); u.recv(10_000)",
		server: "u = server()\nfor i in range(200): d, a = u.recvfrom(10_000); u.sendto(d, a)",
		there:  800_000, back: 800_000, packets: 200,
	},
}

// What goes through a UDP socket is what the history says, whichever way it is sent.
func TestCountUDP(t *testing.T) {
	s := newCountScene(t)
	for _, direction := range []flow.Direction{flow.Out, flow.In} {
		for i, c := range udpTalks {
			t.Run(fmt.Sprintf("%s %s", direction, c.name), func(t *testing.T) {
				s.t = t
				begun := time.Now()
				place := s.place(direction == flow.In, i%2 == 1, 0)
				server := s.talk(direction == flow.In, place, c.server)
				server.ready()
				client := s.talk(direction == flow.Out, place, c.client)
				client.end()
				server.end()
				ended := time.Now()
				home, sent, received := client, c.there, c.back
				if direction == flow.In {
					home, sent, received = server, c.back, c.there
				}
				f := s.past(home.file, 1)[0]
				if f.Direction != direction || f.Protocol != flow.UDP || f.Decision.By.Kind != flow.ByRule || f.Decision.By.ID == "" {
					t.Errorf("%v %v by %+v", f.Direction, f.Protocol, f.Decision.By)
				}
				near(t, "bytes sent", f.Bytes.Sent, sent, 1)
				near(t, "bytes received", f.Bytes.Received, received, 1)
				packets := f.Packets.Sent
				if direction == flow.In {
					packets = f.Packets.Received
				}
				near(t, "packets from the client", packets, c.packets, 1)
				lasted(t, f, begun, ended.Add(100*time.Millisecond))
			})
		}
	}
}

// Each of a server's peers is a flow of its own, with counts of its own, and so is each
// destination of a client's only socket.
func TestCountUDPOfManyPeers(t *testing.T) {
	const peers = 50
	s := newCountScene(t)
	for _, direction := range []flow.Direction{flow.In, flow.Out} {
		t.Run(direction.String(), func(t *testing.T) {
			s.t = t
			place := s.place(direction == flow.In, false, 0)
			// Peer n says n + 1 times 100 bytes, and gets 10 bytes for each; both say when all is done.
			const total = peers * (peers + 1) / 2
			one, many := "", ""
			if direction == flow.In {
				one = fmt.Sprintf("u = server()\nfor i in range(%d): d, a = u.recvfrom(2000); u.sendto(d[:10], a)", total)
				many = fmt.Sprintf("all = [udp() for i in range(%d)]\nfor n, u in enumerate(all):\n  for i in range(n + 1): u.sendto(bytes(100), THERE); u.recv(2000)", peers)
			} else {
				place += fmt.Sprintf("FIRST = %d\n", 9000)
				one = fmt.Sprintf("u = udp()\nfor n in range(%d):\n  for i in range(n + 1): u.sendto(bytes(10), (ADDRESS, FIRST + n)); u.recv(2000)", peers)
				many = fmt.Sprintf("all = [udp() for i in range(%d)]\nfor n, u in enumerate(all): u.bind((ADDRESS, FIRST + n))\nready()\n"+
					"for n, u in enumerate(all):\n  for i in range(n + 1): d, a = u.recvfrom(2000); u.sendto(bytes(100), a)", peers)
			}
			var home, away *talker
			if direction == flow.In {
				home = s.talk(true, place, one)
				home.ready()
				away = s.talk(false, place, many)
			} else {
				away = s.talk(false, place, many)
				away.ready()
				home = s.talk(true, place, one)
			}
			home.end()
			away.end()
			var seen [peers + 1]int
			for _, f := range s.past(home.file, peers) {
				n := f.Packets.Received
				if n < 1 || n > peers || f.Direction != direction {
					t.Errorf("%v: %+v", f.Direction, f.Packets)
					continue
				}
				seen[n]++
				if f.Packets.Sent != n || f.Bytes != (flow.Bytes{Sent: 10 * n, Received: 100 * n}) {
					t.Errorf("flow %d: %+v, %+v", n, f.Packets, f.Bytes)
				}
			}
			for n := 1; n <= peers; n++ {
				if seen[n] != 1 {
					t.Errorf("%d flows with %d datagrams", seen[n], n)
				}
			}
		})
	}
}
