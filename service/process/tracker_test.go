package process

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sekisho/app/flow"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// Events of pids that no machine has: all must come from them, nothing from /proc.
func TestEventsAlone(t *testing.T) {
	var ended []flow.ProcessID
	now := noon
	tr := tracker(t, Config{Exited: func(id flow.ProcessID) { ended = append(ended, id) }, Now: func() time.Time { return now }})
	shell, child, grandchild := pid(1), pid(2), pid(3)
	tr.Exec(Exec{ID: shell, UID: 0, Path: "/usr/bin/bash", Args: []string{"bash"}, Dir: "/root", Executable: flow.Executable{Inode: 1}})
	tr.Fork(child, shell, now)

	p, ok := tr.Find(child)
	if !ok || p.Path != "/usr/bin/bash" || !slices.Equal(p.Args, []string{"bash"}) || p.Dir != "/root" || p.Executable.Inode != 1 || p.User != "root" {
		t.Fatalf("a forked child is %+v", p)
	}
	if chain(p) != "/usr/bin/bash bash" || p.Parents[0].ProcessID != shell {
		t.Errorf("parents %v", p.Parents)
	}
	if again, _ := tr.Find(child); again != p {
		t.Error("the snapshot is not shared")
	}
	tr.Exec(Exec{ID: child, Parent: shell, UID: 7, Path: "/usr/bin/python3.11", Args: []string{"python3", "x.py"}, Dir: "/opt/app"})
	tr.Fork(grandchild, child, now)
	tr.Exec(Exec{ID: grandchild, Parent: child, UID: 7, Path: "/usr/bin/curl", Args: []string{"curl", "x"}, Dir: "/opt/app"})
	if p, _ = tr.Find(grandchild); p.Path != "/usr/bin/curl" || p.Name != "curl" || p.UID != 7 || chain(p) != "/usr/bin/python3.11 x.py, /usr/bin/bash bash" {
		t.Errorf("grandchild %+v", p)
	}
	if p, _ = tr.Find(child); p.Script != "/opt/app/x.py" || p.Inline || p.Key() != "/usr/bin/python3.11\x00/opt/app/x.py" {
		t.Errorf("child %+v", p)
	}
	if got := tr.Running("/usr/bin/curl"); !slices.Equal(got, []flow.ProcessID{grandchild}) {
		t.Errorf("running %v", got)
	}

	tr.Exit(child)
	tr.Exit(child)
	tr.Exit(grandchild)
	if !slices.Equal(ended, []flow.ProcessID{child, grandchild}) {
		t.Errorf("ended %v", ended)
	}
	if got := tr.Running("/usr/bin/curl"); got != nil {
		t.Errorf("running after its end: %v", got)
	}
	tr.Prune(now.Add(Keep - 1))
	if got := path(tr.Find(grandchild)); got != "/usr/bin/curl" {
		t.Errorf("ended process is %s", got)
	}
	tr.Prune(now.Add(Keep))
	if got := path(tr.Find(grandchild)); got != "-" {
		t.Errorf("ended process is still %s", got)
	}
	if living, gone := tr.Len(); living != 1 || gone != 0 {
		t.Errorf("%d living, %d ended", living, gone)
	}
}

// What started a process is what its parent ran then, also when the parent has ended
// and is long forgotten, or runs something else.
func TestParentsAreThoseOfTheFork(t *testing.T) {
	now := noon
	tr := tracker(t, Config{Now: func() time.Time { return now }})
	tr.Exec(Exec{ID: pid(1), Path: "/usr/bin/sh"})
	tr.Fork(pid(2), pid(1), now)
	tr.Exec(Exec{ID: pid(2), Path: "/home/u/downloader"})
	tr.Fork(pid(3), pid(2), now)
	tr.Exec(Exec{ID: pid(2), Path: "/usr/bin/firefox"})
	tr.Exec(Exec{ID: pid(3), Parent: pid(1), Path: "/home/u/stage2"})
	tr.Exit(pid(2))
	tr.Exit(pid(1))
	tr.Prune(now.Add(time.Hour))
	p, ok := tr.Find(pid(3))
	if !ok || chain(p) != "/home/u/downloader downloader, /usr/bin/sh sh" {
		t.Errorf("parents %q", chain(p))
	}
}

