package daemon_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"sekisho/app/api"
	"sekisho/app/flow"
	"sekisho/app/prompt"
	"sekisho/app/rule"
	"sekisho/service/lab"
)

// A sender of mail that a DNS-based list names gets no answer to its first packet; another
// one connects, and waits no longer than the deadline for a zone that is down.
func TestListedSender(t *testing.T) {
	s := newScene(t)
	listed, clean, slow := s.Remote.AddAddress("198.51.100.7"), s.Remote.AddAddress("198.51.100.8"), s.Remote.AddAddress("198.51.100.9")
	s.DNS.Set("7.100.51.198.zone.lab", netip.MustParseAddr("127.0.0.2"))
	s.DNS.Set("9.100.51.198.zone.lab", netip.MustParseAddr("127.0.0.2"))
	s.DNS.Delay("9.100.51.198.zone.lab", 5*time.Second) // as if the zone were down
	mail := s.Home.Serve(t.Context(), "mail", "tcp", netip.AddrPortFrom(s.Home.Addr4, 25).String())
	s.allow(rule.Rule{Direction: rule.In, Program: rule.Program{Path: mail.Path}})
	if got := s.visitFrom(listed, 25, "before"); got != "before" {
		t.Fatalf("before any zone was asked: %q", got)
	}
	const deadline = 400 * time.Millisecond
	if err := s.api.SetSenderLists(t.Context(), api.SenderLists{Zones: []string{"zone.lab"}, Deadline: api.Seconds(deadline)}); err != nil {
		t.Fatal(err)
	}
	wire := s.Remote.Wire()
	if got := s.visitFrom(listed, 25, "spam"); got != "" || reached(mail, "spam") || wire.Saw(lab.To(listed).FromPort(25)) {
		t.Errorf("a listed sender got %q", got)
	}
	if got := s.visitFrom(clean, 25, "mail"); got != "mail" {
		t.Errorf("another sender got %q", got)
	}
	began := time.Now()
	if got := s.visitFrom(slow, 25, "mail"); got != "mail" {
		t.Errorf("a sender that nobody says anything about got %q", got)
	}
	if took := time.Since(began); took < deadline || took > deadline+time.Second/2 {
		t.Errorf("it waited for %v, and the deadline is %v", took, deadline)
	}
	l, err := s.api.SenderLists(t.Context())
	if err != nil || l.Counters.Checked < 3 || l.Counters.Listed == 0 || l.Counters.Late == 0 {
		t.Errorf("%+v, %v", l, err)
	}
	s.allow(rule.Rule{Direction: rule.In, Program: rule.Program{Path: mail.Path}, Remote: rule.Remote{Address: listed}})
	if got := s.visitFrom(listed, 25, "named"); got != "named" {
		t.Errorf("a listed sender that a rule names got %q", got)
	}
	s.service.Restart()
	if l, err := s.api.SenderLists(t.Context()); err != nil || len(l.Zones) != 1 {
		t.Errorf("after a restart: %+v, %v", l, err)
	}
}

