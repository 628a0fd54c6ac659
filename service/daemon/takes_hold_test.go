package daemon_test

import (
	"testing"
	"time"

	"sekisho/app/api"
	"sekisho/app/flow"
	"sekisho/app/rule"
	"sekisho/service/lab"
)

// What ends what it forbids, by what is done.
var forbids = map[string]func(s *countScene, r rule.Rule) error{
	"a new block": func(s *countScene, r rule.Rule) error {
		_, err := s.api.AddRule(s.t.Context(), rule.Rule{Enabled: true, Action: rule.Block, Direction: rule.Both, Program: r.Program,
			Lifetime: rule.Lifetime{Kind: rule.Always}, Remote: rule.Remote{Address: s.Remote.Addr4}}, 0)
		return err
	},
	"lockdown":      func(s *countScene, _ rule.Rule) error { return s.api.SetMode(s.t.Context(), api.ModeLockdown, 0) },
	"rule removed":  func(s *countScene, r rule.Rule) error { return s.api.RemoveRule(s.t.Context(), r.ID) },
	"rule disabled": func(s *countScene, r rule.Rule) error { return s.api.EnableRule(s.t.Context(), r.ID, false) },
	"mode block": func(s *countScene, r rule.Rule) error {
		if err := s.api.RemoveRule(s.t.Context(), r.ID); err != nil {
			return err
		}
		return s.api.SetMode(s.t.Context(), api.ModeBlock, 0)
	},
}

// Both ends say something every few milliseconds, until they cannot.
const chat = `
import threading
def chat(send, receive):
    def hear():
        try:
            while receive(): pass
        except OSError: pass
    threading.Thread(target=hear, daemon=True).start()
    for i in range(2000):
        try: send()
        except OSError: pass
        time.sleep(0.005)
`

// A change ends at once what it forbids, TCP and UDP, out and in: nothing more of it
// leaves.
func TestChangeTakesHold(t *testing.T) {
	for how, forbid := range forbids {
		t.Run(how, func(t *testing.T) {
			s := newCountScene(t)
			for _, network := range []string{"tcp", "udp"} {
				for _, d := range []flow.Direction{flow.Out, flow.In} {
					s.takesHold(how, network, d, forbid)
				}
			}
		})
	}
}

func (s *countScene) takesHold(how, network string, d flow.Direction, forbid func(*countScene, rule.Rule) error) {
	s.t.Helper()
	if err := s.api.SetMode(s.t.Context(), api.ModeAsk, 0); err != nil {
		s.t.Fatal(err)
	}
	place := s.place(d == flow.In, false, 0)
	port := uint16(8000 + s.number)
	client, server := "c = connect()\n", "c = accept()\n"
	if network == "udp" {
		client = "c = udp(); c.connect((ADDRESS, PORT)); c.send(b'x')\n"
		server = "c = udp(); c.bind((ADDRESS, PORT)); ready(); d, peer = c.recvfrom(10)\n"
	}
	listener := s.talk(d == flow.In, place, chat+server+answerer(network))
	listener.ready()
	caller := s.talk(d == flow.Out, place, chat+client+"chat(lambda: c.send(b'x'), lambda: c.recv(100))")
	defer func() { _ = listener.Process.Kill(); _ = caller.Process.Kill(); _ = listener.Wait(); _ = caller.Wait() }()
	home := caller
	if d == flow.In {
		home = listener
	}
	s.eventually("the conversation", func() bool {
		all := s.live(home.file)
		return len(all) == 1 && all[0].Bytes.Sent > 5 && all[0].Bytes.Received > 5
	})
	rules, err := s.api.Rules(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	var r rule.Rule
	for _, x := range rules {
		if x.Program.Script == home.file && x.Action == rule.Allow {
			r = x
		}
	}
	wire := s.Remote.Wire()
	if err := forbid(s, r); err != nil {
		s.t.Fatal(err)
	}
	at := time.Now()
	time.Sleep(400 * time.Millisecond)
	var last time.Duration
	data := lab.Match(func(p lab.Packet) bool {
		return !p.Leaving && len(p.Payload) > 0 && (p.Src.Port() == port || p.Dst.Port() == port)
	})
	for _, p := range wire.Packets(data) {
		last = max(last, p.Time.Sub(at))
	}
	s.t.Logf("%s, %s %s: the last data %v after the answer", how, network, d, last)
	if last > 300*time.Millisecond {
		s.t.Errorf("%s, %s %s: it goes on: %v", how, network, d, last)
	}
}

func answerer(network string) string {
	if network == "udp" {
		return "chat(lambda: c.sendto(b'y', peer), lambda: c.recvfrom(100))"
	}
	return "chat(lambda: c.send(b'y'), lambda: c.recv(100))"
}
