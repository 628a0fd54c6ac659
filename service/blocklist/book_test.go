package blocklist

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"sekisho/app/flow"
	"sekisho/service/blocklist/format"
)

const mixed = `ads.example.com
*.evil.example.net
198.51.100.0/24
2a00:bad::/32
203.0.113.9
`

func TestLook(t *testing.T) {
	s := newScene(t, nil)
	bad, odd := fromFile("bad"), fromFile("odd")
	odd.Action, odd.Category = Warn, Ads
	bad.Exceptions = []Exception{
		{Program: "/usr/bin/free"},
		{Entry: "fine.evil.example.net"},
		{Program: "/usr/bin/mail", Entry: "198.51.100.25"},
		{Program: "/usr/bin/web", Entry: "*.evil.example.net"},
	}
	s.set(bad, odd)
	s.imports("bad", mixed)
	s.imports("odd", "ads.example.com\nodd.example.org\n")
	for _, c := range []struct {
		name string
		q    Query
		want string
	}{
		{"a name", Query{Name: "ads.example.com"}, "bad block malware ads.example.com (ads.example.com), odd warn ads ads.example.com (ads.example.com)"},
		{"written otherwise", Query{Name: "ADS.Example.com."}, "bad block malware ads.example.com (ads.example.com), odd warn ads ads.example.com (ads.example.com)"},
		{"another name", Query{Name: "www.example.com"}, ""},
		{"no name", Query{}, ""},
		{"only a warning", Query{Name: "odd.example.org"}, "odd warn ads odd.example.org (odd.example.org)"},
		{"below", Query{Name: "x.evil.example.net"}, "bad block malware *.evil.example.net (x.evil.example.net)"},
		{"hidden behind an alias", Query{Name: "www.shop.example", Aliases: []string{"cdn.shop.example", "x.evil.example.net"}}, "bad block malware *.evil.example.net (x.evil.example.net)"},
		{"an address", Query{Addr: netip.MustParseAddr("198.51.100.7")}, "bad block malware 198.51.100.0/24 (198.51.100.7)"},
		{"an address as IPv6", Query{Addr: netip.MustParseAddr("::ffff:203.0.113.9")}, "bad block malware 203.0.113.9 (203.0.113.9)"},
		{"an IPv6 address", Query{Addr: netip.MustParseAddr("2a00:bad::1")}, "bad block malware 2a00:bad::/32 (2a00:bad::1)"},
		{"incoming", Query{Direction: flow.In, Addr: netip.MustParseAddr("203.0.113.9")}, "bad block malware 203.0.113.9 (203.0.113.9)"},
		{"incoming, a name says nothing", Query{Direction: flow.In, Name: "ads.example.com", Addr: netip.MustParseAddr("192.0.2.1")}, ""},
		{"a good name at a bad address", Query{Name: "www.example.com", Addr: netip.MustParseAddr("203.0.113.9")}, "bad block malware 203.0.113.9 (203.0.113.9)"},
		{"exception for the program", Query{Program: "/usr/bin/free", Name: "ads.example.com"}, "odd warn ads ads.example.com (ads.example.com)"},
		{"exception for the entry", Query{Name: "fine.evil.example.net"}, ""},
		{"below the exception", Query{Name: "x.fine.evil.example.net"}, ""},
		{"beside the exception", Query{Name: "notfine.evil.example.net"}, "bad block malware *.evil.example.net (notfine.evil.example.net)"},
		{"exception for both", Query{Program: "/usr/bin/mail", Addr: netip.MustParseAddr("198.51.100.25")}, ""},
		{"exception for both, other program", Query{Program: "/usr/bin/other", Addr: netip.MustParseAddr("198.51.100.25")}, "bad block malware 198.51.100.0/24 (198.51.100.25)"},
		{"exception for both, other address", Query{Program: "/usr/bin/mail", Addr: netip.MustParseAddr("198.51.100.26")}, "bad block malware 198.51.100.0/24 (198.51.100.26)"},
		{"exception for a domain and a program", Query{Program: "/usr/bin/web", Name: "x.evil.example.net"}, ""},
	} {
		if got := shown(s.Look(c.q)); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	if f := s.Look(Query{Name: "ads.example.com"}); f.Block() == nil || f.Block().List != "bad" || len(f.Warnings()) != 1 {
		t.Errorf("finding %+v", f)
	}
}

func shown(f Finding) string {
	var s []string
	for _, h := range f.Hits {
		s = append(s, fmt.Sprintf("%s %s %s %s (%s)", h.List, h.Action, h.Category, h.Entry, h.Matched))
	}
	slices.Sort(s)
	return strings.Join(s, ", ")
}

// TestSwitches: off, on, warn, block and gone hold at once, without compiling.
func TestSwitches(t *testing.T) {
	s := newScene(t, nil)
	l := fromFile("own")
	s.set(l)
	s.imports("own", mixed)
	q := Query{Name: "ads.example.com"}
	if names, _ := s.Active(); !names || shown(s.Look(q)) == "" {
		t.Fatal("the list isn't in use")
	}
	l.On = false
	s.set(l)
	if names, _ := s.Active(); names || shown(s.Look(q)) != "" {
		t.Error("it is off and blocks")
	}
	l.On, l.Action = true, Warn
	s.set(l)
	if f := s.Look(q); f.Block() != nil || len(f.Warnings()) != 1 {
		t.Errorf("it is to warn: %+v", f)
	}
	s.set()
	if shown(s.Look(q)) != "" {
		t.Error("it is gone and blocks")
	}
	waitFor(t, "its copy is removed", func() bool {
		_, err := os.Stat(s.copyPath("own"))
		return errors.Is(err, os.ErrNotExist)
	})
}

func TestPages(t *testing.T) {
	s := newScene(t, nil)
	s.set(fromFile("pages"))
	s.imports("pages", "http://files.example.com/evil.sh\nhttp://203.0.113.9:8080/x\n")
	if _, pages := s.Active(); !pages {
		t.Error("pages don't matter")
	}
	for _, c := range []struct{ host, target, want string }{
		{"files.example.com", "/evil.sh", "pages block malware http://files.example.com/evil.sh (files.example.com)"},
		{"files.example.com", "/good.sh", ""},
		{"203.0.113.9:8080", "/x?y", "pages block malware http://203.0.113.9:8080/x (203.0.113.9:8080)"},
		{"203.0.113.9", "/x", ""},
	} {
		if got := shown(s.LookPage(Query{}, c.host, c.target)); got != c.want {
			t.Errorf("%s%s: %q, want %q", c.host, c.target, got, c.want)
		}
	}
	if s.listed("files.example.com") {
		t.Error("the whole host is blocked")
	}
}

// TestListNeverBlocksThisMachine: a compiled file that names the machine and its
// network, which no list gets into one, is of no effect.
func TestListNeverBlocksThisMachine(t *testing.T) {
	for _, a := range []string{"127.0.0.1", "::1", "192.168.1.1", "10.0.0.1", "fe80::1%eth0", "169.254.1.1", "224.0.0.251", "ff02::fb", "fd00::1", "100.64.0.1", "0.0.0.0"} {
		if !format.OfNoHost(netip.MustParseAddr(a)) {
			t.Errorf("%s may be blocked", a)
		}
	}
	s := newScene(t, nil)
	s.set(fromFile("own"))
	s.imports("own", "192.168.0.0/16\n10.1.2.3\n203.0.113.9\n")
	for _, a := range []string{"192.168.1.1", "10.1.2.3"} {
		if f := s.Look(Query{Addr: netip.MustParseAddr(a)}); f.Block() != nil {
			t.Errorf("%s is blocked", a)
		}
	}
	if f := s.Look(Query{Addr: netip.MustParseAddr("203.0.113.9")}); f.Block() == nil {
		t.Error("the list isn't in use")
	}
}

// TestRestart: what was in use is so again as soon as the settings are known, before
// Run and without the network.
func TestRestart(t *testing.T) {
	s := newScene(t, nil)
	p := publish(t, text(tenHosts))
	l := fromURL("good", p.URL)
	s.set(l)
	waitFor(t, "the list is in use", func() bool { return s.listed("n.listed.example") })
	s.stop()
	b, err := Open(s.o)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.SetLists([]List{l}); err != nil {
		t.Fatal(err)
	}
	f := b.Look(Query{Name: "n.listed.example"})
	if f.Block() == nil {
		t.Error("not in use after a restart")
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	s.clock.slept = make(chan time.Duration, 1000)
	s.open()
	s.set(l)
	s.asleep("good", 1, p)
	if n := p.count(); n != 1 {
		t.Errorf("%d requests: fetched again though it isn't due", n)
	}
}

// TestDamagedFilesAreMadeAgain: the compiled file from the copies, a copy by fetching.
func TestDamagedFilesAreMadeAgain(t *testing.T) {
	for _, c := range []struct {
		name   string
		damage func(s *scene)
	}{
		{"compiled file", func(s *scene) { s.damage(s.compiledPath()) }},
		{"compiled file gone", func(s *scene) { s.remove(s.compiledPath()) }},
		{"copy and compiled file", func(s *scene) { s.damage(s.copyPath("good")); s.damage(s.compiledPath()) }},
		{"copy gone and compiled file", func(s *scene) { s.remove(s.copyPath("good")); s.remove(s.compiledPath()) }},
		{"state", func(s *scene) { s.damage(s.statePath("good")) }},
		{"all gone", func(s *scene) {
			s.remove(s.statePath("good"))
			s.remove(s.copyPath("good"))
			s.remove(s.compiledPath())
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t, nil)
			s.t = t
			p := publish(t, text(tenHosts))
			lists := []List{fromURL("good", p.URL), fromFile("own")}
			s.set(lists...)
			s.imports("own", mixed)
			waitFor(t, "the list is in use", func() bool { return s.listed("n.listed.example") })
			s.stop()
			c.damage(s)
			s.open()
			s.set(lists...)
			waitFor(t, "both are in use again", func() bool { return s.listed("n.listed.example") && s.listed("ads.example.com") })
			waitFor(t, "no error stays", func() bool { return s.status("good").Error == "" })
		})
	}
}

func (s *scene) damage(path string) {
	s.t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		s.t.Fatal(err)
	}
	b[len(b)/2] ^= 0xff
	b[0] ^= 0xff
	if err := os.WriteFile(path, b, 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func (s *scene) remove(path string) {
	s.t.Helper()
	if err := os.Remove(path); err != nil {
		s.t.Fatal(err)
	}
}

// TestSwapUnderLoad: what is on the list in every version is blocked at every moment,
// while lists are compiled and swapped and settings change.
func TestSwapUnderLoad(t *testing.T) {
	s := newScene(t, nil)
	other := fromFile("other")
	s.set(fromFile("own"), other)
	s.imports("own", mixed)
	var passed, looked atomic.Int64
	stop := make(chan struct{})
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				f := s.Look(Query{Name: "ads.example.com", Addr: netip.MustParseAddr("203.0.113.9")})
				if len(f.Hits) != 2 || f.Hits[0].Entry != "ads.example.com" || f.Hits[1].Entry != "203.0.113.9" {
					passed.Add(1)
				}
				looked.Add(1)
			}
		})
	}
	for i := range 25 {
		s.imports("own", mixed+fmt.Sprintf("version%d.example.com\n", i))
		other.On = i%2 == 0
		s.set(fromFile("own"), other)
		if !s.listed(fmt.Sprintf("version%d.example.com", i)) {
			t.Errorf("version %d isn't in use", i)
		}
	}
	close(stop)
	all.Wait()
	if passed.Load() > 0 || looked.Load() < 1000 {
		t.Errorf("%d of %d look-ups let something through", passed.Load(), looked.Load())
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(maps), s.compiledPath()); n != 1 {
		t.Errorf("%d compiled files are mapped, want 1", n)
	}
}

