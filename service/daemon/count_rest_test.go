package daemon_test

import (
	"fmt"
	"testing"
	"time"

	"sekisho/app/flow"
	"sekisho/service/lab"
)

// restTalks are what has no bytes of its own to count: whole packets count, as on the wire.
var restTalks = []struct {
	name     string
	protocol flow.Protocol
	six      bool
	talk     string
	answered bool
}{
	{"ping", flow.ICMP, false, "c = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, 1)\nfor i in range(100): c.sendto(echo(8), (ADDRESS, 0)); c.recv(2000)", true},
	{"ping, connected", flow.ICMP, false, "c = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, 1); c.connect((ADDRESS, 0))\nfor i in range(100): c.send(echo(8)); c.recv(2000)", true},
	{"ping, IPv6", flow.ICMPv6, true, "c = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM, 58)\nfor i in range(100): c.sendto(echo(128), (ADDRESS, 0)); c.recv(2000)", true},
	{"raw ping", flow.ICMP, false, "c = socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)\nfor i in range(100): c.sendto(echo(8), (ADDRESS, 0)); c.recv(2000)", true},
	{"raw ping, IPv6", flow.ICMPv6, true, `
c = socket.socket(socket.AF_INET6, socket.SOCK_RAW, 58)
c.setsockopt(58, 1, struct.pack('8I', *([0xffffffff] * 4 + [0xfffffffd] + [0xffffffff] * 3))) # echo replies only
for i in range(100): c.sendto(echo(128), (ADDRESS, 0)); c.recv(2000)`, true},
	{"raw, a protocol of its own", 253, false, "c = socket.socket(socket.AF_INET, socket.SOCK_RAW, 253)\nfor i in range(100): c.sendto(bytes(700), (ADDRESS, 0))", false},
	{"raw, a protocol of its own, IPv6", 253, true, "c = socket.socket(socket.AF_INET6, socket.SOCK_RAW, 253)\nfor i in range(100): c.sendto(bytes(700), (ADDRESS, 0))", false},
	{"UDP-Lite", flow.UDPLite, false, "c = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, 136); c.connect((ADDRESS, 9))\nfor i in range(100): c.send(bytes(700))", false},
}

const echoRequest = `
def echo(kind):
    b = bytearray([kind, 0, 0, 0, 0, 1, 0, 1]) + bytes(600)
    s = sum(struct.unpack('!304H', bytes(b)))
    s = (s & 0xffff) + (s >> 16)
    struct.pack_into('!H', b, 2, 0xffff & ~(s + (s >> 16)))
    return bytes(b)
`

// What goes through sockets without a port is counted as it is on the wire.
func TestCountPingAndRaw(t *testing.T) {
	s := newCountScene(t)
	for _, c := range restTalks {
		t.Run(c.name, func(t *testing.T) {
			s.t = t
			wire := s.Remote.Wire()
			begun := time.Now()
			client := s.talk(true, s.place(false, c.six, 0), echoRequest+c.talk)
			client.end()
			f := s.past(client.file, 1)[0]
			lasted(t, f, begun, time.Now())
			if f.Direction != flow.Out || f.Protocol != c.protocol || f.Decision.By.Kind != flow.ByRule {
				t.Errorf("%v %v by %+v", f.Direction, f.Protocol, f.Decision.By)
			}
			var sent, received, there, back uint64
			header := uint64(20)
			remote := s.Remote.Addr4
			if c.six {
				header, remote = 40, s.Remote.Addr6
			}
			for _, p := range wire.Packets(func(p lab.Packet) bool { return p.Protocol == c.protocol && len(p.Body) > 500 }) {
				bytes := header + uint64(len(p.Body))
				if c.protocol == flow.UDPLite {
					bytes = uint64(len(p.Payload))
				}
				if p.Dst.Addr() == remote {
					there, sent = there+1, sent+bytes
				} else {
					back, received = back+1, received+bytes
				}
			}
			if there != 100 || c.answered != (back == 100) {
				t.Fatalf("%d packets there and %d back: the test shows nothing", there, back)
			}
			near(t, "packets sent", f.Packets.Sent, there, 10)
			near(t, "bytes sent", f.Bytes.Sent, sent, 10)
			if c.answered {
				near(t, "packets received", f.Packets.Received, back, 10)
				near(t, "bytes received", f.Bytes.Received, received, 10)
			}
		})
	}
}

// What a connection carries can be followed while it goes on: nothing has to end first.
func TestCountWhileItGoesOn(t *testing.T) {
	s := newCountScene(t)
	for _, protocol := range []flow.Protocol{flow.TCP, flow.UDP} {
		t.Run(protocol.String(), func(t *testing.T) {
			s.t = t
			place := s.place(false, false, 0)
			text, away := "c = connect()", "rest(accept())"
			if protocol == flow.UDP {
				text, away = "c = udp(); c.connect(THERE)", "u = server()\nwhile u.recv(2000): pass"
			}
			server := s.talk(false, place, away)
			server.ready()
			client := s.talk(true, place, text+"\nfor i in range(10_000):\n  c.send(bytes(1000)); time.sleep(0.001)\n  if i == 100: ready()\n")
			client.ready()
			seen := s.follow(client.file, 4)
			client.kill()
			server.kill()
			for i, f := range seen[1:] {
				if f.ID != seen[0].ID || f.Bytes.Sent <= seen[i].Bytes.Sent || f.Packets.Sent <= seen[i].Packets.Sent {
					t.Errorf("%s: %+v %+v, and before %+v %+v", f.ID, f.Bytes, f.Packets, seen[i].Bytes, seen[i].Packets)
				}
			}
			last := seen[len(seen)-1]
			past := s.past(client.file, 1)[0]
			if past.ID != last.ID || past.Bytes.Sent < last.Bytes.Sent || fmt.Sprint(past.Decision) != fmt.Sprint(last.Decision) {
				t.Errorf("in the end %+v, before %+v", past, last)
			}
		})
	}
}
