package main

import (
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"

	"sekisho/app/rule"
)

// cpuTimes is processor time that was used until now.
type cpuTimes struct{ service, system time.Duration }

func (t cpuTimes) since(b cpuTimes) cpuTimes {
	return cpuTimes{t.service - b.service, t.system - b.system}
}

// cpuCost is processor time by side, for connections made with 8 workers and what the
// service does about them afterwards.
type cpuCost struct {
	Connections int    `json:"connections"` // of each side
	Service     micros `json:"service_us_per_10000"`
	Bare        micros `json:"system_bare_us_per_10000"` // all that the machine does
	Allowed     micros `json:"system_allowed_us_per_10000"`

	sums [2]cpuTimes
}

func (c *cpuCost) add(side int, t cpuTimes, connections int) {
	c.sums[side].service += t.service
	c.sums[side].system += t.system
	if side == 1 {
		c.Connections += connections
	}
	per := func(d time.Duration) micros { return micros(float64(d) * 10_000 / float64(max(1, c.Connections))) }
	c.Service, c.Bare, c.Allowed = per(c.sums[1].service), per(c.sums[0].system), per(c.sums[1].system)
}

// cpuTimes reads the service's threads' times, to the nanosecond, and the machine's, to
// the tick.
func (sc *scene) cpuTimes() cpuTimes {
	var t cpuTimes
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", sc.service.PID()))
	sc.s.Must("list the service's threads", err)
	for _, file := range threads {
		b, err := os.ReadFile(file)
		if err != nil {
			continue // it ended
		}
		ran, _, _ := strings.Cut(string(b), " ")
		ns, err := strconv.ParseInt(ran, 10, 64)
		sc.s.Must("read "+file, err)
		t.service += time.Duration(ns)
	}
	b, err := os.ReadFile("/proc/stat")
	sc.s.Must("read the machine's times", err)
	line, _, _ := strings.Cut(string(b), "\n")
	for i, field := range strings.Fields(line)[1:] {
		if i == 3 || i == 4 || i > 6 { // idle, waiting for a disk, and what others took
			continue
		}
		ticks, err := strconv.ParseInt(field, 10, 64)
		sc.s.Must("read the machine's times", err)
		t.system += time.Duration(ticks) * (time.Second / 100) // USER_HZ
	}
	return t
}

// memory is what the service holds of the machine's.
type memory struct {
	When string `json:"when"`
	// RSS counts every page that is mapped, PSS a page that is mapped twice, such as the
	// ring of events, once. Anonymous is the part that is the service's alone.
	RSS       int     `json:"rss_kib"`
	PSS       int     `json:"pss_kib"`
	Anonymous int     `json:"anonymous_kib"`
	Target    int     `json:"target_rss_kib,omitempty"`
	Took      float64 `json:"seconds,omitempty"` // to get there
}

func (sc *scene) memory(when string, target int) memory {
	read := func(file string) map[string]int {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", sc.service.PID(), file))
		sc.s.Must("read the service's memory", err)
		all := map[string]int{}
		for line := range strings.Lines(string(b)) {
			if f := strings.Fields(line); len(f) == 3 && f[2] == "kB" {
				all[strings.TrimSuffix(f[0], ":")], err = strconv.Atoi(f[1])
				sc.s.Must("read the service's memory", err)
			}
		}
		return all
	}
	status, maps := read("status"), read("smaps_rollup")
	return memory{When: when, RSS: status["VmRSS"], PSS: maps["Pss"], Anonymous: status["RssAnon"], Target: target}
}

// live holds n connections at once, each to an address of its own.
func (sc *scene) live(c *cast, n int) []memory {
	sc.awaitConnections("before", 0)
	began := time.Now()
	holders := sc.hold(c, n)
	took := time.Since(began)
	time.Sleep(2 * time.Second) // the service reads what the kernel tells on a timer
	// Before they are listed, which takes memory too.
	held := sc.memory(fmt.Sprintf("%d live connections", n), 0)
	held.Took = took.Seconds()
	sc.awaitConnections("hold", n)
	for _, h := range holders {
		sc.time("drop", h, round{Kind: "drop"})
		sc.s.Must("end", h.quit())
	}
	sc.clear()
	sc.awaitConnections("drop", 0)
	time.Sleep(25 * time.Second) // the service gives back what it needs no more every ten
	return []memory{held, sc.memory("25 s after they ended", 0)}
}

// hold has as many processes of the allowed program hold n connections as it takes: one
// may not open that many files.
func (sc *scene) hold(c *cast, n int) (holders []*runner) {
	var limit unix.Rlimit
	sc.s.Must("look how many files a process may open", unix.Getrlimit(unix.RLIMIT_NOFILE, &limit))
	most := int(min(limit.Max, 1<<20)) - 200
	to := everywhere.Addr().Next()
	for n > 0 {
		r := round{Kind: "hold", Count: min(n, most), Target: netip.AddrPortFrom(to, port), Spread: true}
		h := sc.run(c.allowedProgram, true)
		holders = append(holders, h)
		if t := sc.time("hold", h, r); len(t.Errors) > 0 {
			sc.s.Fatalf("hold: ended with %v", t.Errors)
		}
		n -= r.Count
		for range r.Count {
			to = to.Next()
		}
	}
	return holders
}

