package engine

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"sekisho/app/api"
	"sekisho/app/flow"
	"sekisho/app/rule"
)

// A rule names a program by its path, but a path proves nothing: a user can show any file
// at any path in a namespace of their own, and put another file in a program's place.
// So the file that was executed must be the one that everybody sees at that path, and one
// that was there when a rule was made for it, by its identity or by what is in it; or the
// package that had it must have put the new one there. Another one asks again.

// proofs is what is known of files at paths. It is guarded by the engine's mutex.
type proofs struct {
	seen     map[flow.Executable]string    // files that were found at the path that they run by
	missed   map[flow.Executable]time.Time // those that were not, and when
	named    map[string]bool               // paths that rules allow
	modified map[flow.Executable]bool      // those that are not what their packages installed
	noSum    map[flow.Executable]bool      // files that can't be read
	approved map[string][]approval         // by path, the latest last
	unsaved  map[string]bool               // shards of approved
}

const (
	maxSeen      = 60_000
	maxApprovals = 4 // versions of one program that may run side by side
)

func newProofs() proofs {
	return proofs{
		seen: map[flow.Executable]string{}, missed: map[flow.Executable]time.Time{}, noSum: map[flow.Executable]bool{},
		modified: map[flow.Executable]bool{},
		approved: map[string][]approval{}, unsaved: map[string]bool{},
	}
}

// packaged reports whether only root puts files at path: packages and administrators. On a
// system whose packages are not known that is all that can be said of an update.
func packaged(path string) bool {
	if strings.HasPrefix(path, "/usr/local/") {
		return false
	}
	if !slices.ContainsFunc([]string{"/usr/", "/bin/", "/sbin/", "/lib/", "/lib64/"}, func(dir string) bool { return strings.HasPrefix(path, dir) }) {
		return false
	}
	for p := path; p != "/"; p = filepath.Dir(p) {
		var s unix.Stat_t
		if unix.Stat(p, &s) != nil || s.Uid != 0 || s.Mode&0o022 != 0 {
			return false
		}
	}
	return true
}

// prove reports whether rules for p's path are about the file that p runs, and sets
// Replaced if not. It may read the whole file; mu is not held.
func (e *Engine) prove(p *flow.Process) *flow.Process {
	if !p.IsFile() || e.proven(p.Executable, p.Path) || e.vouched(p) || e.sameSum(p) {
		return p
	}
	q := *p
	q.Replaced = true
	return &q
}

// proven looks which file is at the path, and says what can be said without reading it.
func (e *Engine) proven(exe flow.Executable, path string) bool {
	e.mu.Lock()
	known, looked := e.provenHere(exe, path), e.proofs.looked(exe, path)
	e.mu.Unlock()
	if known || looked {
		return known
	}
	there, err := e.c.Kernel.Identify(path)
	there.Ctime, there.CtimeNano = exe.Ctime, exe.CtimeNano // a link or chmod since is no other file
	e.mu.Lock()
	defer e.mu.Unlock()
	if err != nil || there != exe {
		e.proofs.missed[exe] = time.Now()
		return false
	}
	e.proofs.seen[exe] = path
	return e.provenHere(exe, path)
}

// looked reports whether it is known which file is at the path, found there or not.
func (p *proofs) looked(exe flow.Executable, path string) bool {
	if len(p.seen)+len(p.missed) > maxSeen {
		clear(p.seen)
		clear(p.missed)
		clear(p.modified)
	}
	return p.seen[exe] == path || time.Since(p.missed[exe]) < time.Second
}

// provenHere is proven as far as it is known. It is called with mu held.
func (e *Engine) provenHere(exe flow.Executable, path string) bool {
	versions := e.proofs.approved[path]
	if slices.ContainsFunc(versions, func(a approval) bool { return a.Executable == exe }) {
		return true
	}
	return e.proofs.seen[exe] == path && len(versions) == 0 && !e.proofs.named[path]
}

