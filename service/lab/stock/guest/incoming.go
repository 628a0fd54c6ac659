package main

import (
	"net"
	"net/netip"
	"time"

	"sekisho/service/lab"
)

// wantsIn has Remote reach for a program that listens, and nothing come through, nor any
// answer go back, before the person's.
func (s *scene) wantsIn(network, action string) {
	address := s.listen()
	server := s.Home.Serve(s.ctx, "server", network, address.String())
	wire := s.Remote.Wire()
	answer := s.visit(network, address, 30*time.Second)
	p := s.prompt(server.Path)
	if p.Direction != "in" || p.Program.PID != uint32(server.PID()) || p.Remote.Address != s.Remote.Addr4 || p.Local.Port != address.Port() {
		s.Errorf("the prompt: %+v", p)
	}
	reply := lab.To(s.Remote.Addr4).FromPort(address.Port())
	if len(server.Arrivals()) > 0 || wire.Saw(reply) {
		s.Errorf("it came through, or got an answer, before the person's")
	}
	if action == "block" {
		s.answer(p, "block", "--for", "always")
		time.Sleep(1500 * time.Millisecond) // TCP asks again after a second
		if len(server.Arrivals()) > 0 || wire.Saw(reply) {
			s.Errorf("who is blocked came through, or got an answer")
		}
		return
	}
	s.answer(p, "allow")
	if got := <-answer; got != "knock" {
		s.Errorf("answer %q", got)
	}
}

// letsIn has the kernel know who may be reached.
func (s *scene) letsIn() {
	address := s.listen()
	server := s.Home.Serve(s.ctx, "server", "tcp", address.String())
	s.rule("--program", server.Path, "--action", "allow", "--direction", "in")
	before := s.status().Counters
	for range 50 {
		if got := <-s.visit("tcp", address, 10*time.Second); got != "knock" {
			s.Fatalf("answer %q", got)
		}
	}
	if n := s.status().Counters.Queued - before.Queued; n != 0 {
		s.Errorf("%d connections visited the queue", n)
	}
}

// listen is an address of Home that nothing listened on before.
func (s *scene) listen() netip.AddrPort {
	s.port++
	return netip.AddrPortFrom(s.Home.Addr4, 8000+s.port)
}

// visit sends a word from Remote and says what came back; "" if nothing did in time.
func (s *scene) visit(network string, address netip.AddrPort, wait time.Duration) <-chan string {
	answer := make(chan string, 1)
	go func() {
		defer close(answer)
		var c net.Conn
		err := s.Remote.Do(func() (err error) {
			c, err = net.DialTimeout(network, address.String(), wait)
			return err
		})
		if err != nil {
			return
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(wait))
		if _, err := c.Write([]byte("knock")); err != nil {
			return
		}
		b := make([]byte, 64)
		if n, err := c.Read(b); err == nil {
			answer <- string(b[:n])
		}
	}()
	return answer
}

// ping asks Home from another host whether it is there, and reports whether it answers.
func (s *scene) ping(from *lab.Host, wait time.Duration) bool {
	c, err := from.ListenPacket("ip4:icmp", "0.0.0.0")
	s.must("ping", err)
	defer c.Close()
	s.port++
	request := []byte{8, 0, 0, 0, byte(s.port >> 8), byte(s.port), 0, 1} // echo request, identifier, number
	sum := uint16(8<<8) + s.port + 1
	request[2], request[3] = byte(^sum>>8), byte(^sum)
	_, err = c.WriteTo(request, &net.IPAddr{IP: s.Home.Addr4.AsSlice()})
	s.must("ping", err)
	s.must("ping", c.SetReadDeadline(time.Now().Add(wait)))
	b := make([]byte, 1500)
	for {
		n, _, err := c.ReadFrom(b)
		if err != nil {
			return false
		}
		if n >= 8 && b[0] == 0 && b[4] == request[4] && b[5] == request[5] {
			return true
		}
	}
}
