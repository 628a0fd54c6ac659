package engine

import (
	"errors"
	"fmt"
	"net/netip"

	"sekisho/app/api"
	"sekisho/app/flow"
	"sekisho/app/rule"
	"sekisho/service/bpf"
)

// knownProgram is what the kernel was told of a program.
type knownProgram struct {
	path       string
	id         uint64
	generation uint64
	verdict    bpf.Verdict
	perProcess bool
}

// nameKey is what a decision that came from a name depends on.
type nameKey struct {
	program string
	addr    netip.Addr
}

// exactRef finds an exact decision in the kernel again.
type exactRef struct {
	subject bpf.Subject
	to      bpf.Destination
}

// Bounds of what is kept of the kernel's memory here: beyond them everything is decided anew.
const (
	maxPrograms = 60_000
	maxTaught   = 60_000
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
	clear(e.taught)
	if len(e.programs) > maxPrograms {
		e.forgetPrograms()
	}
	e.expect()
	var err error
	if e.mode.Mode != api.ModeOff {
		all := make(map[flow.Executable]bpf.ProgramVerdict, len(e.programs))
		for exe, p := range e.programs {
			all[exe] = e.judgeProgram(exe, p)
		}
		err = errors.Join(e.c.Kernel.SetPrograms(all), e.expectFlows())
	}
	if err = errors.Join(err, e.c.Kernel.SetControl(e.control)); err != nil {
		return fmt.Errorf("tell the kernel what is decided: %w", err)
	}
	return nil
}

// refreshed is refresh for callers that have nobody to return an error to.
func (e *Engine) refreshed() {
	if err := e.refresh(); err != nil {
		e.problem("kernel", "The kernel does not take decisions: "+err.Error(), "Restart the service; sekishoctl doctor says more.")
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
		if r.Enabled && (r.Remote.Name != "" || r.Remote.Domain != "") {
			named[r.Program.Path] = true
		}
	}
	if named[""] {
		return nil
	}
	n := 0
	for _, r := range e.set.Rules() {
		if !r.Enabled || !r.Remote.Address.IsValid() || len(r.Ports) != 1 || r.Ports[0].From != r.Ports[0].To || named[r.Program.Path] {
			continue
		}
		exe, p := e.expected(r.Program.Path)
		if p == nil || p.perProcess || p.verdict != bpf.Depends {
			continue
		}
		for _, protocol := range []flow.Protocol{flow.TCP, flow.UDP} {
			if n++; n > maxExpected {
				return nil
			}
			f := flow.Flow{
				Protocol: protocol, Remote: flow.Endpoint{Addr: r.Remote.Address, Port: r.Ports[0].From},
				Process: &flow.Process{Program: flow.Program{Path: p.path, Executable: exe}},
			}
			if f.Decision = e.decide(&f, bpf.Owner{Executable: exe}); f.Decision.By.Kind != flow.ByRule {
				continue
			}
			if won, ok := e.set.Rule(f.Decision.By.ID); !ok || won.Lifetime.Kind == rule.Once {
				continue
			}
			if err := e.teachFlow(&f, bpf.Owner{Executable: exe}); err != nil {
				return err
			}
		}
	}
	return nil
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
		p = &knownProgram{path: path, id: e.control.Generation<<32 | e.lastID}
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
	if e.provenHere(exe, p.path) {
		w := e.set.Wide(&flow.Process{Program: flow.Program{Path: p.path, Executable: exe}}, flow.Out, e.c.Clock())
		p.perProcess = w.PerProcess
		p.verdict = bpf.Depends
		if !p.perProcess {
			p.verdict = e.wideVerdict(w)
		}
	} else { // what rules say about its path holds for another file
		p.verdict, p.perProcess = bpf.Depends, true
	}
	return bpf.ProgramVerdict{Generation: p.generation, ID: p.id, Verdict: p.verdict, PerProcess: p.perProcess}
}

// wideVerdict is what the kernel may do with every flow of whom w is about. Rules win
// over presets and the mode, so a verdict of theirs holds everywhere; a mode that blocks
// leaves room for presets, so its flows are looked at one by one.
func (e *Engine) wideVerdict(w rule.Width) bpf.Verdict {
	switch {
	case e.mode.Mode == api.ModeLockdown:
		return bpf.Depends
	case w.Verdict == rule.AllowAll:
		return bpf.Allow
	case w.Verdict == rule.BlockAll:
		return bpf.Block
	case w.Verdict == rule.NoRule && (e.mode.Mode == api.ModeAllow || e.mode.Mode == api.ModeLearn):
		return bpf.Allow
	}
	return bpf.Depends
}

// teach leaves a decision with the kernel, so that the next flow like it need not visit us.
func (e *Engine) teach(f *flow.Flow, o bpf.Owner) {
	if o.Missing || o.Unknown || o.Mismatch || o.Executable.IsZero() || e.mode.Mode == api.ModeOff {
		return
	}
	if f.Decision.By.Kind == flow.ByLimit && !ofItself(f.Decision) {
		return // the next packet may find room
	}
	if err := e.teachFlow(f, o); err != nil {
		e.c.Log.Warn("a decision stays out of the kernel", "err", err)
	}
}

func (e *Engine) teachFlow(f *flow.Flow, o bpf.Owner) error {
	verdict := bpf.Block
	if f.Decision.Verdict == flow.Allow {
		verdict = bpf.Allow
	}
	to := bpf.Destination{Addr: f.Remote.Addr, Port: f.Remote.Port, Protocol: f.Protocol}
	if forThisFlow(f.Decision) {
		if f.Cookie == 0 {
			return nil
		}
		return e.c.Kernel.SetExact(bpf.OfSocket(f.Cookie), to, verdict, e.control.Generation)
	}
	p := e.programOf(o.Executable, f.Process.Path)
	if p.generation != e.control.Generation {
		if err := e.c.Kernel.SetProgram(o.Executable, e.judgeProgram(o.Executable, p)); err != nil {
			return err
		}
	}
	subject := bpf.OfProgram(p.id)
	wide := p.verdict
	if p.perProcess {
		subject = bpf.OfProcess(o)
		wide = bpf.Depends
		if !f.Process.Replaced {
			wide = e.wideVerdict(e.set.Wide(f.Process, flow.Out, e.c.Clock()))
		}
		if err := e.c.Kernel.SetExact(subject, bpf.Destination{}, wide, e.control.Generation); err != nil {
			return err
		}
	}
	if wide == verdict {
		return nil
	}
	if len(e.taught) > maxTaught {
		return e.refresh()
	}
	k := nameKey{f.Process.Key(), f.Remote.Addr}
	e.taught[k] = append(e.taught[k], exactRef{subject, to})
	return e.c.Kernel.SetExact(subject, to, verdict, e.control.Generation)
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
	for _, a := range addrs {
		e.untaught(nameKey{program, a})
	}
	if addrs == nil {
		for k := range e.taught {
			if k.program == program {
				e.untaught(k)
			}
		}
	}
}

func (e *Engine) untaught(k nameKey) {
	for _, ref := range e.taught[k] {
		if err := e.c.Kernel.ForgetExact(ref.subject, ref.to); err != nil {
			e.c.Log.Warn("an old decision stays in the kernel", "err", err)
		}
	}
	delete(e.taught, k)
}
