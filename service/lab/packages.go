package lab

import (
	"crypto/md5"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Fetcher makes a copy of the program fetch (service/lab/programs/fetch) of that name, a
// file of its own and so a program of its own. It is run with a URL and a file.
func (h *Host) Fetcher(name string) *Program {
	h.lab.t.Helper()
	return &Program{Path: h.lab.copyProgram("service/lab/programs/fetch", name), host: h}
}

// At is a program at a path as the host's programs see it.
func (h *Host) At(path string) *Program { return &Program{Path: path, host: h} }

// Disk mounts an empty file system of its own that only the host's programs see, and that
// an account may write to. It ends with the lab.
func (h *Host) Disk(name string, uid uint32) string {
	h.lab.t.Helper()
	dir := h.lab.file(name)
	err := os.Mkdir(dir, 0o755)
	if err == nil {
		err = h.ns.do(func() error {
			return unix.Mount("none", dir, "tmpfs", 0, fmt.Sprintf("mode=0755,uid=%d,gid=%d", uid, uid))
		})
	}
	if err != nil {
		h.lab.t.Fatalf("disk %s: %v", name, err)
	}
	return dir
}

// Packages is what dpkg keeps on a host, where it stands in for the machine's own.
type Packages struct {
	// Root is the folder that the host's programs see as /var/lib.
	Root string
	host *Host
}

// Packages gives the host a /var/lib of its own, in which no package is installed yet.
func (h *Host) Packages() *Packages {
	h.lab.t.Helper()
	p := &Packages{Root: h.lab.file("var-lib"), host: h}
	err := os.MkdirAll(filepath.Join(p.Root, "dpkg/info"), 0o755)
	if err == nil {
		err = p.write("status", "")
	}
	if err == nil {
		err = h.ns.do(func() error { return bind(p.Root, "/var/lib") })
	}
	if err != nil {
		h.lab.t.Fatalf("packages: %v", err)
	}
	return p
}

// Install notes that a package has these files as they are now: it was installed, or
// updated.
func (p *Packages) Install(name string, files ...string) {
	p.host.lab.t.Helper()
	var list, sums strings.Builder
	list.WriteString("/.\n")
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			p.host.lab.t.Fatalf("install %s: %v", name, err)
		}
		fmt.Fprintf(&list, "%s\n", file)
		fmt.Fprintf(&sums, "%x  %s\n", md5.Sum(b), strings.TrimPrefix(file, "/"))
	}
	status := fmt.Sprintf("Package: %s\nStatus: install ok installed\nArchitecture: all\nVersion: 1\n\n", name)
	for file, content := range map[string]string{"status": status, "info/" + name + ".list": list.String(), "info/" + name + ".md5sums": sums.String()} {
		if err := p.write(file, content); err != nil {
			p.host.lab.t.Fatalf("install %s: %v", name, err)
		}
	}
}

// write puts a new file in the place of the old one, as dpkg does.
func (p *Packages) write(file, content string) error {
	path := filepath.Join(p.Root, "dpkg", file)
	if err := os.WriteFile(path+".new", []byte(content), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// Replace puts another file in the program's place: the same program with a mark at its
// end, which tells one from another and does nothing.
func (p *Program) Replace(mark string) error {
	b, err := os.ReadFile(p.Path)
	if err != nil {
		return err
	}
	if err := os.WriteFile(p.Path+".new", append(b, mark...), 0o755); err != nil {
		return err
	}
	return os.Rename(p.Path+".new", p.Path)
}
