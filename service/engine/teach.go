package engine

import (
	"errors"
	"fmt"
	"iter"
	"net/netip"

	"sekisho/app/api"
	"sekisho/app/flow"
	"sekisho/app/rule"
	"sekisho/service/bpf"
	"sekisho/service/traffic"
)

// knownProgram is what the kernel was told of a program.
type knownProgram struct {
	path       string
	id         uint64
	generation uint64
	verdict    [2]bpf.Verdict // by direction
	perProcess bool
	several    bool // the file runs under several names, with rules of their own
}

// Bounds of what is kept of the kernel's memory here: beyond them everything is decided anew.
const (
	maxPrograms = 60_000
	maxTaught   = 50_000 // the kernel has room for 65,536, and forgets what was not used for longest
)

// refresh makes everything that the kernel holds stale and tells it anew what is known
// of each program. Between the two an undecided packet waits in the queue: nothing
// passes by an old decision once refresh has returned.
func (e *Engine) refresh() error {
	e.control.Generation++
	e.control.Fallback = bpf.Ask
	if e.mode.Mode == api.ModeOff {
		e.control.Fallback = bpf.Allow
	}
	e.control.Loopback = e.loopback()
	e.control.DHCP = e.presetOn(rule.PresetDHCP)
	e.taught = newTaught()
	if len(e.programs) >= maxPrograms {
		e.forgetPrograms()
	}
	e.expect()
	if e.control.All {
		e.programOf(flow.Executable{}, flow.KernelPath)
	}
	if e.c.Forwarded {
		e.programOf(bpf.ForwardedExecutable, flow.ForwardedPath)
	}
	var err error
	if e.mode.Mode != api.ModeOff {
		all := make(map[flow.Executable]bpf.ProgramVerdict, len(e.programs))
		for exe, p := range e.programs {
			all[exe] = e.judgeProgram(exe, p)
		}
		err = errors.Join(e.c.Kernel.SetPrograms(all), e.expectFlows(), e.teachRetries(), e.teachTaken())
	}
	if err = errors.Join(err, e.c.Kernel.SetControl(e.control)); err != nil {
		return fmt.Errorf("tell the kernel what is decided: %w", err)
	}
	return nil
}

// refreshed is refresh for callers that have nobody to return an error to.
func (e *Engine) refreshed() {
	if err := e.refresh(); err != nil {
		e.problem("kernel", api.NewProblem(api.ProblemKernel, err.Error()))
		return
	}
	e.solved("kernel")
}

// expect makes the programs known that rules name by path, so that they need not visit
// the queue first when they run.
func (e *Engine) expect() {
	there, err := e.files.at(e.c.Kernel, e.set.Rules())
	if err != nil {
		e.c.Log.Warn("the programs of rules are not known until they run", "err", err)
		return
	}
	e.adopt(there)
	for path, exe := range there {
		e.programOf(exe, path)
	}
}

// maxExpected bounds the flows that are decided before they begin.
const maxExpected = 4096

// expectFlows decides the flows that rules name by program, address and port: they hold
// at once, and also while no service runs. Where a rule names hosts, an address says too
// little.
func (e *Engine) expectFlows() error {
	named := map[string]bool{} // paths with a rule that names hosts; "": every path
	for _, r := range e.set.Rules() {
		if r.Enabled && (r.Remote.Name != "" || r.Remote.Domain != "" || r.Remote.List != "") {
			named[r.Program.Path] = true
		}
	}
	if named[""] {
		return nil
	}
	n := 0
	for _, r := range e.set.Rules() {
		if !r.Enabled || !r.Remote.Address.IsValid() || len(r.Ports) != 1 || r.Ports[0].From != r.Ports[0].To || named[r.Program.Path] || e.setNetworked(r.Program.Path) {
			continue
		}
		exe, p := e.expected(r.Program.Path)
		if p == nil || p.perProcess {
			continue
		}
		for f := range flowsOf(&r) {
			if p.verdict[f.Direction] != bpf.Depends {
				continue
			}
			if n++; n > maxExpected {
				return nil
			}
			f.Process = &flow.Process{Program: flow.Program{Path: p.path, Executable: exe}}
			if f.Decision = e.decide(f, bpf.Owner{Executable: exe}); f.Decision.By.Kind != flow.ByRule {
				continue
			}
			if won, ok := e.set.Rule(f.Decision.By.ID); !ok || won.Lifetime.Kind == rule.Once {
				continue
			}
			if err := e.teachFlow(f, bpf.Owner{Executable: exe}); err != nil {
				return err
			}
		}
	}
	return nil
}

