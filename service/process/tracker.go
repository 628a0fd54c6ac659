package process

import (
	"container/list"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"sekisho/app/flow"
)

const (
	// Keep is how long a process that has ended can still be found.
	Keep = 2 * time.Minute
	// MaxProcesses bounds the processes that are known at one time.
	MaxProcesses = 65536
	// MaxArgs bounds the bytes of arguments that are kept of one process.
	MaxArgs = 4096
	// MaxParents bounds the ancestors that are kept of one process.
	MaxParents = 16

	// settle is how long after its exec a process may still be moved to its cgroup:
	// desktops start a program first and make its scope then.
	settle = 3 * time.Second
)

// Exec is what the kernel knows of a process that has just executed a program.
type Exec struct {
	ID            flow.ProcessID
	Parent        flow.ProcessID
	UID           uint32
	UserNS        uint32 // inode number of its user namespace; 0 is not known
	Executable    flow.Executable
	Path          string // absolute, walked in the kernel; never with " (deleted)"
	Deleted       bool   // the file has no name any more
	Filename      string // as given to execve: the script, for a file that begins with #!
	Args          []string
	ArgsTruncated bool
	Dir           string // working folder, absolute
	CgroupID      uint64
	ExecID        uint32 // which of the process's executions this is
	At            time.Time
}

// Config is what a Tracker needs. The zero Config is that of this machine.
type Config struct {
	// Exited is called once for each process that ends, without any lock held, from
	// the goroutine that calls Exit, Fork or Exec.
	Exited func(flow.ProcessID)
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// Proc is where procfs is mounted; "" is /proc.
	Proc string
	// Desktop names programs; nil is NewDesktop("/").
	Desktop *Desktop
	// Users names accounts; nil is NewUsers("/etc/passwd").
	Users *Users
	// Cgroups finds cgroups by id; nil is the cgroup v2 of this machine.
	Cgroups *Cgroups
	// Packages tells which package has a program; nil: nobody does.
	Packages *Packages
	// Writers tells who wrote a file; nil: nobody does. It asks this Tracker who a process is.
	Writers *Writers
	// Max replaces MaxProcesses; 0 is MaxProcesses.
	Max int
}

// Tracker knows every process. Make it with New.
type Tracker struct {
	exitedHook func(flow.ProcessID)
	now        func() time.Time
	proc       procfs
	desktop    *Desktop
	users      *Users
	cgroups    *Cgroups
	packages   *Packages
	writers    *Writers
	containers containers
	max        int
	userNS     uint32 // our own
	sums       sums

	mu    sync.RWMutex // guards what follows and every record
	byID  map[flow.ProcessID]*record
	byPID map[uint32]*record // the living
	alive *list.List         // of *record, in the order in which they became known
	gone  *list.List         // of *record, in the order in which they ended
}

// New makes a Tracker that knows nothing yet.
func New(c Config) *Tracker {
	t := &Tracker{
		exitedHook: c.Exited, now: c.Now, proc: procfs(c.Proc), desktop: c.Desktop, users: c.Users,
		cgroups: c.Cgroups, packages: c.Packages, writers: c.Writers, max: c.Max,
		byID: map[flow.ProcessID]*record{}, byPID: map[uint32]*record{},
		alive: list.New(), gone: list.New(),
	}
	if t.now == nil {
		t.now = time.Now
	}
	if t.proc == "" {
		t.proc = "/proc"
	}
	t.userNS = t.proc.userNS("self")
	if t.writers != nil {
		t.writers.who = t.writer
	}
	if t.desktop == nil {
		t.desktop = NewDesktop("/")
	}
	if t.users == nil {
		t.users = NewUsers("/etc/passwd")
	}
	if t.cgroups == nil {
		t.cgroups = NewCgroups("")
	}
	if t.max <= 0 {
		t.max = MaxProcesses
	}
	if t.exitedHook == nil {
		t.exitedHook = func(flow.ProcessID) {}
	}
	return t
}

