package process

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sekisho/app/flow"
)

// asSeen is what the kernel's task iterator says of a living process.
func asSeen(t *testing.T, pid int) Exec {
	t.Helper()
	st, ok := procfs("/proc").stat(uint32(pid))
	if !ok {
		t.Fatalf("process %d is gone", pid)
	}
	e := Exec{ID: idOf(t, pid), UID: uint32(os.Getuid())}
	if st.parent != 0 {
		e.Parent = idOf(t, int(st.parent))
	}
	if st.flags&kernelThread == 0 {
		e.Executable = executable(t, procfs("/proc").file(uint32(pid), "exe"))
	}
	return e
}

func TestSeed(t *testing.T) {
	dir := t.TempDir()
	shell := which(t, "sh")
	script := write(t, filepath.Join(dir, "wait.sh"), "read x\n", 0o644)
	cmd := begin(t, dir, shell, "wait.sh", "one", "two")
	tr := tracker(t, Config{})
	seen := asSeen(t, cmd.Process.Pid)
	me := asSeen(t, os.Getpid())
	gone := exec.Command(which(t, "true"))
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	dead := Exec{ID: flow.ProcessID{PID: uint32(gone.Process.Pid), Start: bootTime()}, Executable: flow.Executable{Inode: 5}}
	tr.Seed([]Exec{seen, dead, me}) // children before parents

	p, ok := tr.Find(seen.ID)
	if !ok || p.Path != shell || p.Executable != seen.Executable || p.Dir != dir || p.Script != script ||
		!slices.Equal(p.Args, []string{shell, "wait.sh", "one", "two"}) {
		t.Fatalf("the shell is %+v", p)
	}
	if exe, _ := os.Executable(); len(p.Parents) == 0 || p.Parents[0].Path != exe || p.Parents[0].ProcessID != me.ID {
		t.Errorf("parents %q", chain(p))
	}
	if living, ended := tr.Len(); living != 2 || ended != 1 {
		t.Errorf("%d living and %d ended, want 2 and 1", living, ended)
	}
}

// A container has no kernel threads, so this procfs is made up.
func TestKernelThread(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "2/stat"), "2 (kthreadd) S 0 0 0 0 -1 2129984 0 0 0 0 0 0 0 0 20 0 1 0 1 0 0", 0o644)
	write(t, filepath.Join(dir, "2/status"), "Name:\tkthreadd\nUid:\t0\t0\t0\t0\n", 0o644)
	id := flow.ProcessID{PID: 2, Start: tick}
	for name, seed := range map[string][]Exec{"seeded": {{ID: id}}, "found": nil} {
		tr := tracker(t, Config{Proc: dir})
		tr.Seed(seed)
		if p, ok := tr.Find(id); !ok || !p.Kernel || p.Name != "kthreadd" || p.Path != "" || p.Inline {
			t.Errorf("%s: kthreadd is %+v", name, p)
		}
	}
}

// Events are newer than what the iterator saw.
func TestSeedAfterEvents(t *testing.T) {
	tr := tracker(t, Config{})
	self := asSeen(t, os.Getpid())
	tr.Exec(Exec{ID: self.ID, Path: "/bin/newer"})
	tr.Seed([]Exec{self})
	if got := path(tr.Find(self.ID)); got != "/bin/newer" {
		t.Errorf("it is %s", got)
	}
	// A fork from before the look at its parent says not what the parent ran then.
	tr = tracker(t, Config{})
	tr.Seed([]Exec{self})
	early := flow.ProcessID{PID: 4_000_001, Start: self.ID.Start + 1}
	tr.Fork(early, self.ID, time.Now())
	if p, ok := tr.Find(early); ok {
		t.Errorf("a child from before is taken for %s", p.Path)
	}
	late := flow.ProcessID{PID: 4_000_002, Start: bootTime()}
	tr.Fork(late, self.ID, time.Now())
	if exe, _ := os.Executable(); path(tr.Find(late)) != exe {
		t.Errorf("a child from after is %s", path(tr.Find(late)))
	}
}

