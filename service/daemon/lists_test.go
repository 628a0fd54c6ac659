package daemon_test

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sekisho/app/api"
	"sekisho/app/flow"
	"sekisho/app/rule"
	"sekisho/service/lab"
)

// publisher serves one list's text by HTTP on Remote.
type publisher struct {
	url  string
	text atomic.Pointer[string]
}

func (s *scene) publish(text string) *publisher {
	s.t.Helper()
	p := &publisher{url: fmt.Sprintf("http://%s:8080/list", s.Remote.Addr4)}
	p.set(text)
	l, err := s.Remote.Listen("tcp", netip.AddrPortFrom(s.Remote.Addr4, 8080).String())
	if err != nil {
		s.t.Fatal(err)
	}
	server := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(*p.text.Load()))
	})}
	var running sync.WaitGroup
	running.Go(func() { _ = server.Serve(l) })
	s.Cleanup(func() { _ = server.Close(); running.Wait() })
	return p
}

func (p *publisher) set(text string) { p.text.Store(&text) }

// subscribe adds the list that p publishes, and returns once it is in use.
func (s *scene) subscribe(p *publisher, id, format string) api.List {
	s.t.Helper()
	l := api.List{ID: id, Name: id, URL: p.url, Format: format, Category: "malware", Action: "block", On: true, Insecure: true}
	if err := s.api.SaveList(s.t.Context(), l, true); err != nil {
		s.t.Fatal(err)
	}
	s.update(id)
	return l
}

func (s *scene) update(id string) {
	s.t.Helper()
	if err := s.api.UpdateLists(s.t.Context(), id, func(api.ListProgress) {}); err != nil {
		s.t.Fatal(err)
	}
}

func (s *scene) save(l api.List) {
	s.t.Helper()
	if err := s.api.SaveList(s.t.Context(), l, false); err != nil {
		s.t.Fatal(err)
	}
}

