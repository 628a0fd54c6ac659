package installed

import (
	"bytes"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func b64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// Whatever a database's file holds, reading it ends, and well.
func FuzzSQLite(f *testing.F) {
	b := unpack(f, "rpmdb.sqlite")
	f.Add(b[:20000], []byte(nil))
	f.Add(b[:8192], unpack(f, "rpmdb.sqlite-wal")[:9000])
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, b, log []byte) {
		path := filepath.Join(dir, "rpmdb.sqlite")
		if os.WriteFile(path, b, 0o600) != nil || os.WriteFile(path+"-wal", log, 0o600) != nil {
			t.Skip()
		}
		r := newRPM(dir)
		_ = r.read(func(_, _ string) {}, func([]byte) {})
		_, _ = r.digest("1", []string{"/usr/bin/tool1"})
	})
}

func FuzzHeader(f *testing.F) {
	dir := f.TempDir()
	put(f, filepath.Join(dir, "rpmdb.sqlite"), unpack(f, "rpmdb.sqlite"))
	_ = newRPM(dir).headers(func(_ int64, b []byte) bool { f.Add(bytes.Clone(b)); return true })
	f.Fuzz(func(_ *testing.T, b []byte) {
		h, err := parseHeader(b)
		if err != nil {
			return
		}
		_ = h.text(tagName)
		_ = h.algorithm()
		n := 0
		h.files(func(*headerFile) bool { n++; return n < 100_000 })
	})
}

func FuzzMtree(f *testing.F) {
	f.Add("#mtree\n/set type=file\n./usr/bin/x sha256digest=00 md5digest=11\n./a\\040b link=x\n")
	f.Fuzz(func(_ *testing.T, s string) {
		_, _ = mtreeDigest(strings.NewReader(s), []string{"/usr/bin/x"})
	})
}