// TestDiskFull: the new list is lost, not the one in use.
func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=512k,mode=700"); err != nil {
		t.Fatal("mount:", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error("unmount:", err)
		}
	})
	s := newScene(t, func(o *Options) { o.Dir = dir })
	p := publish(t, text(tenHosts))
	s.set(fromURL("good", p.URL))
	waitFor(t, "the list is in use", func() bool { return s.listed("n.listed.example") })
	var big strings.Builder
	big.WriteString(tenHosts)
	for i := range 40_000 {
		fmt.Fprintf(&big, "0.0.0.0 n%d.big.example\n", i)
	}
	p.set(text(big.String()))
	err := s.tryUpdate("good")
	if !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), "make room on the disk") {
		t.Errorf("error %v", err)
	}
	filler, err := os.Create(filepath.Join(dir, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	block := make([]byte, 4096)
	for err == nil {
		_, err = filler.Write(block)
	}
	if err := filler.Close(); err != nil {
		t.Fatal(err)
	}
	p.set(text(tenHosts + "0.0.0.0 small.example\n"))
	if err := s.tryUpdate("good"); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("error %v", err)
	}
	if !s.listed("n.listed.example") || s.copyOf("good") != tenHosts || s.status("good").Error == "" {
		t.Error("the last good copy didn't stay")
	}
	if err := os.Remove(filler.Name()); err != nil {
		t.Fatal(err)
	}
	s.update("good")
	if !s.listed("small.example") || s.status("good").Error != "" {
		t.Error("not well again once there is room")
	}
}