// list gives what the service says of a list.
func (s *scene) list(id string) api.ListState {
	s.t.Helper()
	all, err := s.api.Lists(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	for _, l := range all {
		if l.ID == id {
			return l
		}
	}
	s.t.Fatalf("no list %s among %+v", id, all)
	return api.ListState{}
}

// passes wants that program reaches to, or that it doesn't.
func (s *scene) passes(want bool, program *lab.Program, args ...string) {
	s.t.Helper()
	out, _ := program.Run(s.t.Context(), append([]string{"-timeout", "2s"}, args...)...)
	if len(out) != 1 || out[0].OK != want {
		s.t.Errorf("%v: %+v, want %v", args, out, want)
	}
}

const listedNet = "198.51.100.0/24"

// elsewhere is an address of Remote on a network of its own.
func (s *scene) elsewhere(addr string) netip.AddrPort {
	return netip.AddrPortFrom(s.Remote.AddAddress(addr), 7)
}

// visitFrom connects from an address of Remote to the server on Home's port, and says what
// came back, "" for nothing.
func (s *scene) visitFrom(from netip.Addr, port uint16, say string) (answer string) {
	s.t.Helper()
	var c net.Conn
	err := s.Remote.Do(func() (err error) {
		d := net.Dialer{Timeout: 2 * time.Second, LocalAddr: &net.TCPAddr{IP: from.AsSlice()}}
		c, err = d.Dial("tcp", netip.AddrPortFrom(s.Home.Addr4, port).String())
		return err
	})
	if err != nil {
		return ""
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(2 * time.Second))
	b := make([]byte, 64)
	if _, err := c.Write([]byte(say)); err != nil {
		return ""
	}
	n, _ := c.Read(b)
	return string(b[:n])
}

// A listed name is out of reach by whatever is below it or leads to it, for every program
// but those that somebody excepted, and but where a rule names it.
func TestListedNames(t *testing.T) {
	s := newScene(t)
	for _, n := range []string{"clean.lab", "www.listed.lab", "host.lab"} {
		s.DNS.Set(n, s.target.Addr())
	}
	s.DNS.Alias("alias.lab", "www.listed.lab")
	one, other := s.Home.Program("one"), s.Home.Program("other")
	for _, p := range []*lab.Program{one, other} {
		s.rule(p, rule.Allow, rule.Remote{})
	}
	s.passes(true, one, "dns+tcp", "www.listed.lab:7")
	l := s.subscribe(s.publish("||listed.lab^\n||more.lab^\n"), "bad", "adblock")
	for name, want := range map[string]bool{"clean.lab": true, "www.listed.lab": false, "alias.lab": false} {
		s.passes(want, one, "dns+tcp", name+":7")
	}
	if n := s.list("bad").Hits; n < 2 {
		t.Errorf("%d hits", n)
	}
	byList := false
	err := s.api.Activity(t.Context(), activityOf(one.Path), func(f flow.Flow) {
		byList = byList || f.Decision == flow.Decision{Verdict: flow.Block, By: flow.By{Kind: flow.ByList, ID: "bad", Name: "bad"}}
	})
	if err != nil || !byList {
		t.Errorf("the history has nothing by the list: %v", err)
	}

	l.Exceptions = []api.ListException{{Program: one.Path, Entry: "listed.lab"}}
	s.save(l)
	s.passes(true, one, "dns+tcp", "www.listed.lab:7")
	s.passes(false, other, "dns+tcp", "www.listed.lab:7")
	r := s.rule(other, rule.Allow, rule.Remote{Domain: "listed.lab"})
	s.passes(true, other, "dns+tcp", "www.listed.lab:7")
	if err := s.api.RemoveRule(t.Context(), r.ID); err != nil {
		t.Fatal(err)
	}
	s.passes(false, other, "dns+tcp", "www.listed.lab:7")
	l.On = false
	s.save(l)
	s.passes(true, other, "dns+tcp", "www.listed.lab:7")
}

// A listed address is out of reach and reaches nothing, and what it said before it was
// listed ends.
func TestListedAddresses(t *testing.T) {
	s := newScene(t)
	listed, clean := s.elsewhere("198.51.100.7"), s.elsewhere("203.0.113.7")
	program := s.Home.Program("one")
	s.rule(program, rule.Allow, rule.Remote{})
	server := s.Home.Serve(t.Context(), "server", "tcp", netip.AddrPortFrom(s.Home.Addr4, 8000).String())
	s.allow(rule.Rule{Direction: rule.In, Program: rule.Program{Path: server.Path}})
	if got := s.visitFrom(listed.Addr(), 8000, "before"); got != "before" {
		t.Fatalf("before it was listed: %q", got)
	}
	program.Start(t.Context(), "-hold", "20s", "tcp", listed.String())
	s.eventually("a live connection", func() bool { return s.echo.Live() == 1 })

	s.subscribe(s.publish("# bad networks\n"+listedNet+"\n192.0.2.0/24\n"), "bad", "networks")
	s.eventually("its end", func() bool { return s.echo.Live() == 0 })
	s.passes(false, program, "tcp", listed.String())
	s.passes(false, program, "-echo", "udp", listed.String())
	s.passes(true, program, "tcp", clean.String())
	s.passes(true, program, "-echo", "udp", clean.String())
	wire := s.Remote.Wire()
	if got := s.visitFrom(listed.Addr(), 8000, "after"); got != "" || reached(server, "after") {
		t.Errorf("who is listed got %q", got)
	}
	if wire.Saw(lab.To(listed.Addr()).FromPort(8000)) {
		t.Error("who is listed got an answer")
	}
	if got := s.visitFrom(clean.Addr(), 8000, "clean"); got != "clean" {
		t.Errorf("who isn't listed got %q", got)
	}
}

// While lists are swapped under load nothing of a listed address gets through, and from the
// first moment of a start after a crash either; a source gone bad changes nothing.
func TestListedWhileListsChange(t *testing.T) {
	s := newScene(t)
	listed := s.elsewhere("198.51.100.99")
	was := s.target
	s.target = listed
	file := s.script("sender.py", everyMillisecond)
	s.target = was
	p := s.publish(listedNet + "\n192.0.2.0/24\n")
	s.subscribe(p, "bad", "networks")
	sender := python(t)
	s.allow(rule.Rule{Program: rule.Program{Path: sender, Script: file}})
	leak := &leaks{s, s.Remote.Wire(), lab.To(listed.Addr())}
	since := time.Now()
	s.start(sender, file)
	for n := range 20 {
		p.set(fmt.Sprintf("%s\n192.0.2.0/24\n203.0.113.%d\n", listedNet, n))
		s.update("bad")
	}
	leak.none(since, "while lists were swapped")
	for range 3 {
		s.service.Kill()
		s.service.Start()
	}
	time.Sleep(200 * time.Millisecond)
	leak.none(since, "killed and started again")

	p.set("<!doctype html><html><body>Sorry.</body></html>")
	if err := s.api.UpdateLists(t.Context(), "bad", func(api.ListProgress) {}); err == nil || !strings.Contains(err.Error(), "bad") {
		t.Errorf("a page for a list: %v", err)
	}
	if l := s.list("bad"); l.Error == "" || l.Do == "" || l.Entries() != 3 {
		t.Errorf("after a page for a list: %+v", l)
	}
	s.eventually("the problem", func() bool {
		for _, p := range s.status().Problems {
			if p.Code == api.ProblemList && strings.Contains(p.What, "bad") {
				return true
			}
		}
		return false
	})
	leak.none(since, "after the source went bad")
	p.set("203.0.113.0/24\n")
	s.update("bad")
	s.eventually("what isn't listed any more", func() bool { return leak.wire.Saw(leak.to) })
	if n := len(s.status().Problems); n != 0 {
		t.Errorf("problems: %+v", s.status().Problems)
	}
}
