package daemon_test

import (
	"context"
	"net/netip"
	"slices"
	"testing"
	"time"

	"sekisho/app/api"
	"sekisho/app/prompt"
	"sekisho/app/rule"
	"sekisho/service/lab"
)

// scene is a lab in which the real service filters, with a client of it.
type scene struct {
	*lab.Lab
	t       *testing.T
	service *lab.Service
	api     *api.Client
	echo    *lab.Echo
	target  netip.AddrPort
}

func newScene(t *testing.T) *scene {
	t.Helper()
	l := lab.New(t)
	s := &scene{Lab: l, t: t, echo: l.Remote.ServeEcho(7)}
	s.target = netip.AddrPortFrom(l.Remote.Addr4, 7)
	s.service = l.Home.Service()
	s.api = api.Dial(s.service.Socket)
	t.Cleanup(func() {
		if err := s.api.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Log(s.service.Log())
		}
	})
	return s
}

// prompts waits until n prompts wait for an answer.
func (s *scene) prompts(n int) []prompt.Prompt {
	s.t.Helper()
	var list []prompt.Prompt
	s.eventually("prompts", func() bool {
		all, err := s.api.Prompts(s.t.Context())
		if err != nil {
			s.t.Fatal(err)
		}
		list = slices.DeleteFunc(all, func(p prompt.Prompt) bool { return p.State != prompt.Waiting })
		return len(list) == n
	})
	return list
}

// eventually looks again and again until ok, for ten seconds.
func (s *scene) eventually(what string, ok func() bool) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 10*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			s.t.Fatalf("%s: not within ten seconds", what)
		case <-tick.C:
		}
	}
}

func (s *scene) answer(p prompt.Prompt, a rule.Action, l rule.LifetimeKind, scope prompt.Scope) *rule.Rule {
	s.t.Helper()
	r, err := s.api.Answer(s.t.Context(), p.ID, prompt.Answer{Action: a, Lifetime: l, Scope: scope, Generation: p.Generation})
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

func (s *scene) status() api.Status {
	s.t.Helper()
	st, err := s.api.Status(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return st
}

// A program without a rule waits; nothing leaves before the answer.
func TestAsk(t *testing.T) {
	s := newScene(t)
	wire := s.Remote.Wire()
	run := s.Home.Program("ask").Start(t.Context(), "tcp", s.target.String())
	p := s.prompts(1)[0]
	if wire.Saw(lab.SYN(s.target)) {
		t.Fatal("a SYN left before the answer")
	}
	s.answer(p, rule.Allow, rule.Once, prompt.DefaultScope(p.Flow))
	out, err := run.Wait()
	if err != nil || !out[0].OK {
		t.Fatalf("%+v, %v", out, err)
	}
}
