package installed

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// apk reads the file installed, one paragraph a package: P its name, F a folder, R a file
// in it, Z that file's sum.
type apk struct{ dir string }

func newAPK(dir string) *apk { return &apk{dir} }

func (a *apk) file() string { return filepath.Join(a.dir, "installed") }

func (a *apk) stamp() string { return stampOf(a.file()) }

func (a *apk) busy() bool { return locked(filepath.Join(a.dir, "lock")) }

func (a *apk) diversions() []diversion { return nil }

func (a *apk) read(add func(name, key string), file func([]byte)) error {
	return a.walk(func(p *apkFile) bool {
		if p.kind == 'P' {
			add(string(p.pkg), string(p.pkg))
		}
		if p.kind == 'R' {
			file(p.path)
		}
		return true
	})
}

func (a *apk) digest(key string, listed []string) (found Digest, err error) {
	at := false
	err = a.walk(func(p *apkFile) bool {
		switch p.kind {
		case 'P':
			at = false
		case 'R':
			at = string(p.pkg) == key && slices.Contains(listed, string(p.path))
		case 'Z':
			if at {
				found = apkDigest(string(p.value))
				return false
			}
		}
		return true
	})
	return found, err
}

// apkFile is where a walk is.
type apkFile struct {
	kind      byte
	value     []byte
	pkg, path []byte
}

func (a *apk) walk(f func(*apkFile) bool) error {
	b, err := os.ReadFile(a.file())
	if err != nil {
		return err
	}
	var p apkFile
	var folder []byte
	for len(b) > 0 {
		var line []byte
		line, b, _ = bytes.Cut(b, []byte("\n"))
		if len(line) < 2 || line[1] != ':' {
			continue
		}
		p.kind, p.value = line[0], line[2:]
		switch p.kind {
		case 'P':
			p.pkg, folder = p.value, nil
		case 'F':
			folder = p.value
		case 'R':
			p.path = append(p.path[:0], '/')
			if len(folder) > 0 {
				p.path = append(append(p.path, folder...), '/')
			}
			p.path = append(p.path, p.value...)
		}
		if !f(&p) {
			return nil
		}
	}
	return nil
}

// apkDigest reads Q1… (base64) and X1… (hex): 1 is SHA-1, 2 is SHA-256.
func apkDigest(s string) Digest {
	if len(s) < 2 {
		return Digest{}
	}
	algorithm := map[byte]Algorithm{'1': SHA1, '2': SHA256}[s[1]]
	switch s[0] {
	case 'X':
		return digest(algorithm, s[2:])
	case 'Q':
		if raw, err := base64.StdEncoding.DecodeString(pad(s[2:])); err == nil {
			return digest(algorithm, hex.EncodeToString(raw))
		}
	}
	return Digest{}
}

// pad completes base64 that may lack the signs at its end.
func pad(s string) string {
	s = strings.TrimRight(s, "=")
	return s + strings.Repeat("=", (4-len(s)%4)%4)
}