func TestParentsAreBounded(t *testing.T) {
	tr := tracker(t, Config{})
	for i := range uint32(40) {
		tr.Fork(pid(i+1), pid(i), noon)
		tr.Exec(Exec{ID: pid(i + 1), Path: fmt.Sprintf("/bin/p%d", i+1)})
	}
	p, _ := tr.Find(pid(40))
	if len(p.Parents) != MaxParents || p.Parents[0].Path != "/bin/p39" || p.Parents[MaxParents-1].Path != "/bin/p24" {
		t.Errorf("%d parents: %s", len(p.Parents), chain(p))
	}
}

func TestReusedNumber(t *testing.T) {
	var ended []flow.ProcessID
	tr := tracker(t, Config{Exited: func(id flow.ProcessID) { ended = append(ended, id) }})
	old := flow.ProcessID{PID: 4_000_001, Start: 10}
	young := flow.ProcessID{PID: 4_000_001, Start: 20}
	tr.Exec(Exec{ID: old, Path: "/bin/old"})
	tr.Exec(Exec{ID: young, Path: "/bin/young"}) // the exit of old was missed
	if !slices.Equal(ended, []flow.ProcessID{old}) {
		t.Errorf("ended %v", ended)
	}
	if a, b := path(tr.Find(old)), path(tr.Find(young)); a != "/bin/old" || b != "/bin/young" {
		t.Errorf("%s and %s", a, b)
	}
	tr.Exit(old) // it comes after all
	if got := tr.Running("/bin/young"); len(got) != 1 || len(ended) != 1 {
		t.Errorf("running %v, ended %v", got, ended)
	}
	// An event that is later than its process must not end the one that lives.
	tr.Fork(flow.ProcessID{PID: 4_000_001, Start: 5}, pid(0), noon)
	if got := tr.Running("/bin/young"); len(got) != 1 {
		t.Errorf("running %v", got)
	}
	if _, ok := tr.Find(flow.ProcessID{PID: 4_000_001, Start: 15}); ok {
		t.Error("a process that never was is found")
	}
}

func TestBounds(t *testing.T) {
	tr := tracker(t, Config{Max: 8})
	for i := range uint32(8) {
		tr.Exec(Exec{ID: pid(i), Path: fmt.Sprint("/bin/p", i)})
	}
	tr.Exit(pid(5))
	tr.Exit(pid(3))
	tr.Exec(Exec{ID: pid(8), Path: "/bin/p8"})
	tr.Exec(Exec{ID: pid(9), Path: "/bin/p9"})
	tr.Exec(Exec{ID: pid(10), Path: "/bin/p10"}) // all live: the one known the longest goes
	for i, want := range []string{"-", "/bin/p1", "/bin/p2", "-", "/bin/p4", "-", "/bin/p6", "/bin/p7", "/bin/p8", "/bin/p9", "/bin/p10"} {
		if got := path(tr.Find(pid(uint32(i)))); got != want {
			t.Errorf("%d is %s, want %s", i, got, want)
		}
	}

	tr.Exec(Exec{ID: pid(20), Path: "/bin/x", Args: []string{"x", strings.Repeat("a", 3*MaxArgs), "end"}})
	p, _ := tr.Find(pid(20))
	if n := len(strings.Join(p.Args, "\x00")) + 1; n != MaxArgs || len(p.Args) != 2 {
		t.Errorf("%d bytes in %d arguments were kept", n, len(p.Args))
	}
	tr.Exec(Exec{ID: pid(21), Path: "/bin/x", Args: make([]string, 3*MaxArgs)})
	if p, _ = tr.Find(pid(21)); len(p.Args) != maxArgCount {
		t.Errorf("%d empty arguments were kept", len(p.Args))
	}
}

