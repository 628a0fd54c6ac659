package main

import (
	"time"

	"github.com/google/nftables"

	"sekisho/service/lab"
)

// restarts ends the service while it holds something. When its end closes the queue, the
// kernel drops the packets that wait in it: what TCP repeats after a second comes back to
// be asked about, what UDP sent once is gone. Nothing leaves undecided meanwhile.
func (s *scene) restarts(end func(*lab.Service)) {
	wire := s.Remote.Wire()
	program := s.Home.Program("patient")
	run := program.Start(s.ctx, "-timeout", "60s", "-echo", "tcp", s.target.String())
	s.prompt(program.Path)
	end(s.service)
	stopped := time.Now()
	for time.Since(stopped) < 1200*time.Millisecond { // it repeats within
		if wire.Saw(lab.SYN(s.target)) {
			s.Fatalf("an undecided SYN left %v after the service ended", time.Since(stopped))
		}
		time.Sleep(50 * time.Millisecond)
	}
	s.service.Start()
	p := s.prompt(program.Path)
	if wire.Saw(lab.SYN(s.target)) {
		s.Errorf("an undecided SYN left")
	}
	s.answer(p, "allow")
	answered := time.Now()
	out, err := run.Wait()
	if err != nil || len(out) != 1 || !out[0].OK {
		s.Fatalf("%+v, %v", out, err)
	}
	s.say("asked again, and through %v after the answer", time.Since(answered).Round(time.Millisecond))
}

// putBack takes the service's rules away while it holds a packet. The service puts them
// back into the chains that are still there, and the packet goes on waiting: it leaves at
// the answer, and was not sent again.
func (s *scene) putBack() {
	wire := s.Remote.Wire()
	program := s.Home.Program("waiting")
	run := program.Start(s.ctx, "-timeout", "60s", "-echo", "tcp", s.target.String())
	p := s.prompt(program.Path)
	table, n := s.rules()
	if n == 0 {
		s.Fatalf("the service filters without rules")
	}
	s.must("flush the rules", s.nft(func(c *nftables.Conn) error {
		c.FlushTable(table)
		return c.Flush()
	}))
	s.eventually("the rules are back", func() bool {
		_, now := s.rules()
		return now >= n
	})
	again := s.prompt(program.Path)
	if again.Prompt.ID != p.Prompt.ID || wire.Saw(lab.SYN(s.target)) {
		s.Errorf("the prompt is %+v, was %+v; or it left", again.Prompt, p.Prompt)
	}
	before := s.retransmitted()
	s.answer(p, "allow")
	out, err := run.Wait()
	if err != nil || len(out) != 1 || !out[0].OK {
		s.Fatalf("%+v, %v", out, err)
	}
	if n := s.retransmitted() - before; n != 0 {
		s.Errorf("the packet that waited was lost: %d were sent again", n)
	}
}