// flowsOf makes the flows that a rule with one address and one port is about.
func flowsOf(r *rule.Rule) iter.Seq[*flow.Flow] {
	return func(yield func(*flow.Flow) bool) {
		for _, d := range []flow.Direction{flow.Out, flow.In} {
			if r.Direction == rule.Out && d == flow.In || r.Direction == rule.In && d == flow.Out {
				continue
			}
			for _, protocol := range []flow.Protocol{flow.TCP, flow.UDP} {
				if r.Protocol != flow.AnyProtocol && r.Protocol != protocol {
					continue
				}
				f := &flow.Flow{Direction: d, Protocol: protocol, Remote: flow.Endpoint{Addr: r.Remote.Address}}
				if d == flow.In {
					f.Local.Port = r.Ports[0].From
				} else {
					f.Remote.Port = r.Ports[0].From
				}
				if !yield(f) {
					return
				}
			}
		}
	}
}

// expected finds the program that a rule's path is about, if it is there.
func (e *Engine) expected(path string) (flow.Executable, *knownProgram) {
	at, ok := e.files[path]
	if !ok {
		return flow.Executable{}, nil
	}
	return at.exe, e.programs[at.exe]
}

func (e *Engine) programOf(exe flow.Executable, path string) *knownProgram {
	p, ok := e.programs[exe]
	if !ok || p.path != path {
		e.lastID++
		p = &knownProgram{path: path, id: e.control.Generation<<32 | e.lastID, several: ok}
		e.programs[exe] = p
	}
	return p
}

func (e *Engine) forgetPrograms() {
	for exe := range e.programs {
		if err := e.c.Kernel.ForgetProgram(exe); err != nil {
			e.c.Log.Warn("a program stays in the kernel", "err", err)
		}
	}
	clear(e.programs)
}

// judgeProgram is what holds for all flows of a program, whichever process it runs in.
func (e *Engine) judgeProgram(exe flow.Executable, p *knownProgram) bpf.ProgramVerdict {
	p.generation = e.control.Generation
	p.verdict, p.perProcess = [2]bpf.Verdict{bpf.Depends, bpf.Depends}, false
	process := &flow.Process{Program: flow.Program{Path: p.path, Executable: exe}}
	if !process.IsFile() {
		process = processOf(p.path)
	} else if p.several || !e.provenHere(exe, p.path) { // what rules say about its path holds for another file
		p.perProcess = true
	}
	now := e.c.Clock()
	if p.path == flow.ForwardedPath && e.mode.Mode == api.ModeLockdown { // no preset is about others
		p.verdict = [2]bpf.Verdict{bpf.Block, bpf.Block}
		return bpf.ProgramVerdict{Generation: p.generation, ID: p.id, Out: bpf.Block, In: bpf.Block}
	}
	var wide [2]rule.Width
	for _, d := range []flow.Direction{flow.Out, flow.In} {
		wide[d] = e.set.Wide(process, d, now)
		p.perProcess = p.perProcess || wide[d].PerProcess && process.IsFile()
	}
	if !p.perProcess {
		p.verdict = [2]bpf.Verdict{e.wideVerdict(wide[flow.Out], p.path, flow.Out), e.wideVerdict(wide[flow.In], p.path, flow.In)}
	}
	return bpf.ProgramVerdict{
		Generation: p.generation, ID: p.id, Out: p.verdict[flow.Out], In: p.verdict[flow.In], PerProcess: p.perProcess,
	}
}

// wideVerdict is what the kernel may do with every flow of whom w is about. Rules win
// over presets and the mode, so a verdict of theirs holds everywhere; a mode that blocks
// leaves room for presets, so its flows are looked at one by one. So are those that the mode
// lets through if it is to learn from them, or if a preset may block some.
func (e *Engine) wideVerdict(w rule.Width, path string, d flow.Direction) bpf.Verdict {
	switch {
	case e.mode.Mode == api.ModeLockdown:
		return bpf.Depends
	case w.Verdict != rule.BlockAll && e.looks(d): // a list comes before rules about anything
		return bpf.Depends
	case w.Verdict == rule.AllowAll:
		return bpf.Allow
	case w.Verdict == rule.BlockAll:
		return bpf.Block
	case w.Verdict == rule.NoRule && e.mode.Mode == api.ModeAllow && !e.presetsBlock(path, d):
		return bpf.Allow
	}
	return bpf.Depends
}

