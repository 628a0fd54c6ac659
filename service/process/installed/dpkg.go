package installed

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// dpkg reads what dpkg keeps (dpkg-query(1), FILES; deb-conffiles(5)): info/PACKAGE.list
// has a path a line, info/PACKAGE.md5sums the sums, status those of configuration files.
type dpkg struct{ dir string }

func newDpkg(root string) *dpkg { return &dpkg{filepath.Join(root, "var/lib/dpkg")} }

func (d *dpkg) stamp() string {
	if _, err := os.Stat(filepath.Join(d.dir, "status")); err != nil {
		return ""
	}
	return stampOf(filepath.Join(d.dir, "status"), filepath.Join(d.dir, "info"), filepath.Join(d.dir, "diversions"))
}

func (d *dpkg) busy() bool { return locked(filepath.Join(d.dir, "lock")) }

func (d *dpkg) read(add func(name, key string), file func([]byte)) error {
	dir, err := os.Open(filepath.Join(d.dir, "info"))
	if err != nil {
		return err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return err
	}
	var buf bytes.Buffer
	for _, name := range names {
		key, ok := strings.CutSuffix(name, ".list")
		if !ok {
			continue
		}
		if e := slurp(&buf, filepath.Join(d.dir, "info", name)); e != nil {
			if !errors.Is(e, fs.ErrNotExist) { // removed meanwhile
				err = errors.Join(err, e)
			}
			continue
		}
		plain, _, _ := strings.Cut(key, ":") // libc6:amd64
		add(plain, key)
		lines(buf.Bytes(), file)
	}
	return err
}

// lines calls file with each absolute path that is no folder of the next one.
func lines(b []byte, file func([]byte)) {
	for len(b) > 0 {
		var line []byte
		line, b, _ = bytes.Cut(b, []byte("\n"))
		if len(line) < 2 || line[0] != '/' || len(b) > len(line) && b[len(line)] == '/' && bytes.HasPrefix(b, line) {
			continue
		}
		file(line)
	}
}

// slurp reads a whole file into buf.
func slurp(buf *bytes.Buffer, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	buf.Reset()
	if info, err := f.Stat(); err == nil && info.Size() < maxFile {
		buf.Grow(int(info.Size()) + bytes.MinRead)
	}
	_, err = io.Copy(buf, io.LimitReader(f, maxFile))
	return err
}

// maxFile bounds what is read of one file of a database.
const maxFile = 256 << 20

func (d *dpkg) digest(key string, listed []string) (Digest, error) {
	var buf bytes.Buffer
	err := slurp(&buf, filepath.Join(d.dir, "info", key+".md5sums"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // packages need not have them
		return Digest{}, err
	}
	for line := range bytes.Lines(buf.Bytes()) {
		sum, path, _ := bytes.Cut(bytes.TrimSuffix(line, []byte("\n")), []byte("  "))
		if slices.Contains(listed, "/"+string(path)) {
			return digest(MD5, string(sum)), nil
		}
	}
	return d.conffile(key, listed)
}

// conffile finds a configuration file's sum in the status of its package.
func (d *dpkg) conffile(key string, listed []string) (Digest, error) {
	b, err := os.ReadFile(filepath.Join(d.dir, "status"))
	if err != nil {
		return Digest{}, err
	}
	name, arch, _ := strings.Cut(key, ":")
	start := []byte("Package: " + name + "\n")
	for para := range bytes.SplitSeq(b, []byte("\n\n")) {
		para = append(bytes.TrimLeft(para, "\n"), '\n')
		if !bytes.HasPrefix(para, start) || arch != "" && !bytes.Contains(para, []byte("\nArchitecture: "+arch+"\n")) {
			continue
		}
		for line := range bytes.Lines(para) {
			f := strings.Fields(string(line)) // "obsolete" may follow
			if len(f) > 1 && line[0] == ' ' && slices.Contains(listed, f[0]) {
				return digest(MD5, f[1]), nil
			}
		}
	}
	return Digest{}, nil
}

// diversions reads dpkg-divert's: three lines each.
func (d *dpkg) diversions() []diversion {
	b, err := os.ReadFile(filepath.Join(d.dir, "diversions"))
	if err != nil {
		return nil
	}
	l := strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
	var all []diversion
	for ; len(l) >= 3; l = l[3:] {
		by, _, _ := strings.Cut(strings.TrimPrefix(l[2], ":"), ":") // ":" is the administrator
		all = append(all, diversion{l[0], l[1], by})
	}
	return all
}
