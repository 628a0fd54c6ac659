// serve is a server for tests: it receives on one address by TCP or UDP, sends back what
// it gets, and prints a line of JSON for each thing that reaches it, the first when it
// listens.
//
//	serve [-reuseport] [-quiet] tcp|udp ADDRESS:PORT
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// arrival is something that reached the server; the first has no sender.
type arrival struct {
	Local string `json:"local"`
	From  string `json:"from,omitempty"`
	Data  string `json:"data,omitempty"` // the first of it
}

func main() {
	reuse := flag.Bool("reuseport", false, "share the port")
	quiet := flag.Bool("quiet", false, "send nothing back")
	flag.Parse()
	if flag.NArg() != 2 {
		flag.Usage()
		os.Exit(2)
	}
	s := server{out: json.NewEncoder(os.Stdout), quiet: *quiet}
	if *reuse {
		s.config.Control = shared
	}
	var err error
	switch flag.Arg(0) {
	case "tcp":
		err = s.tcp(flag.Arg(1))
	case "udp":
		err = s.udp(flag.Arg(1))
	default:
		err = fmt.Errorf("protocol %q: want tcp or udp", flag.Arg(0))
	}
	fmt.Fprintln(os.Stderr, "serve:", err)
	os.Exit(1)
}

type server struct {
	config net.ListenConfig
	quiet  bool
	mu     sync.Mutex // guards out
	out    *json.Encoder
}

func (s *server) tell(a arrival) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.out.Encode(a); err != nil {
		os.Exit(1) // nobody reads any more
	}
}

func (s *server) tcp(address string) error {
	l, err := s.config.Listen(context.Background(), "tcp", address)
	if err != nil {
		return err
	}
	s.tell(arrival{Local: l.Addr().String()})
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go s.connection(c)
	}
}

func (s *server) connection(c net.Conn) {
	defer c.Close()
	a := arrival{Local: c.LocalAddr().String(), From: c.RemoteAddr().String()}
	s.tell(a)
	b := make([]byte, 64<<10)
	for {
		n, err := c.Read(b)
		if err != nil {
			return
		}
		a.Data = string(b[:min(n, 64)])
		s.tell(a)
		if s.quiet {
			continue
		}
		if _, err := c.Write(b[:n]); err != nil {
			return
		}
	}
}

func (s *server) udp(address string) error {
	c, err := s.config.ListenPacket(context.Background(), "udp", address)
	if err != nil {
		return err
	}
	s.tell(arrival{Local: c.LocalAddr().String()})
	b := make([]byte, 64<<10)
	for {
		n, from, err := c.ReadFrom(b)
		if err != nil {
			return err
		}
		s.tell(arrival{Local: c.LocalAddr().String(), From: from.String(), Data: string(b[:min(n, 64)])})
		if s.quiet {
			continue
		}
		if _, err := c.WriteTo(b[:n], from); err != nil {
			fmt.Fprintln(os.Stderr, "serve: answer:", err)
		}
	}
}

func shared(_, _ string, c syscall.RawConn) error {
	var failed error
	err := c.Control(func(fd uintptr) { failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
	if err != nil {
		return err
	}
	return failed
}
