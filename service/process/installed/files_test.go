package installed

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/adler32"
	"io"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The samples in testdata: rpmdb.sqlite was made by rpm 4.18 (twelve packages tool1 to
// tool12, then tool3 removed), its -wal by installing tool3 and removing tool9 while another
// process was reading, pacman by pacman 6.0.2 from packages that bsdtar packed.

func unpack(t testing.TB, name string) []byte {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name+".gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func put(t testing.TB, path string, b []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

type want struct {
	pkg       string
	algorithm Algorithm
	content   string // "-": no digest
}

func check(t *testing.T, f *Files, wants map[string]want) {
	t.Helper()
	for path, w := range wants {
		o, ok := f.Owner(path)
		if ok != (w.pkg != "") || o.Package != w.pkg {
			t.Errorf("%s is of %q, want %q", path, o.Package, w.pkg)
			continue
		}
		d, err := f.Digest(o)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		wanted := Digest{}
		if w.content != "-" && w.pkg != "" {
			h := w.algorithm.New()
			io.WriteString(h, w.content)
			wanted = Digest{w.algorithm, hex.EncodeToString(h.Sum(nil))}
		}
		if d != wanted {
			t.Errorf("%s has %v, want %v", path, d, wanted)
		}
	}
	if err := f.Problem(); err != nil {
		t.Error(err)
	}
}

func tools(three, nine bool) map[string]want {
	all := map[string]want{
		"/usr/bin": {}, "/usr/share/tool1": {}, "/usr/bin/tool": {}, "/usr/share/tool7/file number 401": {},
		"/usr/bin/link1": {"tool1", "", "-"},
		"/run/tool1.pid": {}, // it never had a content
		// Its header is larger than a page many times over.
		"/usr/share/tool7/file number 1":   {"tool7", SHA256, "1\n"},
		"/usr/share/tool7/file number 400": {"tool7", SHA256, "400\n"},
	}
	for i := 1; i <= 12; i++ {
		name := fmt.Sprint("tool", i)
		if i == 3 && !three || i == 9 && !nine {
			name = ""
		}
		all[fmt.Sprintf("/usr/bin/tool%d", i)] = want{name, SHA256, fmt.Sprintf("tool %d\n", i)}
		all[fmt.Sprintf("/etc/tool%d.conf", i)] = want{name, SHA256, fmt.Sprintf("a=%d\n", i)}
	}
	return all
}

func TestRPM(t *testing.T) {
	for _, dir := range []string{"var/lib/rpm", "usr/lib/sysimage/rpm", "usr/share/rpm"} {
		root := t.TempDir()
		put(t, filepath.Join(root, dir, "rpmdb.sqlite"), unpack(t, "rpmdb.sqlite"))
		check(t, New(root), tools(false, true))
		// What is only in the write-ahead log.
		root = t.TempDir()
		put(t, filepath.Join(root, dir, "rpmdb.sqlite"), unpack(t, "rpmdb.sqlite"))
		log := unpack(t, "rpmdb.sqlite-wal")
		put(t, filepath.Join(root, dir, "rpmdb.sqlite-wal"), log)
		check(t, New(root), tools(true, false))
		// A log that breaks off in its first transaction adds nothing; nor does an empty one.
		for _, n := range []int{0, 20, 32, 5000} {
			put(t, filepath.Join(root, dir, "rpmdb.sqlite-wal"), log[:n])
			check(t, New(root), tools(false, true))
		}
		log[40000] ^= 1
		put(t, filepath.Join(root, dir, "rpmdb.sqlite-wal"), log)
		if o, ok := New(root).Owner("/usr/bin/tool12"); !ok {
			t.Errorf("with a broken log nothing is known: %+v", o)
		}
	}
}

// Debian's rpm writes no ndb, so this one is made from the same headers, as rpmpkg.c lays
// it out.
func TestNDB(t *testing.T) {
	root := t.TempDir()
	put(t, filepath.Join(root, "sample/rpmdb.sqlite"), unpack(t, "rpmdb.sqlite"))
	var headers [][]byte
	if err := newRPM(filepath.Join(root, "sample")).headers(func(_ int64, b []byte) bool {
		headers = append(headers, bytes.Clone(b))
		return true
	}); err != nil || len(headers) != 11 {
		t.Fatal(len(headers), err)
	}
	b := ndb(headers)
	put(t, filepath.Join(root, "usr/lib/sysimage/rpm/Packages.db"), b)
	check(t, New(root), tools(false, true))

	for name, change := range map[string]func(b []byte) []byte{
		"magic":     func(b []byte) []byte { b[0] = 'x'; return b },
		"version":   func(b []byte) []byte { b[4] = 1; return b },
		"pages":     func(b []byte) []byte { b[13] = 0xff; return b },
		"slot":      func(b []byte) []byte { b[64] = 'x'; return b },
		"blob":      func(b []byte) []byte { b[4096] = 'x'; return b },
		"size":      func(b []byte) []byte { b[4096+14] = 0xff; return b },
		"cut short": func(b []byte) []byte { return b[:4100] },
		"nothing":   func(b []byte) []byte { return nil },
	} {
		put(t, filepath.Join(root, "usr/lib/sysimage/rpm/Packages.db"), change(bytes.Clone(b)))
		f := New(root)
		f.Owner("/usr/bin/tool1")
		if f.Problem() == nil {
			t.Errorf("%s: no problem", name)
		}
	}
}

func ndb(headers [][]byte) []byte {
	le := binary.LittleEndian
	b := make([]byte, ndbPage)
	for at := 0; at < ndbPage; at += 16 {
		le.PutUint32(b[at:], ndbSlotMagic)
	}
	copy(b, make([]byte, 32))
	for i, n := range []uint32{ndbMagic, 0, 7, 1, uint32(len(headers) + 2)} {
		le.PutUint32(b[4*i:], n)
	}
	for i, h := range headers {
		slot := b[32+16*(2*i):] // with free ones in between
		blocks := (16 + len(h) + 12 + 15) / 16
		le.PutUint32(slot[4:], uint32(i+1))
		le.PutUint32(slot[8:], uint32(len(b)/16))
		le.PutUint32(slot[12:], uint32(blocks))
		blob := make([]byte, 16, blocks*16)
		for j, n := range []uint32{ndbBlobMagic, uint32(i + 1), 1700000000, uint32(len(h))} {
			le.PutUint32(blob[4*j:], n)
		}
		blob = append(blob, h...)
		sum := adler32.Checksum(blob)
		blob = blob[:blocks*16]
		for j, n := range []uint32{sum, uint32(len(h)), 'B' | 'l'<<8 | 'b'<<16 | 'E'<<24} {
			le.PutUint32(blob[len(blob)-12+4*j:], n)
		}
		b = append(b, blob...)
	}
	return b
}

func TestPacman(t *testing.T) {
	root := t.TempDir()
	local := filepath.Join(root, "var/lib/pacman/local")
	if err := os.CopyFS(local, os.DirFS("testdata/pacman")); err != nil {
		t.Fatal(err)
	}
	f := New(root)
	check(t, f, map[string]want{
		"/usr/bin/demo-tool":                      {"demo-tool", SHA256, "demo-tool\n"},
		"/usr/bin/demo-tool-link":                 {"demo-tool", "", "-"},
		"/etc/demo-tool.conf":                     {"demo-tool", SHA256, "c=demo-tool\n"},
		"/usr/bin/lib32-demo":                     {"lib32-demo", SHA256, "lib32-demo\n"},
		"/usr/bin/plain":                          {"plain", SHA256, "plain\n"},
		"/usr/share/plain/file with spaces (ünï)": {"plain", SHA256, "x\n"},
		"/usr/bin":                                {}, "/usr/bin/": {}, "/.PKGINFO": {}, "/usr/bin/plai": {},
		"/etc/plain.conf\tb9455d0e709ae2ea8324889d7dfbc247": {},
	})
	put(t, filepath.Join(root, "var/lib/pacman/db.lck"), nil)
	o, _ := f.Owner("/usr/bin/plain")
	if _, err := f.Digest(o); !errors.Is(err, ErrBusy) {
		t.Errorf("while pacman works: %v", err)
	}
}

func TestAPK(t *testing.T) {
	const db = `C:Q1Deb0jNytkrjPW4N/eKLZ43BwOlw=
P:busybox
V:1.36.1-r5
A:x86_64
T:Size optimized toolbox
p:cmd:busybox=1.36.1-r5
F:bin
M:0:0:755
R:busybox
a:0:0:755
Z:Q1%s
R:sh
a:0:0:777
Z:Q1pcfTfDNEbNKQc2s1tia7da05M8Q=
F:
R:init
Z:Q2%s
F:etc/network/if-up.d
R:dad
a:0:0:775
Z:X1%x

P:empty
V:1

P:other
F:usr/bin
R:other
R:last
Z:Q1!!!
`
	sum := func(a Algorithm, s string) []byte {
		h := a.New()
		io.WriteString(h, s)
		return h.Sum(nil)
	}
	for _, dir := range []string{"lib/apk/db", "usr/lib/apk/db"} {
		root := t.TempDir()
		put(t, filepath.Join(root, dir, "installed"), fmt.Appendf(nil, db, b64(sum(SHA1, "box")), b64(sum(SHA256, "init")), sum(SHA1, "dad")))
		check(t, New(root), map[string]want{
			"/bin/busybox":                 {"busybox", SHA1, "box"},
			"/init":                        {"busybox", SHA256, "init"},
			"/etc/network/if-up.d/dad":     {"busybox", SHA1, "dad"},
			"/usr/bin/other":               {"other", "", "-"},
			"/usr/bin/last":                {"other", "", "-"},
			"/bin":                         {},
			"/usr/bin/busybox":             {},
			"/etc/network/if-up.d/busybox": {},
		})
	}
}

// Merged folders lead to the file whichever way, chained ones too.
func TestMergedFolders(t *testing.T) {
	root := t.TempDir()
	put(t, filepath.Join(root, "var/lib/dpkg/status"), nil)
	put(t, filepath.Join(root, "var/lib/dpkg/info/a.list"), []byte("/sbin/ip\n/usr/bin/env\n/lib/ld.so\n"))
	put(t, filepath.Join(root, "var/lib/dpkg/info/a.md5sums"), []byte("d41d8cd98f00b204e9800998ecf8427e  sbin/ip\n"))
	for name, to := range map[string]string{"sbin": "usr/sbin", "bin": "/usr/bin", "usr/sbin": "bin"} {
		if err := os.MkdirAll(filepath.Join(root, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(to, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	check(t, New(root), map[string]want{
		"/sbin/ip": {"a", MD5, ""}, "/usr/sbin/ip": {"a", MD5, ""}, "/usr/bin/ip": {"a", MD5, ""}, "/bin/ip": {"a", MD5, ""},
		"/bin/env": {"a", "", "-"}, "/sbin/env": {"a", "", "-"}, "/lib/ld.so": {"a", "", "-"}, "/usr/lib/ld.so": {},
	})
}

// Where pacman's own configuration says, and nowhere else.
func TestPacmanElsewhere(t *testing.T) {
	root := t.TempDir()
	if err := os.CopyFS(filepath.Join(root, "usr/lib/holo/pacmandb/local"), os.DirFS("testdata/pacman")); err != nil {
		t.Fatal(err)
	}
	check(t, New(root), map[string]want{"/usr/bin/plain": {}})
	put(t, filepath.Join(root, "etc/pacman.conf"), []byte("[options]\n#DBPath = /var/lib/pacman/\nDBPath      = /usr/lib/holo/pacmandb/\n"))
	check(t, New(root), map[string]want{"/usr/bin/plain": {"plain", SHA256, "plain\n"}})
}

// Without any database nothing is known, and nothing is a problem.
func TestNoDatabase(t *testing.T) {
	check(t, New(t.TempDir()), map[string]want{"/usr/bin/env": {}})
}
