package stock

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// suites are where Debian's kernels are that this machine's own lists may not have.
var suites = []string{"bookworm", "trixie", "trixie-backports", "sid"}

// lists is a set of package lists: those that the machine has, or private ones.
type lists struct {
	name    string
	options []string
}

// own are the lists that the machine itself installs from.
var own = lists{name: "this machine's package lists"}

// private makes lists of Debian's other suites in a folder, from the mirror that this
// machine takes Debian's packages from. Nothing of the machine's own apt changes.
func private(dir string) (lists, error) {
	mirror, err := debianMirror()
	if err != nil {
		return lists{}, err
	}
	for _, d := range []string{"lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return lists{}, err
		}
	}
	var sources strings.Builder
	for _, s := range suites {
		fmt.Fprintf(&sources, "deb [arch=amd64 target=Packages signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s main\n", mirror, s)
	}
	file := filepath.Join(dir, "sources.list")
	if err := os.WriteFile(file, []byte(sources.String()), 0o644); err != nil {
		return lists{}, err
	}
	l := lists{name: "the package lists of " + strings.Join(suites, ", ")}
	for _, o := range []string{
		"Dir::Etc::SourceList=" + file, "Dir::Etc::SourceParts=-",
		"Dir::State::Lists=" + filepath.Join(dir, "lists"), "Dir::Cache=" + filepath.Join(dir, "cache"),
		"APT::Sandbox::User=root", // the folder need not be open to apt's own user
	} {
		l.options = append(l.options, "-o", o)
	}
	return l, nil
}

// debianMirror is where the machine takes Debian's packages from.
func debianMirror() (string, error) {
	out, err := exec.Command("apt-get", "indextargets", "--format", "$(REPO_URI)", "Origin: Debian", "Component: main").Output()
	if err != nil {
		return "", fmt.Errorf("apt-get indextargets: %w", explained(err))
	}
	for uri := range strings.FieldsSeq(string(out)) {
		if !strings.Contains(uri, "security") { // that one has no other suites
			return uri, nil
		}
	}
	return "", fmt.Errorf("no mirror of Debian among this machine's package sources (or no lists yet: apt-get update)")
}

// update fetches the lists anew.
func (l lists) update() error {
	if len(l.options) == 0 && os.Geteuid() != 0 {
		return fmt.Errorf("update %s: only root may: sudo apt-get update", l.name)
	}
	if _, err := l.run("apt-get", "-qq", "update"); err != nil {
		return fmt.Errorf("update %s: %w", l.name, err)
	}
	return nil
}

// kernels lists the packages whose names begin with linux-.
func (l lists) kernels() ([]string, error) {
	out, err := l.run("apt-cache", "pkgnames", "linux-")
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", l.name, err)
	}
	names := strings.Fields(string(out))
	slices.Sort(names)
	return names, nil
}

// needed lists the packages that a package needs.
func (l lists) needed(name string) ([]string, error) {
	out, err := l.run("apt-cache", "depends", "--important", name)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", l.name, err)
	}
	var all []string
	for line := range strings.Lines(string(out)) {
		if _, needed, ok := strings.Cut(line, "Depends: "); ok {
			all = append(all, strings.TrimSpace(needed))
		}
	}
	return all, nil
}

// download puts the packages' files into a folder and returns their paths.
func (l lists) download(dir string, packages []string) ([]string, error) {
	c := l.command("apt-get", append([]string{"-qq", "-o", "APT::Sandbox::User=root", "download"}, packages...)...)
	c.Dir = dir
	if out, err := c.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("apt-get download %s: %w: %s", strings.Join(packages, " "), err, bytes.TrimSpace(out))
	}
	return filepath.Glob(filepath.Join(dir, "*.deb"))
}

func (l lists) run(name string, args ...string) ([]byte, error) {
	out, err := l.command(name, args...).Output()
	return out, explained(err)
}

func (l lists) command(name string, args ...string) *exec.Cmd {
	c := exec.Command(name, append(slices.Clone(l.options), args...)...)
	c.Env = append(os.Environ(), "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive")
	return c
}

// explained adds to the error of a program what it wrote to its standard error.
func explained(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) && len(exit.Stderr) > 0 {
		return fmt.Errorf("%w: %s", err, bytes.TrimSpace(exit.Stderr))
	}
	return err
}
