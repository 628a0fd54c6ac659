package engine

import (
	"slices"
	"time"

	"sekisho/app/flow"
)

// approval is a file for which a person made a rule, or which was there first.
type approval struct {
	Executable flow.Executable
	SHA256     string `json:",omitempty"` // made later: it takes time
	Known      bool   `json:",omitempty"` // what follows was found out
	Package    string `json:",omitempty"` // that had the file
	Modified   bool   `json:",omitempty"` // not by the package; a person saw that and allowed it
}

func (a *approval) version(path string) flow.Version {
	return flow.Version{Path: path, Executable: a.Executable, SHA256: a.SHA256, Package: a.Package}
}

// approvalOf is for a program that a person was asked about.
func approvalOf(p *flow.Process) approval {
	return approval{Executable: p.Executable, SHA256: p.SHA256, Known: true, Package: p.Package, Modified: p.Integrity == flow.Modified}
}

// approvalAt is for the file exe at a path that a person names. It may read the whole file;
// mu is not held.
func (e *Engine) approvalAt(path string, exe flow.Executable) approval {
	a := approval{Executable: exe, Known: true, Package: e.c.Packages.Of(path)}
	a.Modified = a.Package != "" && e.c.Packages.Check(path, exe) == flow.Modified
	return a
}

// vouched reports whether a file that is at its path for the first time counts by itself,
// and remembers it then: because it is the first one there, or because its package put it
// in the place of one that counts. It may read the whole file; mu is not held.
func (e *Engine) vouched(p *flow.Process) bool {
	e.mu.Lock()
	there, versions := e.proofs.seen[p.Executable] == p.Path, slices.Clone(e.proofs.approved[p.Path])
	e.mu.Unlock()
	if !there {
		return false
	}
	a := e.approvalAt(p.Path, p.Executable)
	is := flow.UnknownIntegrity
	if a.Modified {
		is = flow.Modified
	}
	now := a.version(p.Path)
	keeps := len(versions) == 0 && !a.Modified || // the first one
		a.Package == "" && packaged(p.Path) && !e.c.Packages.Any()
	for _, v := range versions {
		version := v.version(p.Path)
		keeps = keeps || version.Became(now, is).Keeps()
	}
	if !keeps {
		return false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.proofs.named[p.Path] {
		e.approve(p.Path, a)
	}
	return true
}

// completeApproved finds out, for a moment, what is not known yet of the files that count:
// their checksums, and their packages. A file that counts only because it was there first
// and is not what its package installed counts no more.
func (e *Engine) completeApproved() {
	for end := time.Now().Add(200 * time.Millisecond); time.Now().Before(end); {
		e.mu.Lock()
		path, a := e.proofs.incomplete()
		e.mu.Unlock()
		switch {
		case path == "":
			return
		case a.Known:
			e.sumApproved(path, a)
		default:
			e.knowApproved(path, a)
		}
	}
}

// incomplete is an approval of which something is to be found out.
func (p *proofs) incomplete() (string, approval) {
	for path, list := range p.approved {
		for _, a := range list {
			if !a.Known || a.needsSum() && !p.noSum[a.Executable] {
				return path, a
			}
		}
	}
	return "", approval{}
}

// needsSum: a package's file is known again by its package.
func (a *approval) needsSum() bool { return a.SHA256 == "" && (a.Package == "" || a.Modified) }

func (e *Engine) sumApproved(path string, a approval) {
	sum, err := e.c.Processes.Sum(path, a.Executable)
	e.mu.Lock()
	defer e.mu.Unlock()
	if err != nil {
		e.proofs.noSum[a.Executable] = true
		return
	}
	a.SHA256 = sum
	e.approve(path, a)
}

func (e *Engine) knowApproved(path string, old approval) {
	a := e.approvalAt(path, old.Executable)
	a.SHA256 = old.SHA256
	e.mu.Lock()
	defer e.mu.Unlock()
	if !a.Modified {
		e.approve(path, a)
		return
	}
	e.proofs.approved[path] = slices.DeleteFunc(e.proofs.approved[path], func(b approval) bool { return b.Executable == a.Executable })
	e.proofs.modified[a.Executable] = true
	e.proofs.unsaved[shardOf(path)] = true
	e.c.Log.Warn("a program is not what its package installed: its rules allow it nothing", "path", path, "package", a.Package)
	e.reconsider()
}