// Children that have exited by the time that anybody looks: the test says what the
// kernel would, /proc knows nothing any more.
func TestGoneBeforeAnybodyLooks(t *testing.T) {
	tr := tracker(t, Config{})
	self := idOf(t, os.Getpid())
	tr.Seed([]Exec{{ID: self, UID: uint32(os.Getuid()), Executable: executable(t, "/proc/self/exe")}})
	file := which(t, "true")
	exe := executable(t, file)
	var ids []flow.ProcessID
	for i := range 50 {
		cmd := exec.Command(file, fmt.Sprint("--", i))
		start := bootTime()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		id := flow.ProcessID{PID: uint32(cmd.Process.Pid), Start: start}
		tr.Fork(id, self, time.Now())
		tr.Exec(Exec{ID: id, Parent: self, Path: file, Executable: exe, Args: cmd.Args, Dir: "/"})
		if err := cmd.Wait(); err != nil {
			t.Fatal(err)
		}
		tr.Exit(id)
		ids = append(ids, id)
	}
	me, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for i, id := range ids {
		p, ok := tr.Find(id)
		if !ok || p.Path != file || p.Executable != exe || p.Args[1] != fmt.Sprint("--", i) {
			t.Fatalf("child %d is %+v", i, p)
		}
		if len(p.Parents) == 0 || p.Parents[0].Path != me {
			t.Errorf("parents of child %d: %s", i, chain(p))
		}
	}
}

// All methods at once; the race detector and the checks below look on.
func TestManyGoroutines(t *testing.T) {
	tr := tracker(t, Config{Max: 300})
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range 3 {
		wg.Go(func() {
			for i := uint32(0); ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				if p, ok := tr.Find(pid(i % 500)); ok && p.Path != "/bin/a" && p.Path != fmt.Sprint("/bin/p", i%500) {
					t.Errorf("process %d is %s", i%500, p.Path)
					return
				}
				tr.Running("/bin/a")
				tr.Prune(time.Now())
			}
		})
	}
	tr.Exec(Exec{ID: pid(1000), Path: "/bin/a"})
	for i := range uint32(500) {
		tr.Fork(pid(i), pid(1000), noon)
		tr.Exec(Exec{ID: pid(i), Path: fmt.Sprint("/bin/p", i)})
		if i%2 == 0 {
			tr.Exit(pid(i))
		}
	}
	close(stop)
	wg.Wait()
}

func BenchmarkFind(b *testing.B) {
	tr := tracker(b, Config{})
	for i := range uint32(1000) {
		tr.Fork(pid(i+1), pid(i/2), noon)
		tr.Exec(Exec{ID: pid(i + 1), Path: "/bin/a", Args: []string{"a"}})
	}
	tr.Find(pid(900))
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := tr.Find(pid(900)); !ok {
			b.Fatal("lost")
		}
	}
}

func BenchmarkFirstFind(b *testing.B) {
	tr := tracker(b, Config{})
	self := idOf(b, os.Getpid())
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		tr.Exec(Exec{ID: self, Path: "/bin/a", Args: []string{fmt.Sprint(i)}})
		tr.Find(self)
	}
}

func BenchmarkForkExecExit(b *testing.B) {
	tr := tracker(b, Config{Max: 4096})
	tr.Exec(Exec{ID: pid(0), Path: "/bin/sh"})
	args := []string{"curl", "https://example.com/"}
	b.ReportAllocs()
	i := uint32(0)
	for b.Loop() {
		i++
		tr.Fork(pid(i), pid(0), noon)
		tr.Exec(Exec{ID: pid(i), Parent: pid(0), Path: "/usr/bin/curl", Args: args, Dir: "/"})
		tr.Exit(pid(i))
	}
}