// sameSum reports whether a file that is new at its path has the content of one that
// was approved: it was copied, or the disk has another number since the restart.
func (e *Engine) sameSum(p *flow.Process) bool {
	e.mu.Lock()
	some := slices.ContainsFunc(e.proofs.approved[p.Path], func(a approval) bool { return a.SHA256 != "" })
	e.mu.Unlock()
	if !some {
		return false
	}
	sum, err := e.c.Processes.Sum(p.Path, p.Executable)
	if err != nil {
		return false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if !slices.ContainsFunc(e.proofs.approved[p.Path], func(a approval) bool { return a.SHA256 == sum }) {
		return false
	}
	e.approve(p.Path, approval{Executable: p.Executable, SHA256: sum})
	return true
}

// approve remembers that the rules for path are about a file too. It is called with mu held.
func (e *Engine) approve(path string, a approval) {
	if !(flow.Program{Path: path}).IsFile() || a.Executable.IsZero() {
		return
	}
	list := slices.DeleteFunc(e.proofs.approved[path], func(b approval) bool {
		if b.Executable == a.Executable {
			a.SHA256 = cmp.Or(a.SHA256, b.SHA256)
			if !a.Known {
				a.Known, a.Package, a.Modified = b.Known, b.Package, b.Modified
			}
		}
		return b.Executable == a.Executable || a.SHA256 != "" && b.SHA256 == a.SHA256
	})
	list = append(list, a)
	e.proofs.approved[path] = list[max(0, len(list)-maxApprovals):]
	e.proofs.unsaved[shardOf(path)] = true
}

// adopt approves what is at the paths that rules name, where nothing was approved yet:
// the first file that is seen there. Paths that no rule names are forgotten. It is called
// with mu held, with the files that are there.
func (e *Engine) adopt(there map[string]flow.Executable) {
	named := map[string]bool{}
	for i, rules := 0, e.set.Rules(); i < len(rules); i++ {
		if rules[i].Action == rule.Allow && rules[i].Program.Path != "" {
			named[rules[i].Program.Path] = true
		}
	}
	e.proofs.named = named
	for path, exe := range there {
		e.proofs.seen[exe] = path
		if named[path] && len(e.proofs.approved[path]) == 0 && !e.proofs.modified[exe] {
			e.approve(path, approval{Executable: exe})
		}
	}
	for path := range e.proofs.approved {
		if !named[path] {
			delete(e.proofs.approved, path)
			e.proofs.unsaved[shardOf(path)] = true
		}
	}
}

// approveRule approves what is there now for a rule that somebody just wrote.
func (e *Engine) approveRule(r *rule.Rule) {
	if r.Action != rule.Allow || !(flow.Program{Path: r.Program.Path}).IsFile() {
		return
	}
	exe, err := e.c.Kernel.Identify(r.Program.Path)
	if err != nil {
		return // not there yet: the first one that comes counts
	}
	a := e.approvalAt(r.Program.Path, exe)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.proofs.seen[exe] = r.Program.Path
	e.approve(r.Program.Path, a)
}

// Approvals are kept in a few documents, so that one of them is never large.
func shardOf(path string) string {
	return fmt.Sprintf("programs-%x", sha256.Sum256([]byte(path)))[:len("programs-")+1]
}

func (e *Engine) recallProofs() error {
	e.proofs = newProofs()
	for i := range 16 {
		var shard map[string][]approval
		if _, err := e.c.Store.Load(fmt.Sprintf("programs-%x", i), &shard); err != nil {
			return fmt.Errorf("recall programs: %w", err)
		}
		for path, list := range shard {
			e.proofs.approved[path] = list[:min(len(list), maxApprovals)]
		}
	}
	return nil
}

// saveProofs writes what changed.
func (e *Engine) saveProofs() {
	e.mu.Lock()
	write := map[string]map[string][]approval{}
	for shard := range e.proofs.unsaved {
		write[shard] = map[string][]approval{}
	}
	if len(write) > 0 {
		for path, list := range e.proofs.approved {
			if m, ok := write[shardOf(path)]; ok {
				m[path] = slices.Clone(list)
			}
		}
	}
	clear(e.proofs.unsaved)
	e.mu.Unlock()
	for shard, m := range write {
		if err := e.c.Store.Save(shard, m); err != nil {
			e.mu.Lock()
			e.problem("save", api.NewProblem(api.ProblemFilesNotSaved, err.Error()))
			e.proofs.unsaved[shard] = true
			e.mu.Unlock()
		}
	}
}