// awaitConnections waits until the service lists that many.
func (sc *scene) awaitConnections(when string, want int) {
	var n int
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(300 * time.Millisecond) {
		all, err := sc.api.Connections(sc.s.Context())
		sc.s.Must("list connections", err)
		if n = len(all); n == want {
			return
		}
	}
	sc.s.Fatalf("%s: the service lists %d connections, want %d", when, n, want)
}

// start is how long the service takes to be ready.
type start struct {
	What   string `json:"what"`
	Rules  int    `json:"rules"`
	Time   spread `json:"time"`
	Target micros `json:"target_us"`
}

const startTarget = 300 * time.Millisecond

// starts has the service start n times with nothing of it in the kernel, and n times
// where a stopped one left its memory. The first start of the machine's warms its caches.
func (sc *scene) starts(o options, n int) []start {
	rules := sc.status().Rules
	var fresh, again []time.Duration
	once := func(clean bool) time.Duration {
		sc.service.Stop()
		if clean {
			sc.cleanup(o)
		}
		began := time.Now()
		sc.service.Start()
		return time.Since(began)
	}
	once(true)
	for range n {
		again = append(again, once(false))
		fresh = append(fresh, once(true))
	}
	return []start{
		{"exec to ready, first start", rules, spreadOf(fresh), micros(startTarget)},
		{"exec to ready, after a stop", rules, spreadOf(again), micros(startTarget)},
	}
}

// cleanup removes what the stopped service left in the kernel.
func (sc *scene) cleanup(o options) {
	_, err := sc.Home.Command(sc.s.Context(), filepath.Join(o.programs, "sekishod"), "--cleanup", "--state", sc.service.State).Output()
	sc.s.Must("clean up", err)
}

// addRules adds rules of other programs until there are n: mostly for a program and a
// host, some for domains, networks and ports, some for any program.
func (sc *scene) addRules(n int) {
	const programs = 200
	dir := filepath.Join(sc.Dir, "others")
	sc.s.Must("make programs", os.MkdirAll(dir, 0o755))
	for i := range programs {
		path := filepath.Join(dir, strconv.Itoa(i))
		sc.s.Must("make programs", os.WriteFile(path, []byte(path), 0o755))
	}
	var rules []rule.Rule
	for i := sc.status().Rules; i < n; i++ {
		r := rule.Rule{Enabled: true, Action: rule.Allow, Program: rule.Program{Path: filepath.Join(dir, strconv.Itoa(i%programs))}, Lifetime: rule.Lifetime{Kind: rule.Always}}
		switch i % 10 {
		case 0:
			r.Remote.Domain = fmt.Sprintf("domain-%d.example.com", i)
		case 1:
			r.Remote.Network = netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 0}), 24)
		case 2:
			r.Ports = []rule.PortRange{{From: uint16(1 + i), To: uint16(10 + i)}}
		case 3:
			r.Remote.Address = netip.AddrFrom4([4]byte{203, byte(i >> 8), byte(i), 1})
		case 4:
			r.Program, r.Action = rule.Program{}, rule.Block
			r.Remote.Name = fmt.Sprintf("any-%d.example.com", i)
		default:
			r.Remote.Name = fmt.Sprintf("host-%d.example.com", i)
		}
		rules = append(rules, r)
	}
	for part := range slices.Chunk(rules, 1000) {
		file, err := rule.WriteFile(part)
		sc.s.Must("write rules", err)
		_, err = sc.api.ImportRules(sc.s.Context(), file, false)
		sc.s.Must("import rules", err)
	}
	if got := sc.status().Rules; got != n {
		sc.s.Fatalf("the service has %d rules, want %d", got, n)
	}
}

func (c cpuCost) print(w io.Writer) {
	fmt.Fprintf(w, "\nProcessor time for 10,000 connections with 8 workers (of %d): the service %s ms; the machine %s ms without firewall, %s ms with\n",
		c.Connections, ms(c.Service), ms(c.Bare), ms(c.Allowed))
}

func printMemory(w io.Writer, all []memory) error {
	fmt.Fprintf(w, "\nMemory of the service, in MiB\n\n")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "\tRSS\tPSS\tanonymous\tafter s\t\n")
	for _, m := range all {
		took := ""
		if m.Took > 0 {
			took = fmt.Sprintf("%.1f", m.Took)
		}
		fmt.Fprintf(t, "%s\t%.1f\t%.1f\t%.1f\t%s\t\n", m.When, mib(m.RSS), mib(m.PSS), mib(m.Anonymous), took)
	}
	return t.Flush()
}

func mib(kib int) float64 { return float64(kib) / 1024 }

func printStarts(w io.Writer, all []start) error {
	fmt.Fprintf(w, "\nStarting, in ms\n\n")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "\trules\tstarts\tbest\tp50\tmax\t\n")
	for _, s := range all {
		fmt.Fprintf(t, "%s\t%d\t%d\t%s\t%s\t%s\t\n", s.What, s.Rules, s.Time.N, ms(s.Time.Min), ms(s.Time.P50), ms(s.Time.Max))
	}
	return t.Flush()
}
