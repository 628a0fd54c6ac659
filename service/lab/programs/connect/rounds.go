package main

import (
	"encoding/json"
	"errors"
	"io"
	"net/netip"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// round asks for Count timed TCP connections from CPU, one after the other, after Warm
// that are not timed. The first goes to Target; with Spread each goes to the next
// address, the untimed ones too.
type round struct {
	Count, Warm, CPU int
	Target           netip.AddrPort
	Spread           bool
}

// timed is the answer to a round. Times are in nanoseconds.
type timed struct {
	Began   int64          `json:"began"`   // of the last connect(), on CLOCK_MONOTONIC
	Connect []int64        `json:"connect"` // each connect()
	Life    []int64        `json:"life"`    // each socket() to close()
	Errors  map[string]int `json:"errors"`  // how many of the timed ended with which error
	Error   string         `json:"error"`   // why there was no round
}

// rounds makes connections as it is told, a line of JSON for each round, until in ends.
func rounds(in io.Reader, out io.Writer) error {
	runtime.LockOSThread()
	requests, replies := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var r round
		if err := requests.Decode(&r); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := replies.Encode(r.run()); err != nil {
			return err
		}
	}
}

func (r round) run() timed {
	t := timed{Connect: make([]int64, 0, r.Count), Life: make([]int64, 0, r.Count), Errors: map[string]int{}}
	var on unix.CPUSet
	on.Set(r.CPU)
	if err := unix.SchedSetaffinity(0, &on); err != nil {
		t.Error = err.Error()
		return t
	}
	runtime.GC() // rather than between two of the times
	to := r.Target
	for n := range r.Warm + r.Count {
		began, connect, life, err := timeConnect(to)
		if r.Spread {
			to = netip.AddrPortFrom(to.Addr().Next(), to.Port())
		}
		if n < r.Warm {
			continue
		}
		var errno unix.Errno
		if errors.As(err, &errno) {
			t.Errors[unix.ErrnoName(errno)]++
		} else if err != nil {
			t.Error = err.Error()
			return t
		}
		t.Began = began
		t.Connect = append(t.Connect, connect)
		t.Life = append(t.Life, life)
	}
	return t
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
