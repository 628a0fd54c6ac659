package daemon_test

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
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
	var r rule.Rule
	c := s.converse(network, d, func(p rule.Program) { r = s.allow(rule.Rule{Direction: rule.Both, Program: p}) })
	defer c.stop()
	wire := s.Remote.Wire()
	if err := forbid(s, r); err != nil {
		s.t.Fatal(err)
	}
	at := time.Now()
	time.Sleep(400 * time.Millisecond)
	c.ended(how, wire, at)
}

// conversation is two scripts that talk all the time, one of them under the firewall's eye.
type conversation struct {
	s            *countScene
	network      string
	direction    flow.Direction
	port         uint16
	home, remote *talker
}

// converse begins a conversation once permit has let the script at home talk, and waits
// until both ends have heard something.
func (s *countScene) converse(network string, d flow.Direction, permit func(rule.Program)) *conversation {
	s.t.Helper()
	c := s.begin(network, d, permit, "")
	c.talks()
	return c
}

// begin is converse without waiting. before is what the script at home does first.
func (s *countScene) begin(network string, d flow.Direction, permit func(rule.Program), before string) *conversation {
	s.t.Helper()
	c := &conversation{s: s, network: network, direction: d, port: uint16(8000 + s.number)}
	place := s.place(d == flow.In, false, 0)
	client, server := "c = connect()\n", "c = accept()\n"
	if network == "udp" {
		client = "c = udp(); c.connect((ADDRESS, PORT)); c.send(b'x')\n"
		server = "c = udp(); c.bind((ADDRESS, PORT)); ready(); d, peer = c.recvfrom(10)\n"
	}
	server += answerer(network)
	client += "chat(lambda: c.send(b'x'), lambda: c.recv(100))"
	if d == flow.In {
		c.home = s.talkAtHome(permit, place, before+chat+server)
		c.home.ready()
		c.remote = s.talk(false, place, chat+client)
	} else {
		c.remote = s.talk(false, place, chat+server)
		c.remote.ready()
		c.home = s.talkAtHome(permit, place, before+chat+client)
	}
	return c
}

// talks waits until both ends have heard something.
func (c *conversation) talks() {
	c.s.t.Helper()
	c.s.eventually("the conversation", func() bool {
		for _, f := range c.s.live(c.home.file) {
			if f.Remote.Port == c.port || f.Local.Port == c.port {
				return f.Bytes.Sent > 5 && f.Bytes.Received > 5
			}
		}
		return false
	})
}

// talkAtHome is talk under the firewall's eye, with a rule of one's own.
func (s *countScene) talkAtHome(permit func(rule.Program), head, text string) *talker {
	s.t.Helper()
	s.number++
	k := &talker{t: s.t, file: filepath.Join(s.Dir, fmt.Sprintf("talk%d.py", s.number))}
	if err := os.WriteFile(k.file, []byte(head+speech+text), 0o644); err != nil {
		s.t.Fatal(err)
	}
	permit(rule.Program{Path: s.python, Script: k.file})
	k.Command = s.Home.Command(s.t.Context(), s.python, k.file).Filtered()
	k.Stderr = os.Stderr
	out, err := k.StdoutPipe()
	if err == nil {
		k.lines = bufio.NewScanner(out)
		err = k.Start()
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return k
}

func (c *conversation) stop() {
	for _, k := range []*talker{c.home, c.remote} {
		_ = k.Process.Kill()
		_ = k.Wait()
	}
}

// last is when something was said for the last time.
func (c *conversation) last(wire *lab.Wire) (last time.Time) {
	for _, p := range wire.Packets(func(p lab.Packet) bool {
		return !p.Leaving && len(p.Payload) > 0 && (p.Src.Port() == c.port || p.Dst.Port() == c.port)
	}) {
		last = p.Time
	}
	return last
}

// ended wants nothing to be said 100 ms after a moment, and something before.
func (c *conversation) ended(how string, wire *lab.Wire, at time.Time) {
	c.s.t.Helper()
	last := c.last(wire)
	c.s.t.Logf("%s, %s %s: the last data at %v", how, c.network, c.direction, last.Sub(at))
	if last.Sub(at) > takesHoldWithin {
		c.s.t.Errorf("%s, %s %s: it goes on for %v", how, c.network, c.direction, last.Sub(at))
	}
}

// takesHoldWithin is how long what is forbidden may go on.
const takesHoldWithin = 100 * time.Millisecond

func answerer(network string) string {
	if network == "udp" {
		return "chat(lambda: c.sendto(b'y', peer), lambda: c.recvfrom(100))"
	}
	return "chat(lambda: c.send(b'y'), lambda: c.recv(100))"
}
