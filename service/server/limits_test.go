package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"

	"sekisho/app/api"
	"sekisho/app/api/sekishopb"
	"sekisho/app/flow"
	"sekisho/app/prompt"
	"sekisho/app/rule"
)

func TestOversizedCall(t *testing.T) {
	s := start(t, nil)
	r := ruleFor("", "/usr/bin/x")
	r.Note = strings.Repeat("x", api.MaxMessage)
	m := &sekishopb.SaveRuleRequest{Rule: api.PackRule(r)}
	_, err := sekishopb.NewSekishoClient(raw(t, s)).AddRule(t.Context(), m, grpc.MaxCallSendMsgSize(1<<30))
	if err == nil || !strings.Contains(err.Error(), "larger than max") {
		t.Errorf("got %v", err)
	}
	if _, err := s.client.ImportRules(t.Context(), make([]byte, api.MaxImport+1), true); api.CodeOf(err) != api.BadRequest {
		t.Errorf("import: %v", err)
	}
	stream, err := sekishopb.NewSekishoClient(raw(t, s)).ImportRules(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for range api.MaxImport/(1<<20) + 1 {
		if err := stream.Send(&sekishopb.ImportChunk{Content: make([]byte, 1<<20)}); err != nil {
			break
		}
	}
	if _, err := stream.CloseAndRecv(); err == nil || !strings.Contains(err.Error(), "too big") {
		t.Errorf("import past the client's check: %v", err)
	}
	if rules, _ := s.backend.Rules(t.Context()); len(rules) != 0 || s.backend.Imported() != 0 {
		t.Errorf("there are rules: %v", rules)
	}
}

// What makes no sense gets an error that says so, and changes nothing.
func TestBadCalls(t *testing.T) {
	s := start(t, nil)
	c, ctx := s.client, t.Context()
	good := ruleFor("", "/usr/bin/x")
	if _, err := c.AddRule(ctx, good, 0); err != nil {
		t.Fatal(err)
	}
	s.backend.Ask(promptOf("p1", 0, "/usr/bin/x"))
	changed := func(f func(*rule.Rule)) rule.Rule {
		r := good
		r.ID = "1"
		f(&r)
		return r
	}
	add := func(r rule.Rule, span time.Duration) error {
		_, err := c.AddRule(ctx, r, span)
		_, editErr := c.EditRule(ctx, r, span)
		if api.CodeOf(editErr) != api.BadRequest {
			return fmt.Errorf("edit: %w", editErr)
		}
		return err
	}
	answer := func(f func(*prompt.Answer)) error {
		a := allowOnce
		f(&a)
		_, err := c.Answer(ctx, "p1", a)
		return err
	}
	settings := func(f func(*api.Settings)) error {
		v := api.Settings{Deadline: time.Minute, Unattended: "block", WhenStopped: "open"}
		f(&v)
		return c.SetSettings(ctx, v)
	}
	explain := func(q api.Question) error { _, err := c.Explain(ctx, q); return err }
	for name, err := range map[string]error{
		"mode":             c.SetMode(ctx, "party", 0),
		"mode's span":      c.SetMode(ctx, api.ModeOff, -time.Second),
		"mode's long span": c.SetMode(ctx, api.ModeOff, rule.MaxSpan+1),
		"path":             add(changed(func(r *rule.Rule) { r.Program.Path = "relative" }), 0),
		"name":             add(changed(func(r *rule.Rule) { r.Remote.Name = "not a name" }), 0),
		"long note":        add(changed(func(r *rule.Rule) { r.Note = strings.Repeat("x", 5000) }), 0),
		"control in note":  add(changed(func(r *rule.Rule) { r.Note = "a\x1b[31mb" }), 0),
		"user":             add(changed(func(r *rule.Rule) { r.User = "a:b" }), 0),
		"lifetime":         add(changed(func(r *rule.Rule) { r.Lifetime.Kind = "forever" }), 0),
		"until":            add(changed(func(r *rule.Rule) { r.Lifetime.Kind = rule.Until }), 0),
		"long":             add(changed(func(r *rule.Rule) { r.Lifetime.Kind = rule.Until }), rule.MaxSpan+1),
		"always with span": add(changed(func(*rule.Rule) {}), time.Hour),
		"no id":            c.RemoveRule(ctx, ""),
		"long id":          c.RemoveRule(ctx, strings.Repeat("1", 65)),
		"id with control":  c.EnableRule(ctx, "1\n", true),
		"answer nothing":   answer(func(a *prompt.Answer) { a.Action = 0 }),
		"answer lifetime":  answer(func(a *prompt.Answer) { a.Lifetime = "" }),
		"answer span":      answer(func(a *prompt.Answer) { a.For = time.Hour }),
		"answer scope":     answer(func(a *prompt.Answer) { a.Scope.Kind = "moon" }),
		"answer no host":   answer(func(a *prompt.Answer) { a.Scope.Kind = prompt.Host }),
		"answer host":      answer(func(a *prompt.Answer) { a.Scope = prompt.Scope{Kind: prompt.Host, To: "a b"} }),
		"deadline":         settings(func(v *api.Settings) { v.Deadline = 101 * time.Second }),
		"unattended":       settings(func(v *api.Settings) { v.Unattended = "allow" }),
		"when-stopped":     settings(func(v *api.Settings) { v.WhenStopped = "ajar" }),
		"presets":          settings(func(v *api.Settings) { v.DisabledPresets = []string{""} }),
		"long path":        explain(api.Question{Program: "/" + strings.Repeat("x", 5000)}),
		"host":             explain(api.Question{Program: "/x", To: "a b"}),
		"limit":            c.Activity(ctx, api.ActivityFilter{Limit: -1}, func(flow.Flow) {}),
	} {
		if name == "answer nothing" { // it cannot even be read
			if err == nil {
				t.Errorf("%s: accepted", name)
			}
			continue
		}
		if api.CodeOf(err) != api.BadRequest {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if m := err.Error(); len(m) > 300 || strings.ContainsAny(m, "\n\x1b") {
			t.Errorf("%s: %q is no line to read", name, m)
		}
	}
	rules, _ := s.backend.Rules(ctx)
	status, _ := s.backend.Status(ctx)
	set, _ := s.backend.Settings(ctx)
	if len(rules) != 1 || rules[0].Note != "" || status.Mode != api.ModeAsk || set.Deadline != time.Minute || len(s.backend.Answers()) != 0 {
		t.Errorf("something changed: %+v %+v %+v", rules, status, set)
	}
}

func TestFlood(t *testing.T) {
	var now atomic.Int64
	s := start(t, func(s *Server) { s.guests.now = func() time.Time { return since.Add(time.Duration(now.Load())) } })
	for i := range burst {
		if _, err := s.client.Status(t.Context()); err != nil {
			t.Fatalf("call %d: %v", i, err)
		}
	}
	_, err := s.client.Status(t.Context())
	if err == nil || !strings.Contains(err.Error(), "too many calls") {
		t.Fatalf("call %d: %v", burst+1, err)
	}
	if err := s.client.Watch(t.Context(), func(api.Event) {}); err == nil || !strings.Contains(err.Error(), "too many calls") {
		t.Errorf("stream: %v", err)
	}
	now.Add(int64(time.Second / callsPerSecond))
	if _, err := s.client.Status(t.Context()); err != nil {
		t.Errorf("after a wait: %v", err)
	}
}

func TestTooManyStreams(t *testing.T) {
	s := start(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	clients := []*api.Client{api.Dial(s.socket), api.Dial(s.socket)}
	ended := make(chan error, maxStreamsEach)
	for i := range maxStreamsEach {
		go func() { ended <- clients[i%2].Watch(ctx, func(api.Event) {}) }()
	}
	eventually(t, "all watch", func() bool { return s.backend.Watching() == maxStreamsEach })
	if _, err := s.client.Prompts(ctx); err == nil || !strings.Contains(err.Error(), "too many streams") {
		t.Errorf("one more: %v", err)
	}
	if _, err := s.client.Status(ctx); err != nil {
		t.Errorf("a plain call: %v", err)
	}
	cancel()
	for range maxStreamsEach {
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	eventually(t, "the streams are free again", func() bool { _, err := s.client.Prompts(t.Context()); return err == nil })
	for _, c := range clients {
		_ = c.Close()
	}
}

// connectMany opens connections until one is refused and prints how many it had.
func connectMany(socket string) int {
	var clients []*api.Client
	for range maxConnectionsEach + 4 {
		c := api.Dial(socket)
		defer c.Close()
		if _, err := c.Status(context.Background()); err != nil {
			return printJSON([]any{len(clients), err.Error()})
		}
		clients = append(clients, c)
	}
	return printJSON([]any{len(clients), "none was refused"})
}

func TestTooManyConnections(t *testing.T) {
	s := start(t, nil)
	out, err := as(t, stranger, "connect", s.socket).Output()
	if err != nil || !strings.HasPrefix(string(out), "[16,") || !strings.Contains(string(out), "ended the connection") {
		t.Errorf("the stranger: %s, %v", out, err)
	}
	if _, err := s.client.Status(t.Context()); err != nil {
		t.Errorf("root: %v", err)
	}
	eventually(t, "the stranger's connections are forgotten", func() bool {
		s.guests.mu.Lock()
		defer s.guests.mu.Unlock()
		return s.guests.all == 1
	})
}

func TestRoomForAdmins(t *testing.T) {
	g := newGuests(time.Now)
	n := 0
	for uid := uint32(1000); ; uid++ {
		if g.enter(Peer{UID: uid}) != nil {
			break
		}
		n++
	}
	if n != maxConnections-keptForAdmins {
		t.Errorf("users have %d connections", n)
	}
	for range maxConnectionsEach {
		if err := g.enter(Peer{Admin: true}); err != nil {
			t.Error(err)
		}
	}
	if g.enter(Peer{UID: 1, Admin: true}) == nil {
		t.Error("one too many")
	}
	for uid := range uint32(10 * maxRemembered) {
		if err := g.call(Peer{UID: uid}); err != nil {
			t.Fatal(err)
		}
		g.users[uid].filled = g.users[uid].filled.Add(-time.Second)
	}
	if len(g.users) > 2*maxRemembered {
		t.Errorf("%d users are remembered", len(g.users))
	}
}

// A reader that does not read is let go; nobody waits for it, and it is told.
func TestSlowReader(t *testing.T) {
	s := start(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stream, err := sekishopb.NewSekishoClient(raw(t, s)).Attend(ctx, &sekishopb.Empty{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the reader attends", func() bool { return s.backend.Watching() == 1 })
	p := promptOf("p", 0, "/usr/bin/"+strings.Repeat("x", 4000))
	for range 10 * buffered {
		s.backend.Emit(api.Event{Prompt: &p})
	}
	eventually(t, "the stream has ended", func() bool { return s.backend.Watching() == 0 })
	if _, err := s.client.Status(ctx); err != nil {
		t.Errorf("others: %v", err)
	}
	n := 0
	for ; err == nil; n++ {
		_, err = stream.Recv()
	}
	if errors.Is(err, io.EOF) || !strings.Contains(err.Error(), "reads too slowly") {
		t.Errorf("after %d events: %v", n, err)
	}
}

func TestGarbage(t *testing.T) {
	s := start(t, nil)
	for _, garbage := range []string{"GET / HTTP/1.1\r\n\r\n", "\x00", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + strings.Repeat("\xff", 100), random(t, 100_000)} {
		conn, err := net.Dial("unix", s.socket)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(conn, garbage) // the server may hang up first
		conn.Close()
	}
	if _, err := s.client.Status(t.Context()); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	eventually(t, "the connections are forgotten", func() bool {
		s.guests.mu.Lock()
		defer s.guests.mu.Unlock()
		return s.guests.all == 1
	})
}

func random(t *testing.T, n int) string {
	t.Helper()
	b := make([]byte, n)
	if _, err := rand.Read(b); err != nil {
		t.Fatal(err)
	}
	return string(b)
}
