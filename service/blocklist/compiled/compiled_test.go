package compiled

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sekisho/service/blocklist/format"
)

// build compiles lists, given as entries by id, in the order of ids.
func build(t testing.TB, ids []string, lists [][]format.Entry) *File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "compiled")
	buildAt(t, path, ids, lists)
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Release)
	return f
}

func buildAt(t testing.TB, path string, ids []string, lists [][]format.Entry) {
	t.Helper()
	b := NewBuilder(path)
	b.seed = 1 // the same each time, for the fuzzer
	defer b.Close()
	for i, id := range ids {
		if err := b.List(id); err != nil {
			t.Fatal(err)
		}
		for _, e := range lists[i] {
			if err := b.Add(e); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := b.Build(context.Background(), sha256.Sum256([]byte("source"))); err != nil {
		t.Fatal(err)
	}
}

// entries writes a list shortly: a name, "*.name", ".name" for both, a network, or a
// page beginning with http://; "@" before it for an exception, "@@" for one that
// overrides.
func entries(t testing.TB, text string) []format.Entry {
	var es []format.Entry
	for w := range strings.FieldsSeq(text) {
		var e format.Entry
		if s, ok := strings.CutPrefix(w, "@@"); ok {
			e.Exception, e.Overrides, w = true, true, s
		} else if s, ok := strings.CutPrefix(w, "@"); ok {
			e.Exception, w = true, s
		}
		if p, err := netip.ParsePrefix(w); err == nil {
			e.Network = p
		} else if s, ok := strings.CutPrefix(w, "http://"); ok {
			e.URL = s
		} else if s, ok := strings.CutPrefix(w, "*."); ok {
			e.Name, e.Below = s, true
		} else if s, ok := strings.CutPrefix(w, "."); ok {
			e.Name, e.Exact, e.Below = s, true, true
		} else {
			e.Name, e.Exact = w, true
		}
		es = append(es, e)
	}
	return es
}

// shown gives matches as "list:entry …".
func shown(f *File, ms []Match) string {
	var s []string
	for _, m := range ms {
		s = append(s, f.Lists()[m.List]+":"+m.Entry())
	}
	return strings.Join(s, " ")
}

func TestLookup(t *testing.T) {
	f := build(t, []string{"a", "b", "c"}, [][]format.Entry{
		entries(t, `ads.example.com *.below.example.com .both.example.com
			.zone.example.org @good.zone.example.org .bad.good.zone.example.org
			198.51.100.0/24 198.51.100.128/25 198.51.100.130/32 @198.51.100.131/32 2001:db8::/32 2001:db8:1::/48
			http://example.net/evil http://example.net/q?a=1`),
		entries(t, `ads.example.com .browser.example.org @@.fine.browser.example.org .worse.fine.browser.example.org
			198.51.100.128/25 203.0.113.9/32`),
		entries(t, `*.twice.example.com twice.example.com @ads.example.com`),
	})
	for _, c := range []struct{ ask, want string }{
		{"ads.example.com", "a:ads.example.com b:ads.example.com"},
		{"x.ads.example.com", ""},
		{"example.com", ""},
		{"com", ""},
		{"", ""},
		{"below.example.com", ""},
		{"x.below.example.com", "a:*.below.example.com"},
		{"x.y.below.example.com", "a:*.below.example.com"},
		{"xbelow.example.com", ""},
		{"both.example.com", "a:both.example.com"},
		{"x.both.example.com", "a:*.both.example.com"},
		{"zone.example.org", "a:zone.example.org"},
		{"good.zone.example.org", ""},
		{"x.good.zone.example.org", "a:*.zone.example.org"},
		{"bad.good.zone.example.org", "a:bad.good.zone.example.org"},
		{"x.browser.example.org", "b:*.browser.example.org"},
		{"fine.browser.example.org", ""},
		{"worse.fine.browser.example.org", ""},
		{"twice.example.com", "c:twice.example.com"},
		{"x.twice.example.com", "c:*.twice.example.com"},
		{"198.51.100.1", "a:198.51.100.0/24"},
		{"198.51.100.129", "b:198.51.100.128/25 a:198.51.100.128/25"},
		{"198.51.100.130", "a:198.51.100.130 b:198.51.100.128/25"},
		{"198.51.100.131", "b:198.51.100.128/25"},
		{"198.51.100.255", "b:198.51.100.128/25 a:198.51.100.128/25"},
		{"198.51.101.0", ""},
		{"198.51.99.255", ""},
		{"203.0.113.9", "b:203.0.113.9"},
		{"0.0.0.0", ""},
		{"255.255.255.255", ""},
		{"::ffff:203.0.113.9", "b:203.0.113.9"},
		{"2001:db8::5", "a:2001:db8::/32"},
		{"2001:db8:1::5", "a:2001:db8:1::/48"},
		{"2001:db9::", ""},
		{"::", ""},
		{"http://example.net/evil", "a:http://example.net/evil"},
		{"http://EXAMPLE.net:80/%65vil", "a:http://example.net/evil"},
		{"http://example.net/evil?x=1", "a:http://example.net/evil"},
		{"http://example.net/evil/more", ""},
		{"http://example.net/", ""},
		{"http://example.net/q", ""},
		{"http://example.net/q?a=1", "a:http://example.net/q?a=1"},
	} {
		var ms []Match
		if s, ok := strings.CutPrefix(c.ask, "http://"); ok {
			host, _, _ := strings.Cut(s, "/")
			ms = f.AppendURL(nil, host, s[len(host):])
		} else if a, err := netip.ParseAddr(c.ask); err == nil {
			ms = f.AppendAddr(nil, a)
		} else {
			ms = f.AppendName(nil, c.ask)
		}
		if got := shown(f, ms); got != c.want {
			t.Errorf("%s matches %q, want %q", c.ask, got, c.want)
		}
	}
	if f.Source() != sha256.Sum256([]byte("source")) {
		t.Error("the source is another")
	}
}

func TestEmptyFile(t *testing.T) {
	f := build(t, nil, nil)
	if ms := f.AppendName(f.AppendAddr(f.AppendURL(nil, "example.com", "/"), netip.MustParseAddr("192.0.2.1")), "example.com"); len(ms) != 0 {
		t.Errorf("nothing matches %v", ms)
	}
}

func TestMissAllocatesNothing(t *testing.T) {
	f := build(t, []string{"a"}, [][]format.Entry{entries(t, "ads.example.com 198.51.100.0/24 2001:db8::/32")})
	four, six := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db9::1")
	if n := testing.AllocsPerRun(100, func() {
		f.AppendName(nil, "www.example.com")
		f.AppendAddr(nil, four)
		f.AppendAddr(nil, six)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestDamagedFileIsRefused: any byte changed, and any length cut to.
func TestDamagedFileIsRefused(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "compiled")
	buildAt(t, path, []string{"a"}, [][]format.Entry{entries(t, "ads.example.com 198.51.100.0/24 2001:db8::/32 http://example.net/x")})
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	try := func(b []byte) error {
		p := filepath.Join(dir, "damaged")
		if err := os.WriteFile(p, b, 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := Open(p)
		if err == nil {
			f.Release()
		}
		return err
	}
	if err := try(whole); err != nil {
		t.Fatalf("the whole file: %v", err)
	}
	for i := range whole {
		b := append([]byte(nil), whole...)
		b[i] ^= 0x20
		if err := try(b); !errors.Is(err, ErrDamaged) {
			t.Fatalf("byte %d changed: %v", i, err)
		}
	}
	for n := 0; n < len(whole); n += 7 {
		if err := try(whole[:n]); !errors.Is(err, ErrDamaged) {
			t.Fatalf("cut to %d bytes: %v", n, err)
		}
	}
	if err := try(append(whole, 0)); !errors.Is(err, ErrDamaged) {
		t.Errorf("a byte too many: %v", err)
	}
}

// TestReleasedWhileRead: a reader of the old file keeps it until it is done.
func TestReleasedWhileRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "compiled")
	buildAt(t, path, []string{"a"}, [][]format.Entry{entries(t, "ads.example.com")})
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if !f.Acquire() {
		t.Fatal("an open file can't be acquired")
	}
	f.Release() // the owner's
	if len(f.AppendName(nil, "ads.example.com")) != 1 {
		t.Error("the reader lost the file")
	}
	f.Release()
	if f.Acquire() {
		t.Error("an unmapped file was acquired")
	}
}

// TestBuilderLeavesNothing of an unfinished file, and the one before stays.
func TestBuilderLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "compiled")
	buildAt(t, path, []string{"a"}, [][]format.Entry{entries(t, "ads.example.com")})
	ctx, stop := context.WithCancel(context.Background())
	stop()
	b := NewBuilder(path)
	if err := b.List("b"); err != nil {
		t.Fatal(err)
	}
	for i := range 3 * arenaFew / 2 { // so many that they are sorted on disk
		n := "n" + string(rune('a'+i%26)) + strings.Repeat("x", i%7) + ".example.com"
		if err := b.Add(format.Entry{Name: n, Exact: true}); err != nil {
			t.Fatal(err)
		}
		if err := b.Add(format.Entry{Network: netip.PrefixFrom(netip.AddrFrom4([4]byte{9, byte(i >> 16), byte(i >> 8), byte(i)}), 32)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Build(ctx, [32]byte{}); !errors.Is(err, context.Canceled) {
		t.Fatalf("build after the end: %v", err)
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != 1 {
		t.Errorf("left behind: %v", files)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Release()
	if len(f.AppendName(nil, "ads.example.com")) != 1 {
		t.Error("the file of before is gone")
	}
}
