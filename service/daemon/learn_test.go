package daemon_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"sekisho/app/api"
	"sekisho/app/flow"
	"sekisho/app/prompt"
	"sekisho/app/rule"
	"sekisho/service/lab"
)

// habit is what one program does, again and again the same.
type habit struct {
	program *lab.Program
	modes   []string // with a target each
	targets []string
}

// habits are nine programs that connect 180 times in all.
func (s *scene) habits() (all []*habit) {
	s.t.Helper()
	nine := func(name string) *habit {
		h := &habit{program: s.Home.Program(name)}
		all = append(all, h)
		return h
	}
	do := func(h *habit, mode, target string) {
		h.modes, h.targets = append(h.modes, mode), append(h.targets, target)
	}
	named := func(name string) string {
		s.DNS.Set(name, s.target.Addr())
		return name
	}
	for port := range uint16(4) {
		s.Remote.ServeEcho(1000 + port)
	}
	cdn, two := nine("cdn"), nine("two-names")
	for i := range 50 { // of one owner
		do(cdn, "dns+tcp", named(fmt.Sprintf("c%d.cdn.example", i))+":1000")
	}
	for i := range 10 {
		do(two, "dns+tcp", named([]string{"mail.one.example", "mail.two.example"}[i%2])+":1001")
	}
	quic, ports := nine("quic"), nine("ports")
	for i := range 20 {
		do(quic, []string{"dns+tcp", "dns+udp"}[i%2], named("video.example")+":1000")
		do(ports, "tcp", netip.AddrPortFrom(s.Remote.Addr4, 1000+uint16(i%4)).String())
	}
	many := nine("everywhere")
	for i := range 30 { // of as many owners
		do(many, "dns+tcp", named(fmt.Sprintf("site%d.example", i))+":1002")
	}
	lan, six, bare, once := nine("lan"), nine("six"), nine("bare"), nine("once")
	for i := range 10 {
		at := []netip.Addr{s.Remote.Addr4, s.Remote.Addr6}[i%2]
		do(lan, "tcp", netip.AddrPortFrom(at, 1003).String())
		do(six, "tcp", netip.AddrPortFrom(s.Remote.Addr6, 1001).String())
	}
	for i := range 20 { // side by side, without a name
		do(bare, "tcp", netip.AddrPortFrom(s.Remote.AddAddress(fmt.Sprintf("172.30.7.%d", 10+i)), 1000).String())
	}
	for range 10 {
		do(once, "tcp", netip.AddrPortFrom(s.Remote.Addr4, 7).String())
	}
	return all
}

// indulge has every program do what it does, and the tenth be reached 20 times.
func (s *scene) indulge(all []*habit, server string) (n int) {
	s.t.Helper()
	for _, h := range all {
		for i, mode := range h.modes {
			out, err := h.program.Run(s.t.Context(), "-echo", "-timeout", "8s", mode, h.targets[i])
			if err != nil || len(out) != 1 || !out[0].OK {
				s.t.Fatalf("%s %s %s: %+v, %v", h.program.Path, mode, h.targets[i], out, err)
			}
			n++
		}
	}
	for range 20 {
		if got := s.visit("tcp", server, "hello", 8*time.Second); got != "hello" {
			s.t.Fatalf("the server answered %q", got)
		}
		n++
	}
	return n
}

