// Bench measures what the firewall costs a program that connects and how soon a person
// is asked, with the real service, kernel and system calls between the hosts of a lab,
// and prints the figures of one run side by side.
//
// It holds nothing to its targets: this machine's speed is not the project's. It fails
// when what it measured is not what it says, such as an allowed connection that visited
// the queue. One goroutine does everything but to follow the service's prompts.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"sekisho/service/lab"
)

// options say what to measure and where things are.
type options struct {
	programs   string // folder with sekishod and sekishoctl
	out        string
	benchmarks string // what go test -bench printed; "": none
	rounds     int    // of each side
	each       int    // connections in a round
	asks       int    // undecided connections for each figure
}

// report is build/bench.json.
type report struct {
	Time       time.Time   `json:"time"`
	Version    string      `json:"version"` // of the service
	Kernel     string      `json:"kernel"`
	Processors int         `json:"processors"`
	Load       string      `json:"load_average"` // when it began
	Connect    connects    `json:"connect"`
	Ask        []askFigure `json:"ask"`
	Benchmarks []benchmark `json:"go_benchmarks"`
}

func main() {
	var o options
	flag.StringVar(&o.programs, "programs", "build", "folder of the service and the command line")
	flag.StringVar(&o.out, "o", "build/bench.json", "file for the figures")
	flag.StringVar(&o.benchmarks, "benchmarks", "", "file with what go test -bench printed, to put beside them")
	flag.IntVar(&o.rounds, "rounds", 120, "rounds of each side")
	flag.IntVar(&o.each, "each", 200, "connections in a round, at most 2000")
	flag.IntVar(&o.asks, "asks", 25, "undecided connections for each figure about asking")
	flag.Parse()
	if err := o.run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func (o options) run() error {
	if os.Geteuid() != 0 {
		return errors.New("control groups and network namespaces need root: use make bench")
	}
	if o.rounds < 1 || o.each < 1 || o.each > 2000 || o.asks < 1 {
		return errors.New("rounds, each and asks are positive, and each is at most 2000")
	}
	r := report{Time: time.Now().UTC().Truncate(time.Second), Kernel: kernelRelease(), Processors: runtime.NumCPU(), Load: loadAverage()}
	if o.benchmarks != "" {
		f, err := os.Open(o.benchmarks)
		if err != nil {
			return err
		}
		defer f.Close()
		if r.Benchmarks, err = readBenchmarks(f); err != nil {
			return fmt.Errorf("%s: %w", o.benchmarks, err)
		}
	}
	if !lab.Perform("bench", func(s *lab.Stage) { measure(s, o, &r) }) {
		return errors.New("there are no figures")
	}
	if err := r.print(os.Stdout); err != nil {
		return err
	}
	return r.save(o.out)
}

// measure fills in all that a lab is needed for.
func measure(s *lab.Stage, o options, r *report) {
	sc := newScene(s, o)
	r.Version = sc.status().Version
	r.Connect = sc.connects(o)
	r.Ask = sc.asks(o)
}

func (r report) print(w io.Writer) error {
	return errors.Join(r.Connect.print(w), printAsks(w, r.Ask))
}

// save writes the figures to a file that belongs to the person behind sudo.
func (r report) save(file string) error {
	b, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(file, append(b, '\n'), 0o644); err != nil {
		return err
	}
	uid, uidErr := strconv.Atoi(os.Getenv("SUDO_UID"))
	gid, gidErr := strconv.Atoi(os.Getenv("SUDO_GID"))
	if uidErr == nil && gidErr == nil {
		if err := os.Chown(file, uid, gid); err != nil {
			return err
		}
	}
	fmt.Println("Written to", file)
	return nil
}

func kernelRelease() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return ""
	}
	return unix.ByteSliceToString(u.Release[:])
}

func loadAverage() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return ""
	}
	var one, five, fifteen string
	if _, err := fmt.Sscan(string(b), &one, &five, &fifteen); err != nil {
		return ""
	}
	return one + " " + five + " " + fifteen
}

// monotonic is now on the clock that the lab's programs use too.
func monotonic() time.Duration {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) != nil {
		return 0
	}
	return time.Duration(t.Nano())
}
