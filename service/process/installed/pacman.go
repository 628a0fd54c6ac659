package installed

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// pacman reads local/NAME-VERSION-RELEASE/: files has the paths below %FILES%, without
// the first slash and with one after folders; mtree (compressed) has the sums.
type pacman struct{ dir string }

func newPacman(root string) *pacman {
	dir := "var/lib/pacman"
	b, err := os.ReadFile(filepath.Join(root, "etc/pacman.conf"))
	for line := range strings.Lines(string(b)) {
		name, value, ok := strings.Cut(line, "=")
		if value = strings.TrimSpace(value); err == nil && ok && strings.TrimSpace(name) == "DBPath" && filepath.IsAbs(value) {
			dir = value
		}
	}
	return &pacman{filepath.Join(root, dir)}
}

func (p *pacman) local(elem ...string) string {
	return filepath.Join(append([]string{p.dir, "local"}, elem...)...)
}

func (p *pacman) stamp() string { return stampOf(p.local()) }

func (p *pacman) busy() bool {
	_, err := os.Lstat(filepath.Join(p.dir, "db.lck"))
	return err == nil
}

func (p *pacman) diversions() []diversion { return nil }

func (p *pacman) read(add func(name, key string), file func([]byte)) error {
	entries, err := os.ReadDir(p.local())
	if err != nil {
		return err
	}
	var buf bytes.Buffer
	var problem error
	line := []byte("/")
	for _, e := range entries {
		name := pacmanName(e.Name())
		if name == "" || !e.IsDir() {
			continue
		}
		if err := slurp(&buf, p.local(e.Name(), "files")); err != nil {
			if !errors.Is(err, fs.ErrNotExist) { // packages of nothing but dependencies have none
				problem = errors.Join(problem, err)
			}
			continue
		}
		add(name, e.Name())
		section(buf.Bytes(), "%FILES%", func(path []byte) {
			if path[len(path)-1] != '/' {
				line = append(line[:1], path...)
				file(line)
			}
		})
	}
	return problem
}

// section calls f with each line below a heading.
func section(b []byte, heading string, f func([]byte)) {
	in := false
	for len(b) > 0 {
		var line []byte
		line, b, _ = bytes.Cut(b, []byte("\n"))
		switch {
		case len(line) == 0:
			in = false
		case line[0] == '%':
			in = string(line) == heading
		case in:
			f(line)
		}
	}
}

// pacmanName is NAME of NAME-VERSION-RELEASE; neither of the others has a hyphen.
func pacmanName(folder string) string {
	for range 2 {
		i := strings.LastIndexByte(folder, '-')
		if i < 1 {
			return ""
		}
		folder = folder[:i]
	}
	return folder
}

func (p *pacman) digest(key string, listed []string) (Digest, error) {
	f, err := os.Open(p.local(key, "mtree"))
	if errors.Is(err, fs.ErrNotExist) {
		return Digest{}, nil
	}
	if err != nil {
		return Digest{}, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return Digest{}, err
	}
	return mtreeDigest(io.LimitReader(z, maxFile), listed)
}

// mtreeDigest finds the sum of one file (mtree(5)): a line has the name and words such as
// sha256digest=….
func mtreeDigest(r io.Reader, names []string) (Digest, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<16)
	for lines.Scan() {
		word, rest, _ := strings.Cut(lines.Text(), " ")
		if !strings.HasPrefix(word, "./") || !slices.Contains(names, unvis(word[1:])) {
			continue
		}
		found := Digest{}
		for w := range strings.FieldsSeq(rest) {
			if sum, ok := strings.CutPrefix(w, "sha256digest="); ok {
				return digest(SHA256, sum), nil
			}
			if sum, ok := strings.CutPrefix(w, "md5digest="); ok {
				found = digest(MD5, sum)
			}
		}
		return found, nil
	}
	if err := lines.Err(); err != nil {
		return Digest{}, fmt.Errorf("mtree: %w", err)
	}
	return Digest{}, nil
}

// unvis reads \040 as a space.
func unvis(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if c, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(c))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