// Two hundred connections of ten programs become few rules, which decide all of them as
// they were seen; what was not seen is asked about.
func TestLearn(t *testing.T) {
	s := newScene(t)
	address := netip.AddrPortFrom(s.Home.Addr4, 8000).String()
	server := s.Home.Serve(t.Context(), "server", "tcp", address)
	all := s.habits()
	if err := s.api.SetMode(t.Context(), api.ModeLearn, time.Hour); err != nil {
		t.Fatal(err)
	}
	if n := s.indulge(all, address); n != 200 {
		t.Fatalf("%d connections", n)
	}
	s.service.Restart() // what was noted stays
	learned, err := s.api.Learned(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	seen := uint64(0)
	for _, p := range learned.Proposals {
		ids, seen = append(ids, p.ID), seen+p.Flows
	}
	t.Logf("200 connections of ten programs: %d proposals", len(ids))
	if len(ids) > 25 || len(ids) < 10 || seen != 200 || learned.Left != 0 {
		t.Fatalf("%d proposals of %d flows, %d left: %+v", len(ids), seen, learned.Left, learned)
	}
	for _, id := range []string{"learn-nothing", ids[0]} {
		_, err := s.api.AcceptLearned(t.Context(), []string{id, "learn-nothing"}, nil)
		if api.CodeOf(err) != api.NotFound {
			t.Errorf("unknown proposals: %v", err)
		}
	}
	rules, err := s.api.AcceptLearned(t.Context(), ids, nil)
	if err != nil || len(rules) != len(ids) {
		t.Fatalf("%d rules of %d: %v", len(rules), len(ids), err)
	}
	if again, err := s.api.Learned(t.Context()); err != nil || len(again.Proposals) != 0 {
		t.Errorf("proposed again: %+v, %v", again, err)
	}
	if err := s.api.SetMode(t.Context(), api.ModeAsk, 0); err != nil {
		t.Fatal(err)
	}
	before := s.status().Counters.Prompts
	s.indulge(all, address)
	if n := s.status().Counters.Prompts - before; n != 0 {
		t.Errorf("%d were asked about", n)
	}
	for _, path := range append([]string{server.Path}, paths(all)...) {
		var last flow.Flow
		if err := s.api.Activity(t.Context(), activityOf(path), func(f flow.Flow) {
			if f.Time.After(last.Time) && f.Decision.By.Kind != flow.ByPreset {
				last = f
			}
		}); err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(rules, func(r rule.Rule) bool { return last.Decision.By == (flow.By{Kind: flow.ByRule, ID: r.ID}) }) {
			t.Errorf("%s was decided by %+v", path, last.Decision)
		}
	}
	s.Remote.ServeEcho(1007)
	all[0].program.Start(t.Context(), "tcp", netip.AddrPortFrom(s.Remote.Addr4, 1007).String())
	if p := s.prompts(1)[0]; p.Flow.Process.Path != all[0].program.Path || p.Flow.Remote.Port != 1007 {
		t.Errorf("asked about %+v", p.Flow)
	}
}

func paths(all []*habit) (list []string) {
	for _, h := range all {
		list = append(list, h.program.Path)
	}
	return list
}

// What a warning speaks against passes in mode learn, and no rule comes of it; what is
// dropped is asked about.
func TestLearnLeavesOut(t *testing.T) {
	s := newScene(t)
	if err := s.api.SetMode(t.Context(), api.ModeLearn, 0); err != nil {
		t.Fatal(err)
	}
	bare := netip.AddrPortFrom(s.Remote.AddAddress("198.51.100.7"), 7) // on the internet, never looked up
	odd, plain := s.Home.Program("odd"), s.Home.Program("plain")
	for program, target := range map[*lab.Program]netip.AddrPort{odd: bare, plain: s.target} {
		if out, err := program.Run(t.Context(), "-echo", "tcp", target.String()); err != nil || !out[0].OK {
			t.Fatalf("%+v, %v", out, err)
		}
	}
	learned, err := s.api.Learned(t.Context())
	if err != nil || len(learned.Proposals) != 1 || learned.Proposals[0].Rule.Program.Path != plain.Path || learned.Skipped["odd"] != 1 {
		t.Fatalf("%+v, %v", learned, err)
	}
	if err := s.api.DropLearned(t.Context(), []string{learned.Proposals[0].ID}); err != nil {
		t.Fatal(err)
	}
	if err := s.api.SetMode(t.Context(), api.ModeAsk, 0); err != nil {
		t.Fatal(err)
	}
	if learned, err = s.api.Learned(t.Context()); err != nil || len(learned.Proposals) != 0 {
		t.Errorf("after it was dropped: %+v, %v", learned, err)
	}
	plain.Start(t.Context(), "tcp", s.target.String())
	s.answer(s.prompts(1)[0], rule.Block, rule.Once, prompt.Scope{Kind: prompt.Anything})
}