// teach leaves a decision with the kernel, so that the next packet like it need not visit
// us, and so that this one passes where it meets its socket.
func (e *Engine) teach(f *flow.Flow, o bpf.Owner) {
	if f.Decision.By.Kind == flow.ByLimit && !ofItself(f.Decision) {
		return // the next packet may find room
	}
	if e.mode.Mode == api.ModeOff && known(o) {
		return // all of these pass
	}
	if err := e.teachFlow(f, o); err != nil {
		e.c.Log.Warn("a decision stays out of the kernel", "err", err)
	}
}

func (e *Engine) teachFlow(f *flow.Flow, o bpf.Owner) error {
	verdict := kernelVerdict(f.Decision.Verdict)
	if f.Process.Path == flow.ForwardedPath && f.Protocol == flow.TCP && verdict == bpf.Allow {
		if err := e.c.Kernel.LetThrough(addrPort(f.Local), addrPort(f.Remote), forThisFlow(f.Decision)); err != nil {
			return err
		}
	}
	alone := e.byNetwork(f)
	if alone && o.Kernel {
		return nil // nothing tells the kernel's own flows on one link from those on another
	}
	if forThisFlow(f.Decision) || !known(o) || alone && f.Cookie != 0 || e.wantsSender(f) || e.forItself(f.Decision) {
		if f.Cookie == 0 {
			e.keepRetry(f, o, f.Decision, false)
			return nil
		}
		return e.c.Kernel.SetExact(bpf.OfSocket(f.Cookie, o.Process, o.ExecID), traffic.Peer(f), verdict, e.control.Generation)
	}
	subject, wide, err := e.subject(f, o)
	if err != nil {
		return err
	}
	named := e.control.Loopback == bpf.Depends && f.Remote.Addr.Unmap().IsLoopback()
	if wide == verdict && !named {
		return nil
	}
	ref := exactRef{subject, peerOf(f)}
	if old, full := e.taught.add(nameKey{f.Process.Key(), f.Remote.Addr}, ref); full {
		if err := e.c.Kernel.ForgetExact(old.subject, old.peer); err != nil {
			return err
		}
	}
	return e.c.Kernel.SetExact(ref.subject, ref.peer, verdict, e.control.Generation)
}

func kernelVerdict(v flow.Verdict) bpf.Verdict {
	if v == flow.Allow {
		return bpf.Allow
	}
	return bpf.Block
}

// peerOf is the other end of f as decisions about its program name it: with the port of
// whoever offers the service.
func peerOf(f *flow.Flow) bpf.Peer {
	p := traffic.Peer(f)
	if f.Direction == flow.In {
		p.Port = f.Local.Port
	}
	return p
}

// subject is whom the kernel's decisions about f are about, and what it does with all
// flows of theirs in f's direction. It sees to it that the kernel knows them.
func (e *Engine) subject(f *flow.Flow, o bpf.Owner) (bpf.Subject, bpf.Verdict, error) {
	if e.programs[o.Executable] == nil && len(e.programs) >= maxPrograms {
		// Somebody executes many copies of a file. What is in use is told anew.
		if err := e.refresh(); err != nil {
			return bpf.Subject{}, bpf.Depends, err
		}
	}
	p := e.programOf(o.Executable, f.Process.Path)
	if p.generation != e.control.Generation {
		if err := e.c.Kernel.SetProgram(o.Executable, e.judgeProgram(o.Executable, p)); err != nil {
			return bpf.Subject{}, bpf.Depends, err
		}
	}
	if !p.perProcess {
		return bpf.OfProgram(p.id), p.verdict[f.Direction], nil
	}
	subject, wide := bpf.OfProcess(o), bpf.Depends
	if !f.Process.Replaced {
		wide = e.wideVerdict(e.set.Wide(f.Process, f.Direction, e.c.Clock()), f.Process.Path, f.Direction)
	}
	return subject, wide, e.c.Kernel.SetExact(subject, bpf.Peer{Direction: f.Direction}, wide, e.control.Generation)
}

// forThisFlow reports whether a decision must not be used for another flow.
func forThisFlow(d flow.Decision) bool {
	return d.By.Kind == flow.ByAnswer || d.By.Kind == flow.ByLimit
}

// NamesChanged takes back what the kernel was told about addresses whose name is another
// one now for that program. It is called before the program can see the answer.
func (e *Engine) NamesChanged(program string, addrs []netip.Addr) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var old []exactRef
	for _, a := range addrs {
		old = append(old, e.taught.take(nameKey{program, a})...)
	}
	if addrs == nil {
		old = e.taught.takeProgram(program)
	}
	for _, r := range old {
		if err := e.c.Kernel.ForgetExact(r.subject, r.peer); err != nil {
			e.c.Log.Warn("an old decision stays in the kernel", "err", err)
		}
	}
	e.namedLoopback(addrs)
}
