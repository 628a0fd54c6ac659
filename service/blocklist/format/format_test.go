package format

import (
	"bytes"
	"compress/gzip"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/*.want anew")

// samples are the files of testdata and how they are found to be written.
var samples = []struct {
	file   string
	format Format
}{
	{"hosts.txt", Hosts}, {"names.txt", Names}, {"dnsmasq.txt", Dnsmasq}, {"adblock.txt", Adblock},
	{"rpz.txt", RPZ}, {"networks.txt", Networks}, {"netset.txt", Networks}, {"ipset.txt", IPSet}, {"urls.txt", URLs},
}

// TestSamples reads each sample, whose expected entries and skipped lines are in a file
// beside it: its format told, found, and found in a packed copy.
func TestSamples(t *testing.T) {
	for _, s := range samples {
		t.Run(s.file, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join("testdata", s.file))
			if err != nil {
				t.Fatal(err)
			}
			wantFile := filepath.Join("testdata", strings.TrimSuffix(s.file, ".txt")+".want")
			got := dump(t, bytes.NewReader(text), s.format)
			if *update {
				if err := os.WriteFile(wantFile, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(wantFile)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("read as %s:\n%s\nwant:\n%s", s.format, got, want)
			}
			if got := dump(t, bytes.NewReader(text), Auto); got != string(want) {
				t.Errorf("found by content:\n%s\nwant:\n%s", got, want)
			}
			if got := dump(t, bytes.NewReader(packed9(t, text)), Auto); got != string(want) {
				t.Errorf("packed:\n%s\nwant:\n%s", got, want)
			}
			dos := bytes.ReplaceAll(append([]byte("\xef\xbb\xbf"), text...), []byte("\n"), []byte("\r\n"))
			if got := dump(t, bytes.NewReader(dos), Auto); got != string(want) {
				t.Errorf("with a byte order mark and CRLF:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

func packed9(t testing.TB, text []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// dump writes all that a list gives as text.
func dump(t *testing.T, r io.Reader, f Format) string {
	t.Helper()
	var s strings.Builder
	r, err := Text(r, MaxText)
	if err != nil {
		t.Fatal(err)
	}
	report, err := Parse(r, Options{Format: f}, func(e Entry) error {
		s.WriteString(show(e) + "\n")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	first := report.First
	report.First = nil
	fmt.Fprintf(&s, "%s: %d names, %d networks, %d urls, %d exceptions, %d left, %d broken\n", report.Format,
		report.Names, report.Networks, report.URLs, report.Exceptions, report.Left, report.Broken)
	for _, l := range first {
		fmt.Fprintf(&s, "line %d: %s: %s\n", l.Number, l.Why, l.Text)
	}
	return s.String()
}

func show(e Entry) string {
	s := e.Name + e.URL
	if e.Network.IsValid() {
		s = e.Network.String()
	}
	for _, w := range []struct {
		on   bool
		word string
	}{{e.Exact, "exact"}, {e.Below, "below"}, {e.Exception, "exception"}, {e.Overrides, "overrides"}} {
		if w.on {
			s += " " + w.word
		}
	}
	return s
}

// TestHostileTextIsRefused: what THREATS.md and its like would have us swallow.
func TestHostileTextIsRefused(t *testing.T) {
	const good = "0.0.0.0 a.example.com\n0.0.0.0 b.example.com\n"
	zip := "PK\x03\x04\x14\x00\x00\x00" + strings.Repeat("\x00", 100)
	gz := string(packed9(t, []byte(strings.Repeat(good, 1000))))
	for _, c := range []struct{ name, text, why string }{
		{"nothing", "", "it is empty"},
		{"only white space", " \n\n", "it is empty"},
		{"only comments", "# nothing yet\n", "no name, address or network"},
		{"web page", "<!DOCTYPE html>\n<html><body>Login</body></html>", "a web page"},
		{"web page after space", "\n\n  <html lang=en>", "a web page"},
		{"XML", "<?xml version=\"1.0\"?><Error>AccessDenied</Error>", "a web page"},
		{"JSON", `{"message": "Not Found"}`, "JSON"},
		{"zip", zip, "a zip archive"},
		{"binary", "\x7fELF\x02\x01\x01\x00\x00", "a program"},
		{"binary without magic", good + "\x00\x01\x02\xff", "binary data"},
		{"binary after the sample", strings.Repeat(good, 4000) + "\x00\x00", "binary data"},
		{"picture", "\x89PNG\r\n\x1a\n\x00\x00", "a picture"},
		{"gzip twice", string(packed9(t, packed9(t, []byte(good)))), "packed with gzip twice"},
		{"gzip cut short", gz[:len(gz)/2], "ends in the middle"},
		{"gzip damaged", gz[:20] + "xxxxxxxxxxxxxxx" + gz[35:], "is damaged"},
		{"localhost to nowhere", good + "0.0.0.0 localhost\n", "localhost is this machine"},
		{"localhost to nowhere, IPv6", good + ":: localhost\n", "localhost is this machine"},
		{"only this machine's names", "127.0.0.1 localhost\n::1 localhost\n", "no name, address or network"},
		{"localhost as a name", "a.example.com\nb.example.com\nlocalhost\n", "localhost is this machine"},
		{"localhost for browsers", "||a.example.com^\n||localhost^\n", "localhost is this machine"},
		{"localhost for dnsmasq", "address=/a.example.com/\naddress=/localhost/\n", "localhost is this machine"},
		{"localhost's page", "http://a.example.com/x\nhttp://localhost/x\n", "localhost is this machine"},
		{"TLD, wild", "a.example.com\n*.com\n", "every name under .com"},
		{"TLD for browsers", "||a.example.com^\n||com^\n", "every name under .com"},
		{"TLD for dnsmasq", "address=/a.example.com/\naddress=/net/\n", "every name under .net"},
		{"TLD in a zone", "a.example.com CNAME .\n*.org CNAME .\n", "every name under .org"},
		{"all names in a zone", "a.example.com CNAME .\n* CNAME .\n", "every name would be blocked"},
		{"all names for dnsmasq", "address=/a.example.com/\naddress=/#/\n", "every name would be blocked"},
		{"0.0.0.0/0", "198.51.100.1\n0.0.0.0/0\n", "0.0.0.0/0 would block every address"},
		{"::/0", "198.51.100.1\n::/0\n", "::/0 would block every address"},
		{"half of the Internet", "198.51.100.1\n128.0.0.0/1\n", "too much of the Internet"},
		{"all of IPv6", "2001:db8::1\n2000::/3\n", "too much of the Internet"},
		{"all as a range", "198.51.100.1\n0.0.0.0-255.255.255.255\n", "would block every address"},
		{"all of IPv4 as IPv6", "198.51.100.1\n::ffff:0:0/96\n", "would block every address"},
		{"all in a set", "add x 198.51.100.1\nadd x 0.0.0.0/0\n", "would block every address"},
		{"all in a zone", "a.example.com CNAME .\n0.0.0.0.0.rpz-ip CNAME .\n", "would block every address"},
		{"all in parts", allInParts(), "more than half"},
		{"huge line", good + strings.Repeat("x", MaxLine+1) + "\n", "longer than 64 KiB"},
		{"huge line without an end", "0.0.0.0 " + strings.Repeat("a", 10*MaxLine), "longer than 64 KiB"},
		{"prose", strings.Repeat("This is a text about lists and no list.\n", 50), "no name, address or network"},
		{"updates", good + "0.0.0.0 updates.example.org\n", "updates.example.org would stop updates"},
		{"updates from above", "||a.example.com^\n||example.org^\n", "example.org would stop updates, which come from updates.example.org"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := Text(strings.NewReader(c.text), MaxText)
			if err == nil {
				_, err = Parse(r, Options{Guarded: []string{"updates.example.org"}}, func(Entry) error { return nil })
			}
			var refusal *Refusal
			if !errors.As(err, &refusal) || !strings.Contains(err.Error(), c.why) || refusal.Do == "" {
				t.Errorf("error %v, want a refusal that says %q and what to do", err, c.why)
			}
		})
	}
}

// TestOddEntriesAreLeftOut: those that good lists have by mistake.
func TestOddEntriesAreLeftOut(t *testing.T) {
	for _, text := range []string{
		"0.0.0.0 a.example.com\n0.0.0.0 app.localhost\n0.0.0.0 youtube.local\n0.0.0.0 oneword\n",
		"||a.example.com^\n||co.uk^\n||app.localhost^\n||net.kg^\n",
		"a.example.com\n*.co.uk\n*.net.kg\nx.localdomain\n",
		"198.51.100.1\n127.0.0.1\n10.0.0.0/8\n::1\n",
		"http://a.example.com/x\nhttp://app.localhost/x\nhttp://10.1.2.3/x\nhttp://[::1]/\n",
	} {
		var got []string
		r, err := Parse(strings.NewReader(text), Options{}, func(e Entry) error { got = append(got, show(e)); return nil })
		if err != nil || len(got) != 1 || r.Left != 3 || len(r.First) != 3 {
			t.Errorf("%q: %v, %+v, error %v", text, got, r, err)
		}
	}
}

func allInParts() string {
	var s strings.Builder
	for i := 1; i < 224; i++ {
		if i != 10 && i != 127 {
			fmt.Fprintf(&s, "%d.0.0.0/8\n", i)
		}
	}
	return s.String()
}

// TestGzipBombIsRefused: a few KiB that unpack to more than a list may have, read no
// further than the bound.
func TestGzipBombIsRefused(t *testing.T) {
	bomb := packed9(t, bytes.Repeat([]byte("0.0.0.0 a.example.com\n"), 200_000))
	r, err := Text(bytes.NewReader(bomb), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(io.Discard, r)
	var refusal *Refusal
	if !errors.As(err, &refusal) || !strings.Contains(err.Error(), "longer than 1 MiB") || n > 1<<20 {
		t.Errorf("%d bytes of %d packed, error %v", n, len(bomb), err)
	}
}

// TestTooManyEntriesAreRefused and none is read after the bound.
func TestTooManyEntriesAreRefused(t *testing.T) {
	n := 0
	_, err := Parse(strings.NewReader(strings.Repeat("0.0.0.0 a.example.com\n", 1000)), Options{MaxEntries: 10},
		func(Entry) error { n++; return nil })
	if err == nil || !strings.Contains(err.Error(), "more than 10 entries") || n > 11 {
		t.Errorf("%d entries, error %v", n, err)
	}
}

// TestEmitEndsParse: the caller's error comes out as it is.
func TestEmitEndsParse(t *testing.T) {
	stop := errors.New("stop")
	n := 0
	_, err := Parse(strings.NewReader("0.0.0.0 a.example.com b.example.com\n0.0.0.0 c.example.com\n"), Options{},
		func(Entry) error { n++; return stop })
	if !errors.Is(err, stop) || n != 1 {
		t.Errorf("%d entries, error %v", n, err)
	}
}

func TestURLKey(t *testing.T) {
	for _, c := range []struct{ host, target, want string }{
		{"Example.COM", "/x", "example.com/x"},
		{"example.com:80", "/x", "example.com/x"},
		{"example.com:8080", "/x", "example.com:8080/x"},
		{"example.com.", "", "example.com/"},
		{"example.com", "/%65vil/./a/../b/", "example.com/evil/b/"},
		{"example.com", "//a//b?q=1#f", "example.com/a/b?q=1"},
		{"[2001:DB8::1]:81", "/", "[2001:db8::1]:81/"},
		{"2001:db8::1", "/", ""},
		{"exa mple.com", "/", ""},
		{"example.com:99999999", "/", ""},
		{"", "/", ""},
	} {
		got, ok := URLKey(c.host, c.target)
		if ok != (c.want != "") || ok && got != c.want {
			t.Errorf("URLKey(%q, %q) = %q, %v; want %q", c.host, c.target, got, ok, c.want)
		}
	}
}