// TestProgress: long work tells how far it is, to its end.
func TestProgress(t *testing.T) {
	var mu sync.Mutex
	seen := map[Stage]Progress{}
	s := newScene(t, func(o *Options) {
		o.Progress = func(p Progress) { mu.Lock(); seen[p.Stage] = p; mu.Unlock() }
	})
	var big strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&big, "0.0.0.0 n%d.big.example\n", i)
	}
	p := publish(t, text(big.String()))
	s.set(fromURL("big", p.URL))
	s.update("big")
	mu.Lock()
	defer mu.Unlock()
	if f := seen[Fetching]; f.List != "big" || f.Done != int64(big.Len()) {
		t.Errorf("fetching %+v", f)
	}
	if c := seen[Checking]; c.List != "big" || c.Done != 65536 {
		t.Errorf("checking %+v", c)
	}
	if c := seen[Compiling]; c.Done != 65536 || c.Total != 100_000 {
		t.Errorf("compiling %+v", c)
	}
	if r := seen[Ready]; r.Done != 100_000 {
		t.Errorf("ready %+v", r)
	}
}

// TestOneBadListHoldsUpNoOther: not even those after it.
func TestOneBadListHoldsUpNoOther(t *testing.T) {
	s := newScene(t, nil)
	p := publish(t, text(tenHosts))
	s.set(fromURL("dead", "http://127.0.0.1:1/"), fromURL("good", p.URL))
	waitFor(t, "the good one is in use", func() bool { return s.listed("n.listed.example") })
	waitFor(t, "the bad one says so", func() bool { return s.status("dead").Error != "" })
	if st := s.status("dead"); !strings.Contains(st.Error, "can't be reached") || st.Do == "" {
		t.Errorf("status %+v", st)
	}
}

