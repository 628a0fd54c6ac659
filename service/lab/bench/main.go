// Bench measures what the firewall costs a program that connects, sends and receives,
// what the service costs the machine, and how soon a person is asked, with the real
// service, kernel and system calls between the hosts of a lab, and prints the figures of
// one run side by side with those of a host that has no firewall.
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
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"sekisho/service/lab"
)

// options say what to measure and where things are.
type options struct {
	programs   string // folder with sekishod and sekishoctl
	out        string
	only       string // part; "": all
	benchmarks string // what go test -bench printed; "": none
	rounds     int    // of each side of connect()
	each       int    // connections in a round
	asks       int    // undecided connections for each figure
	scale      float64
	live       int
	starts     int
	rules      int // at the end
}

// report is build/bench.json.
type report struct {
	Time       time.Time   `json:"time"`
	Took       float64     `json:"seconds"`
	Version    string      `json:"version"` // of the service
	Kernel     string      `json:"kernel"`
	Processors int         `json:"processors"`
	Load       string      `json:"load_average"` // when it began
	Targets    []target    `json:"targets"`
	Connect    []connects  `json:"connect"`
	Work       []compared  `json:"work"`
	CPU        cpuCost     `json:"cpu"`
	Memory     []memory    `json:"memory"`
	Start      []start     `json:"start"`
	Ask        []askFigure `json:"ask"`
	Benchmarks []benchmark `json:"go_benchmarks"`
}

// How much memory the service may take.
const (
	idleMemory = 40 << 10 // KiB
	fullMemory = 64 << 10 // with 10,000 rules
)

func main() {
	var o options
	flag.StringVar(&o.programs, "programs", "build", "folder of the service and the command line")
	flag.StringVar(&o.out, "o", "build/bench.json", "file for the figures")
	flag.StringVar(&o.only, "only", "", "measure one `part`: "+strings.Join(parts(), ", ")+" (default: all)")
	flag.StringVar(&o.benchmarks, "benchmarks", "", "file with what go test -bench printed, to put beside them")
	flag.IntVar(&o.rounds, "rounds", 80, "rounds of connect() of each side")
	flag.IntVar(&o.each, "each", 200, "connections in a round, at most 2000")
	flag.IntVar(&o.asks, "asks", 20, "undecided connections for each figure about asking")
	flag.Float64Var(&o.scale, "scale", 1, "how many times the usual rounds of everything else")
	flag.IntVar(&o.live, "live", 100_000, "connections that are open at the same time, at most 100000")
	flag.IntVar(&o.rules, "rules", 10_000, "rules that the service has at the end; a tenth of them before")
	flag.IntVar(&o.starts, "starts", 5, "starts of the service for each figure")
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
	if o.rounds < 1 || o.each < 1 || o.each > 2000 || o.asks < 1 || o.scale <= 0 || o.live < 1 || o.live > 100_000 || o.starts < 1 || o.rules < 100 {
		return errors.New("all numbers are positive, each is at most 2000, live at most 100000 and rules at least 100")
	}
	if o.only != "" && !slices.Contains(parts(), o.only) {
		return fmt.Errorf("there is no part %q: want one of %s", o.only, strings.Join(parts(), ", "))
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
	r.Took = time.Since(r.Time).Seconds()
	r.Targets = r.targets()
	if err := r.print(os.Stdout); err != nil {
		return err
	}
	return r.save(o.out)
}

// parts lists what -only may name.
func parts() []string {
	all := []string{"start", "idle", "connect"}
	for _, w := range works(1) {
		all = append(all, w.name)
	}
	return append(all, "ask", "live")
}

func (o options) wants(part string) bool { return o.only == "" || o.only == part }

// measure fills in all that a lab is needed for.
func measure(s *lab.Stage, o options, r *report) {
	sc := newScene(s, o)
	r.Version = sc.status().Version
	sc.addRules(1)
	sc.measureService(o, r, "idle", idleMemory)
	c := sc.newCast()
	if o.wants("connect") {
		r.Connect = append(r.Connect, sc.connects(c.sides(true), sc.status().Rules, o.rounds, o.each))
	}
	for _, w := range works(o.scale) {
		var cpu *cpuCost
		if w.name == "rate" {
			cpu = &r.CPU
		}
		if o.wants(w.name) {
			r.Work = append(r.Work, sc.compareWork(w, c, cpu))
		}
	}
	if o.wants("ask") {
		r.Ask = sc.asks(o)
	}
	if o.wants("live") {
		r.Memory = append(r.Memory, sc.live(c, o.live)...)
	}
	if o.wants("connect") {
		for _, rules := range []int{o.rules / 10, o.rules} {
			sc.addRules(rules)
			r.Connect = append(r.Connect, sc.connects(c.sides(false), rules, max(1, o.rounds/2), o.each))
		}
	}
	sc.endCast(c)
	if o.wants("start") || o.wants("idle") {
		sc.addRules(o.rules)
		sc.measureService(o, r, fmt.Sprintf("idle with %d rules", o.rules), fullMemory)
	}
}

// measureService measures how the service starts and what it takes then.
func (sc *scene) measureService(o options, r *report, when string, target int) {
	if o.wants("start") {
		r.Start = append(r.Start, sc.starts(o, o.starts)...)
	}
	if o.wants("idle") {
		sc.service.Restart() // not what it took to get its rules
		time.Sleep(time.Second)
		r.Memory = append(r.Memory, sc.memory(when, target))
	}
}

func (r *report) print(w io.Writer) error {
	var errs []error
	for _, c := range r.Connect {
		errs = append(errs, c.print(w))
	}
	if len(r.Work) > 0 {
		errs = append(errs, printCompared(w, r.Work))
	}
	if r.CPU.Connections > 0 {
		r.CPU.print(w)
	}
	if len(r.Memory) > 0 {
		errs = append(errs, printMemory(w, r.Memory))
	}
	if len(r.Start) > 0 {
		errs = append(errs, printStarts(w, r.Start))
	}
	if len(r.Ask) > 0 {
		errs = append(errs, printAsks(w, r.Ask))
	}
	errs = append(errs, printTargets(w, r.Targets))
	fmt.Fprintf(w, "\nMeasured in %.0f s; load average before it: %s\n", r.Took, r.Load)
	return errors.Join(errs...)
}

// save writes the figures to a file that belongs to the person behind sudo.
func (r *report) save(file string) error {
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
