package compiled

import (
	"crypto/sha256"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"sekisho/service/blocklist/format"
)

// FuzzOpen changes files and gives them a right checksum again: what the bounds are
// for. No look-up may leave the file or go on for ever.
func FuzzOpen(f *testing.F) {
	path := filepath.Join(f.TempDir(), "compiled")
	for _, text := range []string{"", "ads.example.com *.b.example.com @c.example.com",
		"198.51.100.0/24 198.51.100.0/25 2001:db8::/32 http://example.com/x ads.example.com"} {
		buildAt(f, path, []string{"a", "b"}, [][]format.Entry{entries(f, text), entries(f, text)})
		b, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := read(seal(b))
		if err != nil {
			return
		}
		var ms []Match
		for _, n := range []string{"ads.example.com", "x.b.example.com", "c.example.com", "example.com", "a"} {
			ms = c.AppendName(ms, n)
		}
		for _, a := range []string{"198.51.100.1", "198.51.100.200", "255.255.255.255", "0.0.0.0", "2001:db8::1", "::"} {
			ms = c.AppendAddr(ms, netip.MustParseAddr(a))
		}
		ms = c.AppendURL(ms, "example.com", "/x?y")
		for i := range ms {
			if ms[i].List < 0 || ms[i].List >= len(c.Lists()) {
				t.Fatalf("match %+v of no list", ms[i])
			}
			_ = ms[i].Entry()
		}
	})
}

// seal gives a file the magic, version and checksum that it should have.
func seal(b []byte) []byte {
	b = append([]byte(nil), b...)
	for len(b) < headerSize {
		b = append(b, 0)
	}
	copy(b, magic)
	b[8], b[9], b[10], b[11] = version, 0, 0, 0
	h, err := decodeHeader(b)
	if err != nil {
		panic(err)
	}
	rest := sha256.Sum256(b[headerSize:])
	h.Sum = h.sum(rest[:])
	copy(b, h.encode())
	return b
}
