package engine

import (
	"log/slog"
	"time"

	"sekisho/app/flow"
	"sekisho/app/prompt"
	"sekisho/app/rule"
	"sekisho/service/bpf"
	"sekisho/service/traffic"
)

// Judge takes one packet along the whole path. It returns when the packet has its
// verdict or waits for an answer.
func (e *Engine) Judge(p Packet) {
	e.drain() // who it is may have happened a moment ago
	e.judge(p)
}

func (e *Engine) judge(p Packet) {
	process := e.identify(p.Owner)
	f := flowOf(p, process)
	if e.needsFile(process) {
		if !e.aside.do(func() { // a large file must not hold up the others
			f.Process = e.ofFile(process)
			e.settle(&f, p)
		}) {
			e.drop(p)
		}
		return
	}
	e.settle(&f, p)
}

func (e *Engine) settle(f *flow.Flow, p Packet) {
	if !e.checkSender(f, p) {
		e.decideNow(f, p)
	}
}

func (e *Engine) decideNow(f *flow.Flow, p Packet) {
	e.mu.Lock()
	e.counters.Queued++
	done := e.pass(f, p, nil)
	e.mu.Unlock()
	if done {
		return
	}
	if !e.aside.do(func() { // what a person is shown is read from disks that may be slow
		facts := e.look(f)
		e.mu.Lock()
		defer e.mu.Unlock()
		e.pass(f, p, facts)
	}) {
		e.drop(p)
	}
}

// drop drops a packet that nobody will decide about any more.
func (e *Engine) drop(p Packet) {
	if p.Held != nil {
		give([]Held{p.Held}, Held.Drop, e.c.Log)
	}
}

// facts are what a person should know of a flow, beside the flow.
type facts struct {
	warnings     []prompt.Warning
	predecessors []string
}

// pass takes a flow on from its name. Without facts nobody can be asked: it then does
// nothing and returns false if somebody must be.
func (e *Engine) pass(f *flow.Flow, p Packet, seen *facts) bool {
	e.name(f)
	w, waits := e.waiting.flows[traffic.KeyOf(f)]
	if waits && sameUser(w.flow.Process, f.Process) {
		e.hold(w, p.Held)
		return true
	}
	d := e.decide(f, p.Owner)
	if d.Verdict == flow.Waiting && waits {
		// Two share a socket and say something to the same end: one question at a time.
		e.counters.OverLimit++
		e.drop(p)
		return true
	}
	if d.Verdict == flow.Waiting && e.letsGo {
		e.drop(p)
		return true
	}
	if d.Verdict == flow.Waiting {
		if seen == nil {
			return false
		}
		e.count(d)
		e.ask(f, p, seen)
		return true
	}
	if p.GoesOn && d.Verdict == flow.Allow && !forThisFlow(d) { // it was shown and counted when it began
		f.Decision = d
		e.teach(f, p.Owner)
		give([]Held{p.Held}, Held.Accept, e.c.Log)
		return true
	}
	e.count(d)
	if p.Held == nil {
		e.finishRefused(f, p.Owner, d)
	} else {
		e.finish(f, p.Owner, d, []Held{p.Held})
	}
	return true
}

// identify says who, as it was when the call was made. What the kernel did not record at
// exec is nobody: what /proc says of a program can be faked by an ordinary user.
func (e *Engine) identify(o bpf.Owner) *flow.Process {
	switch {
	case o.Kernel:
		return processOf(flow.KernelPath)
	case o.Forwarded:
		return processOf(flow.ForwardedPath)
	}
	if o.Missing || o.Unknown {
		return nobody(o)
	}
	p, ok := e.c.Processes.Find(o.Process)
	if ok && p.Executable.IsZero() {
		p, ok = e.unseen(p)
	}
	// A process that has executed something else since is not the one that asked.
	if !ok || p.Executable != o.Executable || p.ExecID != o.ExecID && p.ExecID != 0 {
		return nobody(o)
	}
	if p.UID != o.UID { // started as one user, acts as another: who acts counts
		q := *p
		q.UID, q.User = o.UID, ""
		p = &q
	}
	return p
}

// nobody is a process of which nothing is sure but what the kernel says.
func nobody(o bpf.Owner) *flow.Process {
	p := &flow.Process{ProcessID: o.Process, UID: o.UID, Program: flow.Program{Executable: o.Executable}}
	if o.Missing {
		p.UID = noUser
	}
	return p
}