// The command line adds, shows, tests, excepts and removes lists, from a file too, and says
// what is wrong with one.
func TestListsOnTheCommandLine(t *testing.T) {
	s := newScene(t)
	ctl := func(code int, want string, args ...string) string {
		t.Helper()
		r, err := s.service.Ctl(t.Context(), args...)
		if err != nil || r.Code != code || !strings.Contains(r.Out+r.Err, want) {
			t.Fatalf("%v: %+v, %v; want %q, exit %d", args, r, err, want, code)
		}
		return r.Out
	}
	file := filepath.Join(s.Dir, "hosts")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ctl(0, "There are no lists", "lists")
	ctl(0, "urlhaus", "lists", "catalogue")
	write("<html><body>No list.</body></html>")
	ctl(1, "it is a web page", "lists", "add", "My hosts", file)
	ctl(0, "There are no lists", "lists")
	write("0.0.0.0 bad.lab\n0.0.0.0 worse.lab\n")
	ctl(0, "List my-hosts has 2 entries", "lists", "add", "My hosts", file)
	ctl(2, "there is a list my-hosts already", "lists", "add", "My hosts", file)
	ctl(2, "http", "lists", "add", "open", "http://list.lab/x")
	ctl(0, "bad.lab", "lists", "test", "bad.lab")
	ctl(0, "on none", "lists", "test", "good.lab")
	ctl(0, "1 exception", "lists", "except", "My hosts", "bad.lab")
	ctl(0, "on none", "lists", "test", "bad.lab")
	ctl(0, "0 exceptions", "lists", "except", "my-hosts", "bad.lab", "--remove")
	ctl(0, "is on it", "explain", "--program", "any", "--to", "bad.lab:443")
	ctl(0, "is off", "lists", "disable", "my-hosts")
	ctl(0, "on none", "lists", "test", "bad.lab")
	ctl(1, "there is no list other", "lists", "update", "other")
	ctl(1, "no address", "lists", "update", "my-hosts")
	ctl(0, "zone.lab", "lists", "dnsbl", "--add", "zone.lab", "--deadline", "200ms")
	if r, err := s.service.CtlAs(t.Context(), 65534, 65534, "lists", "remove", "my-hosts"); err != nil || r.Code != 4 {
		t.Errorf("somebody removes a list: %+v, %v", r, err)
	}
	if r, err := s.service.CtlAs(t.Context(), 65534, 65534, "lists"); err != nil || r.Code != 0 || !strings.Contains(r.Out, "my-hosts") {
		t.Errorf("somebody looks at the lists: %+v, %v", r, err)
	}
	var all struct{ Lists []api.ListState }
	if err := s.service.CtlJSON(t.Context(), &all, "lists"); err != nil || len(all.Lists) != 1 || all.Lists[0].Names != 2 {
		t.Errorf("%+v, %v", all, err)
	}
	ctl(0, "is gone", "lists", "remove", "My hosts")
}

// Where the service itself is filtered, it fetches lists by a preset; without it somebody
// is asked, as for every program.
func TestFetchingIsFilteredToo(t *testing.T) {
	s := newScene(t)
	p := s.publish("198.51.100.0/24\n192.0.2.0/24\n")
	pid := strconv.Itoa(s.service.PID())
	if err := os.WriteFile(filepath.Join(s.Filtered, "cgroup.procs"), []byte(pid), 0); err != nil {
		t.Fatal(err)
	}
	s.subscribe(p, "bad", "networks")
	shown := false
	err := s.api.Activity(t.Context(), api.ActivityFilter{}, func(f flow.Flow) {
		shown = shown || f.Process.PID == uint32(s.service.PID()) && f.Decision.By.Name == rule.PresetLists
	})
	if err != nil || !shown {
		t.Errorf("its own connection is not shown: %v", err)
	}
	settings, err := s.api.Settings(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	settings.DisabledPresets = append(settings.DisabledPresets, rule.PresetLists)
	if err := s.api.SetSettings(t.Context(), settings); err != nil {
		t.Fatal(err)
	}
	fetched := make(chan error, 1)
	go func() { fetched <- s.api.UpdateLists(t.Context(), "bad", func(api.ListProgress) {}) }()
	q := s.prompts(1)[0]
	s.answer(q, rule.Block, rule.Once, prompt.DefaultScope(q.Flow))
	if err := <-fetched; err == nil {
		t.Error("fetched, though it was blocked")
	}
	if l := s.list("bad"); l.Networks != 2 || l.Error == "" {
		t.Errorf("after it was blocked: %+v", l)
	}
	// The lab can't be closed around a service that is in its filtered group.
	if err := os.WriteFile(filepath.Join(s.Others, "cgroup.procs"), []byte(pid), 0); err != nil {
		t.Fatal(err)
	}
}
