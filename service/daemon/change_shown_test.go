package daemon_test

import (
	"testing"
	"time"

	"sekisho/app/flow"
	"sekisho/app/rule"
)

// A connection that a rule ends is over at once in what people are shown, even if its
// program never looks at it again, with all that went through it.
func TestCutIsShown(t *testing.T) {
	s := newCountScene(t)
	for _, protocol := range []flow.Protocol{flow.TCP, flow.UDP} {
		t.Run(protocol.String(), func(t *testing.T) {
			s.t = t
			text, away := "c = connect()", "get(accept(), 100_000); time.sleep(60)"
			if protocol == flow.UDP {
				text, away = "c = udp(); c.connect(THERE)", "u = server(); time.sleep(60)"
			}
			place := s.place(false, false, 0)
			server := s.talk(false, place, away)
			server.ready()
			client := s.talk(true, place, text+"\nfor i in range(100): c.send(bytes(1000))\nready(); time.sleep(60)\n")
			client.ready()
			s.eventually("the connection", func() bool {
				all := s.live(client.file)
				return len(all) == 1 && all[0].Bytes.Sent == 100_000
			})
			if past := s.history(client.file); len(past) != 1 || past[0].State != flow.Open {
				t.Fatalf("before: %+v", past)
			}
			cut := time.Now()
			block := s.addRule(rule.Rule{Action: rule.Block, Direction: rule.Both, Program: rule.Program{Path: s.python, Script: client.file}})
			f := s.past(client.file, 1)[0]
			if f.Ended.Before(cut) || f.Ended.Sub(cut) > time.Second || f.Bytes.Sent != 100_000 {
				t.Errorf("ended %v after the block, %+v", f.Ended.Sub(cut), f.Bytes)
			}
			if f.Decision.Verdict != flow.Block || f.Decision.By.ID != block.ID {
				t.Errorf("by %+v", f.Decision)
			}
			if all := s.live(client.file); len(all) != 0 {
				t.Errorf("still shown: %+v", all)
			}
			client.kill()
			server.kill()
		})
	}
}
