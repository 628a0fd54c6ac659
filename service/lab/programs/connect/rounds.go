package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// round asks for Count timed connections, requests or packets, as Kind says.
type round struct {
	// Kind is what to do:
	//   ""         TCP connections from CPU, one after the other, each connect() timed
	//   rate       TCP connections by Workers at once, all together timed
	//   request    UDP from CPU: a new socket, a datagram and its answer, each timed
	//   upload     one TCP connection from CPU that sends Count bytes, until all are taken
	//   download   one that receives them
	//   packets    datagrams of Size bytes from CPU on one connected socket
	//   packets-to the same on a socket that is not connected
	//   hold       TCP connections that stay open until drop
	//   drop       ends those
	Kind             string
	Count, Warm, CPU int // Warm: how many come first and are not timed
	Workers, Size    int
	Target           netip.AddrPort
	Spread           bool // each connection goes to the next address, from Target on
}

// timed is the answer to a round. Times are in nanoseconds.
type timed struct {
	Began   int64          `json:"began"`   // of the last connect(), on CLOCK_MONOTONIC
	Connect []int64        `json:"connect"` // each connect(), or each request until its answer
	Life    []int64        `json:"life"`    // each socket() to close()
	Elapsed int64          `json:"elapsed"` // all of it
	Errors  map[string]int `json:"errors"`  // how many of the timed ended with which error
	Error   string         `json:"error"`   // why there was no round
}

// rounds does what it is told, a line of JSON for each round, until in ends.
func rounds(in io.Reader, out io.Writer) error {
	runtime.LockOSThread()
	requests, replies := json.NewDecoder(in), json.NewEncoder(out)
	var l load
	defer l.drop()
	for {
		var r round
		if err := requests.Decode(&r); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		t := timed{Errors: map[string]int{}}
		if err := l.play(r, &t); err != nil {
			t.Error = err.Error()
		}
		if err := replies.Encode(t); err != nil {
			return err
		}
	}
}

// load is what outlives a round.
type load struct{ held []int }

func (l *load) play(r round, t *timed) error {
	runtime.GC() // rather than between two of the times
	switch r.Kind {
	case "":
		return r.connects(t)
	case "rate":
		return r.rate(t)
	case "request":
		return r.requests(t)
	case "upload", "download":
		return r.stream(t)
	case "packets", "packets-to":
		return r.packets(t)
	case "hold":
		return l.hold(r, t)
	case "drop":
		l.drop()
		return nil
	}
	return fmt.Errorf("kind %q is not known", r.Kind)
}

// stay keeps the calling thread on the round's processor.
func (r round) stay() error {
	var on unix.CPUSet
	on.Set(r.CPU)
	return unix.SchedSetaffinity(0, &on)
}

// note counts a system call's error; it returns what is no such error.
func (t *timed) note(err error) error {
	var errno unix.Errno
	if errors.As(err, &errno) {
		t.Errors[unix.ErrnoName(errno)]++
		return nil
	}
	return err
}

// next is where the connection after the one to a goes.
func (r round) next(a netip.AddrPort) netip.AddrPort {
	if r.Spread {
		return netip.AddrPortFrom(a.Addr().Next(), a.Port())
	}
	return a
}

func (r round) connects(t *timed) error {
	if err := r.stay(); err != nil {
		return err
	}
	t.Connect, t.Life = make([]int64, 0, r.Count), make([]int64, 0, r.Count)
	to := r.Target
	for n := range r.Warm + r.Count {
		began, connect, life, err := timeConnect(to)
		to = r.next(to)
		if n < r.Warm {
			continue
		}
		if err := t.note(err); err != nil {
			return err
		}
		t.Began = began
		t.Connect = append(t.Connect, connect)
		t.Life = append(t.Life, life)
	}
	return nil
}

// timeConnect makes one connection and resets it, which leaves no port in use.
func timeConnect(to netip.AddrPort) (began, connect, life int64, err error) {
	sa := sockaddr(to)
	born := time.Now()
	fd, err := open("tcp", to.Addr())
	if err != nil {
		return 0, 0, 0, err
	}
	err = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	if err == nil {
		began = monotonic()
		start := time.Now()
		err = unix.Connect(fd, sa)
		connect = time.Since(start).Nanoseconds()
	}
	err = errors.Join(err, unix.Close(fd))
	return began, connect, time.Since(born).Nanoseconds(), err
}

func monotonic() int64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		return 0
	}
	return t.Nano()
}