// Exec takes in that a process runs another program from now on. Saying the same
// twice changes nothing.
func (t *Tracker) Exec(e Exec) {
	im := newImage(e)
	t.mu.Lock()
	r, stale := t.admit(e.ID)
	if r.parents == nil {
		t.adopt(r, e.Parent, 0)
	}
	r.uid, r.cgroup = e.UID, e.CgroupID
	r.become(im)
	t.mu.Unlock()
	t.ended(stale)
}

// Fork takes in that parent made child, which runs parent's program until it executes
// one of its own.
func (t *Tracker) Fork(child, parent flow.ProcessID, _ time.Time) {
	t.mu.Lock()
	if _, known := t.byID[child]; known {
		t.mu.Unlock()
		return
	}
	r, stale := t.admit(child)
	t.adopt(r, parent, child.Start)
	t.mu.Unlock()
	t.ended(stale)
}

// Exit takes in that a process has ended. It can be found for Keep more.
func (t *Tracker) Exit(id flow.ProcessID) {
	t.mu.Lock()
	r, known := t.byID[id]
	if known && !r.ended.IsZero() {
		t.mu.Unlock()
		return
	}
	if known {
		t.bury(r)
	}
	t.mu.Unlock()
	t.exitedHook(id)
}

// Seed takes in the processes that ran before the first event, as the kernel's task
// iterator shows them. What the iterator does not know is read from /proc. What the
// events said meanwhile is newer and stays.
func (t *Tracker) Seed(running []Exec) {
	at := bootTime()
	images := make([]*image, len(running))
	here := make([]bool, len(running))
	for i, e := range running {
		images[i], here[i] = t.proc.seed(e)
		images[i].seeded = at
	}
	t.desktop.Refresh(t.now())

	var stale []flow.ProcessID
	t.mu.Lock()
	for i, e := range running {
		if r, known := t.byID[e.ID]; known && r.image != nil {
			continue
		}
		r, old := t.admit(e.ID)
		stale = append(stale, old...)
		r.parent, r.uid, r.cgroup = e.Parent, e.UID, e.CgroupID
		r.become(images[i])
	}
	for _, e := range running {
		t.descend(t.byID[e.ID])
	}
	for i, e := range running {
		if r := t.byID[e.ID]; !here[i] && r != nil && r.image == images[i] && r.ended.IsZero() {
			t.bury(r) // its exit came before it was known
			stale = append(stale, e.ID)
		}
	}
	t.mu.Unlock()
	t.ended(stale)
}

// Running names the living processes whose executable has this path, in the order in
// which they became known.
func (t *Tracker) Running(path string) []flow.ProcessID {
	t.mu.RLock()
	defer t.mu.RUnlock()
	var ids []flow.ProcessID
	for e := t.alive.Front(); e != nil; e = e.Next() {
		if r := e.Value.(*record); r.image != nil && r.image.path == path {
			ids = append(ids, r.id)
		}
	}
	return ids
}

// Prune drops what ended more than Keep before now, and renews what is known of
// desktop entries. Call it every few seconds.
func (t *Tracker) Prune(now time.Time) {
	t.desktop.Refresh(now)
	t.mu.Lock()
	defer t.mu.Unlock()
	for e := t.gone.Front(); e != nil; e = t.gone.Front() {
		r := e.Value.(*record)
		if now.Sub(r.ended) < Keep {
			return
		}
		t.drop(r)
	}
}

// Len counts the processes that are known, living and ended.
func (t *Tracker) Len() (living, ended int) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.alive.Len(), t.gone.Len()
}

func (t *Tracker) ended(ids []flow.ProcessID) {
	for _, id := range ids {
		t.exitedHook(id)
	}
}

func bootTime() uint64 {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts) != nil {
		return 0
	}
	return uint64(ts.Nano())
}

func name(path string) string {
	if path == "" {
		return ""
	}
	return filepath.Base(path)
}
