package engine

import (
	"slices"
	"time"

	"sekisho/app/flow"
	"sekisho/app/prompt"
)

// ofFile adds to a program what rules ask about its file, and says whether it is the one
// that they are about. It may read the whole file; mu is not held.
func (e *Engine) ofFile(p *flow.Process) *flow.Process {
	return e.prove(e.withIntegrity(e.withSum(p)))
}

// needsIntegrity reports whether a rule, or trust, asks whether p is what its package installed. It is
// called with mu held.
func (e *Engine) needsIntegrity(p *flow.Process) bool {
	return p.Integrity == flow.UnknownIntegrity && p.Package != "" && (e.settings.Trust || e.set.NeedsIntegrity(p.Package))
}

func (e *Engine) withIntegrity(p *flow.Process) *flow.Process {
	e.mu.Lock()
	needed := e.needsIntegrity(p)
	e.mu.Unlock()
	if !needed {
		return p
	}
	return e.checked(p)
}

// checked adds whether p still is what its package installed.
func (e *Engine) checked(p *flow.Process) *flow.Process {
	if p.Package == "" || p.Integrity != flow.UnknownIntegrity {
		return p
	}
	q := *p
	q.Integrity = e.c.Packages.Check(p.Path, p.Executable)
	return &q
}

// withPackage adds the package to a process that nothing has been found out about: one
// that somebody only asks about.
func (e *Engine) withPackage(p *flow.Process) *flow.Process {
	if !p.IsFile() || p.Package != "" {
		return p
	}
	q := *p
	q.Package = e.c.Packages.Of(p.Path)
	return &q
}

// look finds out what a person should know of a flow, where it takes time.
func (e *Engine) look(f *flow.Flow) *facts {
	f.Process = e.checked(f.Process)
	from := e.c.Processes.Provenance(f.Process)
	warnings := append(prompt.Warnings(f, &from, time.Now()), e.listWarnings(f)...)
	return &facts{warnings, e.predecessors(f.Process)}
}

// predecessors are the paths of the programs whose rules a person may have for p: only for
// one that has none of its own and that no package looks after.
func (e *Engine) predecessors(p *flow.Process) []string {
	if !p.IsFile() || p.Script != "" || p.Inline || p.Package != "" || p.Executable.IsZero() {
		return nil
	}
	e.mu.Lock()
	var known []flow.Version
	summed := false
	for path, list := range e.proofs.approved {
		for _, a := range list {
			if path != p.Path {
				known = append(known, a.version(path))
				summed = summed || a.SHA256 != ""
			}
		}
	}
	own := e.proofs.named[p.Path]
	e.mu.Unlock()
	if own || len(known) == 0 {
		return nil
	}
	now := flow.VersionOf(&p.Program)
	if summed && now.SHA256 == "" {
		if sum, err := e.c.Processes.Sum(p.Path, p.Executable); err == nil {
			now.SHA256 = sum
		}
	}
	var paths []string
	for _, v := range flow.Predecessors(now, known) {
		if !slices.Contains(paths, v.Path) && len(paths) < maxPredecessors {
			paths = append(paths, v.Path)
		}
	}
	return paths
}

// maxPredecessors bounds what a prompt offers.
const maxPredecessors = 4