func TestSettingsAreChecked(t *testing.T) {
	s := newScene(t, nil)
	for name, spoil := range map[string]func(*List){
		"path as id":      func(l *List) { l.ID = "../../etc/passwd" },
		"no id":           func(l *List) { l.ID = "" },
		"no name":         func(l *List) { l.Name = "" },
		"allowing action": func(l *List) { l.Action = "allow" },
		"category":        func(l *List) { l.Category = "x" },
		"too often":       func(l *List) { l.Every = time.Minute },
		"empty exception": func(l *List) { l.Exceptions = []Exception{{}} },
		"odd exception":   func(l *List) { l.Exceptions = []Exception{{Entry: "a b"}} },
	} {
		l := fromFile("own")
		spoil(&l)
		if err := s.SetLists([]List{l}); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	if err := s.SetLists([]List{fromFile("own"), fromFile("own")}); err == nil {
		t.Error("two lists of one id were taken")
	}
	ctx, stop := context.WithTimeout(context.Background(), 5*time.Second)
	defer stop()
	for _, id := range []string{"unknown", "../x", ""} {
		if err := s.Import(ctx, id, strings.NewReader(mixed)); err == nil {
			t.Errorf("a text for the list %q was taken", id)
		}
	}
	if err := s.Update(ctx, "unknown"); err == nil {
		t.Error("a list that isn't there was fetched")
	}
}

// TestCatalogueIsOffAndSound: each well-known list has good settings and none is on.
func TestCatalogueIsOffAndSound(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range Catalogue {
		l := k.List()
		if err := l.Check(); err != nil {
			t.Error(err)
		}
		if l.On || seen[k.ID] || k.Home == "" || k.Licence == "" || k.About == "" || !strings.HasPrefix(k.URL, "https://") {
			t.Errorf("%+v", k)
		}
		seen[k.ID] = true
	}
}

// TestCompileIsTriedAgain: an obstacle that goes away, such as a full disk, costs
// minutes and not the day until the next fetch; meanwhile the status tells of it.
func TestCompileIsTriedAgain(t *testing.T) {
	s := newScene(t, nil)
	obstacle := filepath.Join(s.compiledPath(), "x")
	if err := os.MkdirAll(obstacle, 0o700); err != nil {
		t.Fatal(err)
	}
	p := publish(t, text(tenHosts))
	s.set(fromURL("good", p.URL))
	waitFor(t, "the status tells of it", func() bool { st := s.status("good"); return st.Busy && st.Error != "" && st.Do != "" })
	waitFor(t, "Run waits for its next try", func() bool { return <-s.clock.slept == firstRetry })
	if err := os.RemoveAll(s.compiledPath()); err != nil {
		t.Fatal(err)
	}
	for i := 0; i < 100 && !s.listed("n.listed.example"); i++ { // far less than a day
		s.clock.advance(firstRetry)
		time.Sleep(50 * time.Millisecond)
	}
	if st := s.status("good"); !s.listed("n.listed.example") || st.Busy || st.Error != "" {
		t.Errorf("status %+v", st)
	}
}

// TestHitsAreCounted as far as somebody was stopped or warned, not for mere questions.
func TestHitsAreCounted(t *testing.T) {
	s := newScene(t, nil)
	s.set(fromFile("own"))
	s.imports("own", mixed)
	f := s.Look(Query{Name: "ads.example.com"})
	if n := s.status("own").Hits; n != 0 {
		t.Errorf("%d hits of a question", n)
	}
	s.Count(f)
	s.Count(f)
	s.Count(Finding{})
	s.imports("own", mixed+"more.example.com\n")
	if n := s.status("own").Hits; n != 2 {
		t.Errorf("%d hits, want 2", n)
	}
}
