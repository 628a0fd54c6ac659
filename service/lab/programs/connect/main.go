// Connect is a program for tests: it opens connections as it is told and prints what
// happened to each, one JSON object a line. It makes its system calls itself, so that
// the errors and times are the kernel's.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"
)

const usage = `usage: connect [flags] MODE TARGET
MODE is how: tcp, udp (connect, then send), udp-unconnected (sendto), dns+tcp or
dns+udp (look the name up first), ping (ICMP echo), udplite or raw (open a socket only).
TARGET is ADDRESS:PORT, [ADDRESS]:PORT, NAME:PORT for dns+…, an address for ping.
`

type options struct {
	mode, target string
	count        int
	every        time.Duration
	hold         time.Duration
	timeout      time.Duration
	source       int
	send         string
	echo         bool
	reset        bool
	exitAtOnce   bool
	six          bool
	server       string
}

// result is a line of output. Times are in nanoseconds.
type result struct {
	N       int       `json:"n"`
	PID     int       `json:"pid"`
	OK      bool      `json:"ok"`
	Stage   string    `json:"stage,omitempty"` // where it failed: lookup, socket, bind, connect, send, receive
	Errno   string    `json:"errno,omitempty"` // ECONNREFUSED, EPERM, …
	Error   string    `json:"error,omitempty"`
	Start   time.Time `json:"start"`
	Lookup  int64     `json:"lookup_ns,omitempty"`
	Connect int64     `json:"connect_ns,omitempty"` // connect(), or sendto() when unconnected
	Total   int64     `json:"total_ns"`
	Local   string    `json:"local,omitempty"`
	Remote  string    `json:"remote,omitempty"`
	Reply   string    `json:"reply,omitempty"`
}

func main() {
	var o options
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), usage)
		flag.PrintDefaults()
	}
	flag.IntVar(&o.count, "count", 1, "how many connections, one after the other")
	flag.DurationVar(&o.every, "every", 0, "pause between them")
	flag.DurationVar(&o.hold, "hold", 0, "keep all of them open this long after the last")
	flag.DurationVar(&o.timeout, "timeout", 150*time.Second, "give up after this long (0: the kernel's own time)")
	flag.IntVar(&o.source, "source", 0, "source port")
	flag.StringVar(&o.send, "send", "hello", "what to send")
	flag.BoolVar(&o.echo, "echo", false, "wait for what was sent to come back")
	flag.BoolVar(&o.reset, "reset", false, "end TCP connections with a reset, so that ports are free at once")
	flag.BoolVar(&o.exitAtOnce, "exit-at-once", false, "begin one TCP connection or send one datagram and exit without waiting")
	flag.StringVar(&o.server, "server", "", "look names up at this address instead of the system's name servers")
	flag.BoolVar(&o.six, "6", false, "look up IPv6 addresses")
	asTold := flag.Bool("rounds", false, "instead of MODE and TARGET, read rounds of timed TCP connections from the input (see rounds.go)")
	flag.Parse()
	if *asTold {
		if err := rounds(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "connect:", err)
			os.Exit(1)
		}
		return
	}
	if flag.NArg() != 2 || o.count < 1 {
		flag.Usage()
		os.Exit(2)
	}
	o.mode, o.target = strings.ToLower(flag.Arg(0)), flag.Arg(1)
	os.Exit(run(o))
}

// run returns 0 if every connection did what it should, else 1.
func run(o options) int {
	out := json.NewEncoder(os.Stdout)
	code := 0
	for n := range o.count {
		if n > 0 {
			time.Sleep(o.every)
		}
		r := attempt(o, n)
		if !r.OK {
			code = 1
		}
		if err := out.Encode(r); err != nil {
			return 1
		}
	}
	time.Sleep(o.hold)
	return code
}