func TestFindInProc(t *testing.T) {
	dir := t.TempDir()
	shell := which(t, "sh")
	script := write(t, filepath.Join(dir, "wait.sh"), "read x\n", 0o644)
	cmd := begin(t, dir, shell, script)
	tr := tracker(t, Config{})
	id := idOf(t, cmd.Process.Pid)
	p, ok := tr.Find(id)
	if !ok || p.Path != shell || p.Script != script || p.Dir != dir || p.UID != uint32(os.Getuid()) {
		t.Fatalf("found %+v", p)
	}
	if !p.Executable.IsZero() {
		t.Error("/proc is taken for proof of identity")
	}
	if exe, _ := os.Executable(); len(p.Parents) == 0 || p.Parents[0].Path != exe {
		t.Errorf("parents %q", chain(p))
	}
	for _, other := range []uint64{id.Start + 2*tick, id.Start - 2*tick, 0} {
		if p, ok := tr.Find(flow.ProcessID{PID: id.PID, Start: other}); ok {
			t.Errorf("another process of that number is taken for %+v", p)
		}
	}
	// A parent that is known by event has its exact name.
	self := asSeen(t, os.Getpid())
	self.ID.Start += 777
	tr.Exec(Exec{ID: self.ID, Path: "/bin/me"})
	if p, _ = tr.Find(id); p.Parents[0].ProcessID != self.ID || p.Parents[0].Path != "/bin/me" {
		t.Errorf("parents %v", p.Parents)
	}
	// A fork whose parent nobody knows is filled in.
	tr = tracker(t, Config{})
	tr.Fork(id, pid(1), time.Now())
	if got := path(tr.Find(id)); got != shell {
		t.Errorf("filled in as %s", got)
	}
	if got := tr.Running(shell); !slices.Equal(got, []flow.ProcessID{id}) {
		t.Errorf("running %v", got)
	}
}

// An event without a path is completed, if the process still runs that very file.
func TestEventWithoutAPath(t *testing.T) {
	file := which(t, "cat")
	cmd := begin(t, "/", file)
	id := idOf(t, cmd.Process.Pid)
	exe := executable(t, file)
	for _, want := range []string{file, ""} {
		tr := tracker(t, Config{})
		tr.Exec(Exec{ID: id, Executable: exe})
		if p, ok := tr.Find(id); !ok || p.Path != want || p.Executable != exe {
			t.Errorf("found %+v, want path %q", p, want)
		}
		exe.Inode++
	}
}

func TestProcessWithoutItsFile(t *testing.T) {
	dir := t.TempDir()
	b, err := os.ReadFile(which(t, "cat"))
	if err != nil {
		t.Fatal(err)
	}
	file := write(t, filepath.Join(dir, "prog (deleted)"), string(b), 0o755)
	cmd := begin(t, dir, file)
	tr := tracker(t, Config{})
	id := idOf(t, cmd.Process.Pid)
	if got := path(tr.Find(id)); got != file {
		t.Errorf("a file of that name is %q", got)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if got := path(tr.Find(id)); got != file {
		t.Errorf("a deleted file is %q", got)
	}
}

func TestParseStat(t *testing.T) {
	rest := " S 7 1 1 0 -1 2097152 0 0 0 0 0 0 0 0 20 0 1 0 4242 0 0"
	for in, want := range map[string]stat{
		"12 (a b) c) x)" + rest: {"a b) c) x", 7, 2097152, 4242},
		"12 ()" + rest:          {"", 7, 2097152, 4242},
	} {
		if got, ok := parseStat([]byte(in)); !ok || got != want {
			t.Errorf("%q: %+v, %v", in, got, ok)
		}
	}
	for _, in := range []string{"", "12 (a", "12 (a) S 1", ") (", "12 (a)" + strings.Replace(rest, "4242", "x", 1)} {
		if got, ok := parseStat([]byte(in)); ok {
			t.Errorf("%q: %+v", in, got)
		}
	}
}
