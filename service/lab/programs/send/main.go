// Send is a program for tests: it sends by one kernel call or another, as a program would
// that wants to get past a firewall, and prints what became of it as one JSON object. It
// makes its system calls itself, so that the errors are the kernel's.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// options are the flags that go with a call.
type options struct {
	payload     []byte
	timeout     time.Duration
	source      netip.AddrPort // to bind to
	device      string
	mark        int
	transparent bool
	via         netip.Addr
	protocol    int
	heir        string // program that is lent a socket
}

// call sends to each of the destinations.
type call func(o options, to []netip.AddrPort) error

var calls = map[string]call{}

// add keeps each file's calls where they are.
func add(group map[string]call) bool {
	maps.Copy(calls, group)
	return true
}

// result is what is printed.
type result struct {
	PID   int    `json:"pid"`
	OK    bool   `json:"ok"`
	Stage string `json:"stage,omitempty"` // what failed
	Errno string `json:"errno,omitempty"`
	Error string `json:"error,omitempty"`
}

// failure says at which stage a call failed.
type failure struct {
	stage string
	err   error
}

func (f *failure) Error() string { return f.stage + ": " + f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// at names the stage at which err, if it is one, came up.
func at(stage string, err error) error {
	if err == nil {
		return nil
	}
	return &failure{stage, err}
}

func main() {
	var o options
	payload := flag.String("payload", "sekisho", "what to send")
	size := flag.Int("size", 0, "send the payload again and again up to this many bytes")
	hold := flag.Duration("hold", 0, "keep all sockets open this long after the call")
	tries := flag.Int("tries", 1, "call again up to this often while it is not permitted")
	flag.DurationVar(&o.timeout, "timeout", time.Second, "give up on answers after this long")
	flag.StringVar(&o.device, "device", "", "bind the socket to this link")
	flag.IntVar(&o.mark, "mark", 0, "mark the socket's packets")
	flag.BoolVar(&o.transparent, "transparent", false, "claim any source address")
	flag.IntVar(&o.protocol, "protocol", 253, "protocol number of raw sockets")
	flag.StringVar(&o.heir, "heir", "", "program of this kind that is lent the socket")
	flag.TextVar(&o.source, "source", netip.AddrPort{}, "address and port to send from")
	flag.TextVar(&o.via, "via", netip.Addr{}, "next hop of a source route")
	flag.Usage = func() {
		fmt.Fprintf(flag.CommandLine.Output(), "usage: send [flags] CALL ADDRESS:PORT...\ncalls: %s\n",
			strings.Join(slices.Sorted(maps.Keys(calls)), " "))
		flag.PrintDefaults()
	}
	flag.Parse()
	f, known := calls[flag.Arg(0)]
	var to []netip.AddrPort
	for i := 1; i < flag.NArg(); i++ {
		a, err := netip.ParseAddrPort(flag.Arg(i))
		known = known && err == nil
		to = append(to, a)
	}
	if !known || len(to) == 0 {
		flag.Usage()
		os.Exit(2)
	}
	o.payload = []byte(*payload)
	for len(o.payload) < *size {
		o.payload = append(o.payload, o.payload...)
	}
	if *size > 0 {
		o.payload = o.payload[:*size]
	}
	err := f(o, to)
	for ; *tries > 1 && errors.Is(err, unix.EPERM); *tries-- {
		time.Sleep(150 * time.Millisecond)
		err = f(o, to)
	}
	r := outcome(err)
	if err := json.NewEncoder(os.Stdout).Encode(r); err != nil {
		os.Exit(1)
	}
	time.Sleep(*hold)
}

func outcome(err error) result {
	r := result{PID: os.Getpid(), OK: err == nil}
	if err == nil {
		return r
	}
	r.Error = err.Error()
	var f *failure
	if errors.As(err, &f) {
		r.Stage = f.stage
	}
	var errno unix.Errno
	if errors.As(err, &errno) {
		r.Errno = unix.ErrnoName(errno)
	}
	return r
}
