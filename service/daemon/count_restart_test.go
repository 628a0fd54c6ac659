package daemon_test

import (
	"testing"
	"time"

	"sekisho/app/api"
	"sekisho/app/flow"
	"sekisho/app/rule"
	"sekisho/service/lab"
)

// A connection that goes on while the service is killed and started again stays one flow,
// and nothing of what goes through it is left out.
func TestCountOverRestarts(t *testing.T) {
	for _, c := range []struct {
		name  string
		again func(s *lab.Service)
	}{
		{"killed", func(s *lab.Service) { s.Kill(); time.Sleep(300 * time.Millisecond); s.Start() }},
		{"restarted", (*lab.Service).Restart},
	} {
		for _, protocol := range []flow.Protocol{flow.TCP, flow.UDP} {
			for _, direction := range []flow.Direction{flow.Out, flow.In} {
				t.Run(c.name+" "+protocol.String()+" "+direction.String(), func(t *testing.T) {
					s := newCountScene(t)
					place := s.place(direction == flow.In, false, 0)
					text, away := "c = connect()", "c = accept(); n = 0\nwhile n < 1_000_003: n += len(c.recv(1 << 16))\nc.send(b'it'); rest(c)"
					if protocol == flow.UDP {
						text = "c = udp(); c.connect(THERE)"
						away = "c = server()\nd = None\nwhile d != b'end': d, a = c.recvfrom(2000)\nc.sendto(b'it', a)"
					}
					begun := time.Now()
					server := s.talk(direction == flow.In, place, away)
					server.ready()
					client := s.talk(direction == flow.Out, place, text+"\nfor i in range(1000):\n  c.send(bytes(1000)); time.sleep(0.001)\n  if i == 100: ready()\nc.send(b'end'); c.recv(10)\n")
					client.ready()
					home, want := client, flow.Bytes{Sent: 1_000_000, Received: 2}
					if direction == flow.In {
						home, want = server, flow.Bytes{Sent: 2, Received: 1_000_000}
					}
					before := s.history(home.file) // which writes it down: a kill loses the last second's
					c.again(s.service)
					client.end()
					server.end()
					f := s.past(home.file, 1)[0]
					near(t, "bytes sent", f.Bytes.Sent, want.Sent, 1)
					near(t, "bytes received", f.Bytes.Received, want.Received, 1)
					if len(before) != 1 || before[0].State != flow.Open || f.ID != before[0].ID || f.Decision != before[0].Decision || !f.Time.Equal(before[0].Time) || f.Direction != direction {
						t.Errorf("%+v in the end, before %+v", f, before)
					}
					lasted(t, f, begun, time.Now())
				})
			}
		}
	}
}

// A connection that ends while there is no service is over when it comes back, and what
// went through it is known.
func TestCountOfWhatEndedMeanwhile(t *testing.T) {
	s := newCountScene(t)
	place := s.place(false, false, 0)
	server := s.talk(false, place, "rest(accept())")
	server.ready()
	client := s.talk(true, place, "c = connect(); put(c, 100_000); ready(); go_on(); put(c, 200_000)\n")
	client.ready()
	before := s.history(client.file)
	s.service.Kill()
	if _, err := client.input.WriteString("\n"); err != nil {
		t.Fatal(err)
	}
	client.end()
	server.end()
	over := time.Now()
	time.Sleep(300 * time.Millisecond)
	s.service.Start()
	f := s.past(client.file, 1)[0]
	near(t, "bytes sent", f.Bytes.Sent, 300_000, 1)
	if len(before) != 1 || before[0].State != flow.Open || f.ID != before[0].ID || f.Decision != before[0].Decision {
		t.Errorf("%+v in the end, before %+v", f, before)
	}
	lasted(t, f, before[0].Time, over.Add(100*time.Millisecond))
}

// The same of one that came in.
func TestCountOfWhatCameInAndEndedMeanwhile(t *testing.T) {
	s := newCountScene(t)
	place := s.place(true, false, 0)
	server := s.talk(true, place, "rest(accept())")
	server.ready()
	client := s.talk(false, place, "c = connect(); put(c, 100_000); ready(); go_on(); put(c, 200_000)\n")
	client.ready()
	before := s.history(server.file)
	s.service.Kill()
	if _, err := client.input.WriteString("\n"); err != nil {
		t.Fatal(err)
	}
	client.end()
	server.end()
	time.Sleep(300 * time.Millisecond)
	s.service.Start()
	f := s.past(server.file, 1)[0]
	near(t, "bytes received", f.Bytes.Received, 300_000, 1)
	if len(before) != 1 || before[0].State != flow.Open || f.ID != before[0].ID || f.Decision != before[0].Decision {
		t.Errorf("%+v in the end, before %+v", f, before)
	}
}

// A flow that is older than the service is shown and counted from then on.
func TestCountOfWhatIsOlder(t *testing.T) {
	for _, protocol := range []flow.Protocol{flow.TCP, flow.UDP} {
		t.Run(protocol.String(), func(t *testing.T) {
			l := lab.New(t)
			s := &countScene{scene: &scene{Lab: l, t: t}, python: python(t)}
			place := s.place(false, false, 0)
			text, away := "c = connect()", "rest(accept())"
			if protocol == flow.UDP {
				text, away = "c = udp(); c.connect(THERE)", "c = server()\nfor i in range(600): c.recv(2000)"
			}
			server := s.talk(false, place, away)
			server.ready()
			client := s.older(place, text+"\nfor i in range(100): c.send(bytes(1000))\nready(); go_on()\nfor i in range(500): c.send(bytes(1000)); time.sleep(0.001)\n")
			client.ready()
			s.service = l.Home.Service()
			s.api = api.Dial(s.service.Socket)
			t.Cleanup(func() { _ = s.api.Close() })
			s.addRule(rule.Rule{Action: rule.Allow, Direction: rule.Both, Program: rule.Program{Path: s.python}})
			s.eventually("the older connection", func() bool { return len(s.live(s.python)) == 1 })
			if _, err := client.input.WriteString("\n"); err != nil {
				t.Fatal(err)
			}
			client.end()
			server.end()
			f := s.past(s.python, 1)[0]
			near(t, "bytes sent", f.Bytes.Sent, 500_000, 1)
			if protocol == flow.UDP {
				near(t, "packets sent", f.Packets.Sent, 500, 1)
			}
			if f.Direction != flow.Out || f.Protocol != protocol || f.Decision.Verdict != flow.Allow {
				t.Errorf("%+v", f)
			}
		})
	}
}
