// Attack is a program for tests: it tries to get packets out as another program, or as
// none. Its copy at the path of an allowed program is that program, which obeys: see
// agent.go. What an attacker sends begins with "evil", what the allowed program sends
// with "good", so that the wire shows whose it was.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"time"
)

// plan is one way to attack.
type plan func(o options) error

var plans = map[string]plan{
	"agent":          agentMain,
	"send":           sendOnly,
	"send-on":        sendOn,
	"late":           late,
	"passed":         passed,
	"shared":         shared,
	"corked":         corked,
	"twin":           twin,
	"threads":        threads,
	"become":         become,
	"alternate":      alternate,
	"pretend":        pretend,
	"nameless":       nameless,
	"in-flight":      inFlight,
	"hear-in-flight": hearInFlight,
	"idle":           func(o options) error { time.Sleep(o.hold); return nil },
}

type options struct {
	kind   string
	target netip.AddrPort
	good   string // the allowed program's path
	how    string
	used   bool // the allowed program has used the socket before
	orphan bool // the allowed program ends before its socket is used
	wait   bool // send when a line comes on standard input
	n      int
	agents int
	delay  time.Duration
	hold   time.Duration
}

func main() {
	var o options
	flag.StringVar(&o.kind, "kind", "udp", "socket: tcp, udp, udp-connected, udplite, raw or ping")
	flag.StringVar(&o.good, "good", "", "path of the allowed program")
	flag.StringVar(&o.how, "how", "", "variant of the plan")
	flag.BoolVar(&o.used, "used", false, "the allowed program uses the socket first")
	flag.BoolVar(&o.orphan, "orphan", false, "the allowed program ends first")
	flag.BoolVar(&o.wait, "wait", false, "wait for a line of input before sending")
	flag.IntVar(&o.n, "n", 1, "how often")
	flag.IntVar(&o.agents, "agents", 1, "how many allowed processes share the socket")
	flag.DurationVar(&o.delay, "delay", 0, "wait this long first")
	flag.DurationVar(&o.hold, "hold", 0, "stay this long afterwards")
	target := flag.String("target", "", "ADDRESS:PORT")
	flag.Parse()
	do := plans[flag.Arg(0)]
	if do == nil {
		fmt.Fprintln(os.Stderr, "attack: no such plan:", flag.Args())
		os.Exit(2)
	}
	if *target != "" {
		var err error
		if o.target, err = netip.ParseAddrPort(*target); err != nil {
			fmt.Fprintln(os.Stderr, "attack:", err)
			os.Exit(2)
		}
	}
	time.Sleep(o.delay)
	// A refusal is an answer too, and goes to whoever watches.
	if err := do(o); err != nil {
		fmt.Println(err)
		time.Sleep(o.hold)
		os.Exit(1)
	}
	fmt.Println("done")
	time.Sleep(o.hold)
}

// ready says on standard output that everything is prepared, and waits for the line.
func (o options) ready() error {
	if !o.wait {
		return nil
	}
	fmt.Println("ready")
	_, err := bufio.NewReader(os.Stdin).ReadString('\n')
	return err
}

// again are the flags for a copy of this program that goes on with the same attack.
func (o options) again(plan string, more ...string) []string {
	return append(append([]string{"-kind", o.kind, "-target", o.target.String(), "-good", o.good,
		"-n", fmt.Sprint(o.n), "-hold", o.hold.String(), fmt.Sprintf("-wait=%v", o.wait)}, more...), plan)
}
