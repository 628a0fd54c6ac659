package process

import (
	"context"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"sekisho/app/flow"
	"sekisho/service/process/installed"
)

// Packages tells which package of the system installed a program, and whether the file is
// still what the package had. Any goroutine may call its methods.
type Packages struct {
	root     string
	files    *installed.Files
	contents contents
}

// NewPackages knows the packages of the system whose root folder is root; "" is this one.
func NewPackages(root string) *Packages {
	if root == "" {
		root = "/"
	}
	return &Packages{root: root, files: installed.New(root)}
}

// Of is the name of the package that installed the file at path, "" if none did, or if
// somebody but root could have put another file there. Links are followed where no package
// has the link itself (update-alternatives' are of none). It takes some microseconds, and
// some tenths of a second the first time and after packages were changed.
func (p *Packages) Of(path string) string {
	o, _, ok := p.owner(path)
	if !ok {
		return ""
	}
	return o.Package
}

// owner finds the package, and the path at which the file really is.
func (p *Packages) owner(path string) (installed.Owner, string, bool) {
	if !filepath.IsAbs(path) || strings.ContainsAny(path, "\n\x00") {
		return installed.Owner{}, "", false
	}
	path = filepath.Clean(path)
	o, ok := p.files.Owner(path)
	if !ok {
		real, err := filepath.EvalSymlinks(filepath.Join(p.root, path))
		if err != nil {
			return o, "", false
		}
		real = "/" + strings.TrimPrefix(strings.TrimPrefix(real, filepath.Clean(p.root)), "/")
		if real == path {
			return o, "", false
		}
		if o, ok = p.files.Owner(real); !ok {
			return o, "", false
		}
		path = real
	}
	return o, path, OwnedByRoot(filepath.Join(p.root, path))
}

// Run reads the packages, and again when they change, until ctx ends: so that who asks for
// one need not wait. Without it the first who asks waits.
func (p *Packages) Run(ctx context.Context) error {
	pause := time.NewTicker(5 * time.Second)
	defer pause.Stop()
	for {
		p.files.Refresh()
		select {
		case <-ctx.Done():
			return nil
		case <-pause.C:
		}
	}
}

// Any reports whether this system has packages that are known.
func (p *Packages) Any() bool { return p.files.Any() }

// Problem is what kept the packages from being known; nil if nothing did.
func (p *Packages) Problem() error { return p.files.Problem() }

// Check tells whether the file that runs is what its package installed: the one at path
// with the identity exe, or with none whatever is there. It reads the file once, as long as
// neither it nor the packages change. Unknown: no package has it, the package says nothing
// of it, it is not that file any more, or the package manager is at work.
func (p *Packages) Check(path string, exe flow.Executable) flow.Integrity {
	p.files.Refresh()
	generation := p.files.Generation()
	o, path, ok := p.owner(path)
	if !ok {
		return flow.UnknownIntegrity
	}
	f, err := openContent(filepath.Join(p.root, path), exe)
	if err != nil {
		return flow.UnknownIntegrity
	}
	defer f.Close()
	if is, ok := p.contents.verdict(f.id, generation); ok {
		return is
	}
	is := flow.UnknownIntegrity
	want, err := p.files.Digest(o)
	if err != nil {
		return is // it may be known in a moment
	}
	if !want.IsZero() {
		has, err := f.sum(want.Algorithm)
		switch {
		case err != nil:
			return is
		case has == want.Hex:
			is = flow.Intact
		default:
			is = flow.Modified
		}
	}
	p.contents.keep(f.id, generation, is)
	return is
}

// OwnedByRoot reports whether only root can have put the file at path there. In folders
// such as /tmp, where everybody may put files, nobody may take those of others away.
func OwnedByRoot(path string) bool {
	for {
		var s unix.Stat_t
		if unix.Stat(path, &s) != nil || s.Uid != 0 || s.Mode&0o022 != 0 && s.Mode&(unix.S_IFMT|unix.S_ISVTX) != unix.S_IFDIR|unix.S_ISVTX {
			return false
		}
		if path == "/" {
			return true
		}
		path = filepath.Dir(path)
	}
}