// Who is who used a socket, as it was when the call was made; without a path if that is
// not known any more. It may be called from any goroutine.
func (e *Engine) Who(o bpf.Owner) *flow.Process { return e.identify(o) }

// noUser is nobody's account: whose socket it is isn't known, so it is not root's either.
const noUser = ^uint32(0)

// unseen completes a process whose execution no event told of. Its arguments can be
// rewritten by itself, so it is no script's.
func (e *Engine) unseen(p *flow.Process) (*flow.Process, bool) {
	exe, err := e.c.Kernel.Identify(p.Path)
	if err != nil {
		return nil, false
	}
	q := *p
	q.Executable, q.Script, q.Inline = exe, "", p.Inline || p.Script != ""
	return &q, true
}

func flowOf(p Packet, process *flow.Process) flow.Flow {
	return flow.Flow{
		Time: time.Now(), Direction: p.Direction, Protocol: p.Protocol, Process: process,
		Local: p.Local, Remote: p.Remote, Link: p.Link, Cookie: p.Owner.Cookie, State: flow.Open,
	}
}

// processOf stands for what sends packets without being a process.
func processOf(path string) *flow.Process {
	return &flow.Process{Program: flow.Program{Path: path, Name: path}, Kernel: path == flow.KernelPath}
}

// known reports whether o is a program's that exact decisions can be kept for.
func known(o bpf.Owner) bool {
	return o.Kernel || o.Forwarded || !o.Missing && !o.Unknown && !o.Mismatch && !o.Executable.IsZero()
}

// name says to whom. It is called with mu held: a name that changes after that finds
// here, in NamesChanged, what was decided by it.
func (e *Engine) name(f *flow.Flow) {
	if !f.Process.IsFile() {
		return
	}
	if n, ok := e.c.Names.Lookup(f.Process.Key(), f.Remote.Addr, f.Time); ok {
		f.Remote.Name = n
	}
}

// needsFile reports whether the program's file must be looked at first.
func (e *Engine) needsFile(p *flow.Process) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return p.IsFile() && (!e.provenHere(p.Executable, p.Path) || e.needsSum(p) || e.needsIntegrity(p))
}

func (e *Engine) needsSum(p *flow.Process) bool {
	return p.SHA256 == "" && e.set.NeedsSHA256(p.Path)
}

func (e *Engine) withSum(p *flow.Process) *flow.Process {
	e.mu.Lock()
	needed := e.needsSum(p)
	e.mu.Unlock()
	if !needed {
		return p
	}
	sum, err := e.c.Processes.Sum(p.Path, p.Executable)
	if err != nil {
		e.c.Log.Warn("no checksum", "path", p.Path, "err", err)
		return p
	}
	q := *p
	q.SHA256 = sum
	return &q
}

// finish enforces a decision and publishes it.
func (e *Engine) finish(f *flow.Flow, o bpf.Owner, d flow.Decision, held []Held) {
	f.Decision = d
	e.publish(f)
	e.use(d) // may end a rule, and all that the kernel was told
	e.usedRetry(f)
	e.teach(f, o)
	give(held, held1(d.Verdict), e.c.Log)
}

func held1(v flow.Verdict) func(Held) error {
	if v == flow.Allow {
		return Held.Accept
	}
	return Held.Refuse
}

func give(held []Held, verdict func(Held) error, log *slog.Logger) {
	for _, h := range held {
		if err := verdict(h); err != nil {
			log.Debug("a packet went without its verdict", "err", err)
		}
	}
}

// use counts a hit of a rule or a list, and ends a rule that was for once.
func (e *Engine) use(d flow.Decision) {
	e.countList(d)
	r, ok := e.set.Rule(d.By.ID)
	if !ok || d.By.Kind != flow.ByRule && d.By.Kind != flow.ByAnswer {
		return
	}
	if r.Lifetime.Kind == rule.Once {
		e.dropRules(r.ID)
		return
	}
	u := e.hits[d.By.ID]
	e.hits[d.By.ID] = Use{u.Hits + 1, time.Now()}
	all, ok := e.uses[d.By.ID]
	if !ok {
		all.Hits = r.Hits
	}
	e.uses[d.By.ID] = Use{all.Hits + 1, time.Now()}
}
