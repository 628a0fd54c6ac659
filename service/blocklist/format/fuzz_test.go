package format

import (
	"bytes"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
)

// Each format has its target, so that the fuzzer's corpus stays one of that format.
func FuzzHosts(f *testing.F)    { fuzz(f, Hosts, "hosts.txt") }
func FuzzNames(f *testing.F)    { fuzz(f, Names, "names.txt") }
func FuzzDnsmasq(f *testing.F)  { fuzz(f, Dnsmasq, "dnsmasq.txt") }
func FuzzAdblock(f *testing.F)  { fuzz(f, Adblock, "adblock.txt") }
func FuzzRPZ(f *testing.F)      { fuzz(f, RPZ, "rpz.txt") }
func FuzzNetworks(f *testing.F) { fuzz(f, Networks, "networks.txt", "netset.txt") }
func FuzzIPSet(f *testing.F)    { fuzz(f, IPSet, "ipset.txt") }
func FuzzURLs(f *testing.F)     { fuzz(f, URLs, "urls.txt") }

// FuzzDetect reads as a list that was fetched: perhaps packed, of an unknown format.
func FuzzDetect(f *testing.F) {
	var all []string
	for _, s := range samples {
		all = append(all, s.file)
	}
	f.Add(packed9(f, []byte("0.0.0.0 a.example.com\n")))
	fuzz(f, Auto, all...)
}

// fuzz checks what holds for any text: no panic, only entries that block nothing of
// this machine and not too much, and an error that says what to do.
func fuzz(f *testing.F, format Format, files ...string) {
	for _, name := range files {
		text, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := Text(bytes.NewReader(text), 1<<20)
		if err == nil {
			_, err = Parse(r, Options{Format: format, Guarded: []string{"updates.example.org"}}, func(e Entry) error {
				checkEntry(t, e)
				return nil
			})
		}
		var refusal *Refusal
		if err != nil && (!errors.As(err, &refusal) || refusal.Do == "") {
			t.Fatalf("error %v is no refusal", err)
		}
	})
}

func checkEntry(t *testing.T, e Entry) {
	t.Helper()
	kinds := 0
	if e.Name != "" {
		kinds++
		if n, ok := CleanName(e.Name); !ok || n != e.Name || !e.Exact && !e.Below {
			t.Fatalf("entry %+v isn't clean", e)
		}
		if !e.Exception && (local(e.Name) || e.Name == "updates.example.org" && e.Exact) {
			t.Fatalf("entry %+v is this machine or stops updates", e)
		}
	}
	if e.URL != "" {
		kinds++
		if a, err := netip.ParseAddr(hostOf(e.URL)); err == nil && OfNoHost(a) || local(hostOf(e.URL)) {
			t.Fatalf("entry %+v is this machine", e)
		}
	}
	if p := e.Network; p.IsValid() {
		kinds++
		if p != p.Masked() || p.Addr().Zone() != "" || p.Addr().Is4In6() {
			t.Fatalf("entry %+v isn't clean", e)
		}
		if !e.Exception && (OfNoHost(p.Addr()) || p.Addr().Is4() && p.Bits() < widest4 || p.Addr().Is6() && p.Bits() < widest6) {
			t.Fatalf("entry %+v blocks too much", e)
		}
	}
	if kinds != 1 {
		t.Fatalf("entry %+v is of %d kinds", e, kinds)
	}
}
