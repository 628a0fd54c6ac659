package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sekisho/app/api"
	"sekisho/app/flow"
	"sekisho/app/prompt"
	"sekisho/app/rule"
	"sekisho/service/server/servertest"
)

func TestSocket(t *testing.T) {
	s := start(t, nil)
	folder, err := os.Stat(filepath.Dir(s.socket))
	if err != nil || folder.Mode().Perm() != 0o755 {
		t.Errorf("the folder: %v, %v", folder.Mode(), err)
	}
	if socket, err := os.Stat(s.socket); err != nil || socket.Mode().Perm() != 0o666 {
		t.Errorf("the socket: %v, %v", socket.Mode(), err)
	}
	err = New(s.backend, Config{Socket: s.socket}).Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "already running") {
		t.Errorf("a second one: %v", err)
	}
	if _, err := s.client.Status(t.Context()); err != nil {
		t.Errorf("the first one: %v", err)
	}
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(s.socket); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is left: %v", err)
	}
}

// What a killed service leaves is replaced; what is not a socket is left alone.
func TestSocketInTheWay(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.sock")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	_ = l.Close()
	if err := runAndStop(t, path); err != nil {
		t.Errorf("with a stale socket: %v", err)
	}
	if err := os.WriteFile(path, []byte("precious"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := runAndStop(t, path); err == nil || !strings.Contains(err.Error(), "not a socket") {
		t.Errorf("with a file: %v", err)
	}
	if b, _ := os.ReadFile(path); string(b) != "precious" {
		t.Errorf("the file is %q", b)
	}
}

func runAndStop(t *testing.T, path string) error {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s := New(servertest.New("test", since), Config{Socket: path})
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	select {
	case <-s.Ready():
		cancel()
		return <-ended
	case err := <-ended:
		return err
	}
}

// Streams end at once when the service stops, and the client finds the next one.
func TestRestart(t *testing.T) {
	s := start(t, nil)
	ended := make(chan error, 2)
	go func() { ended <- s.client.Attend(t.Context(), func(api.Event) {}) }()
	go func() { ended <- s.client.FollowConnections(t.Context(), func(flow.Flow) {}) }()
	eventually(t, "both streams are open", func() bool { return s.backend.Watching() == 1 && s.backend.Following() == 1 })
	before := time.Now()
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(before); took > 900*time.Millisecond {
		t.Errorf("stopping took %s", took)
	}
	for range 2 {
		if err := <-ended; api.CodeOf(err) != api.NoService {
			t.Errorf("stream: %v", err)
		}
	}
	for range 3 {
		if _, err := s.client.Status(t.Context()); api.CodeOf(err) != api.NoService || !strings.Contains(err.Error(), "is not running at "+s.socket) {
			t.Errorf("without a service: %v", err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	next := New(s.backend, Config{Socket: s.socket})
	run := make(chan error, 1)
	go func() { run <- next.Run(ctx) }()
	<-next.Ready()
	if _, err := s.client.Status(t.Context()); err != nil {
		t.Errorf("after the restart: %v", err)
	}
	cancel()
	if err := <-run; err != nil {
		t.Error(err)
	}
}

func TestNoSocket(t *testing.T) {
	c := api.Dial(filepath.Join(t.TempDir(), "nothing", "s.sock"))
	defer c.Close()
	_, err := c.Status(t.Context())
	if api.CodeOf(err) != api.NoService || !strings.Contains(err.Error(), "start it: "+api.HowToStart) {
		t.Errorf("got %v", err)
	}
	long := api.Dial("/" + strings.Repeat("x", 200))
	defer long.Close()
	if _, err := long.Status(t.Context()); api.CodeOf(err) != api.NoService || !strings.Contains(err.Error(), "too long") {
		t.Errorf("a long path: %v", err)
	}
}

func TestGivenUp(t *testing.T) {
	s := start(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	err := s.client.Watch(ctx, func(api.Event) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// Lists outgrow one message.
func TestLongLists(t *testing.T) {
	s := start(t, nil)
	const n = 12_000
	for i := range n {
		r := ruleFor("", fmt.Sprintf("/usr/bin/x%d", i))
		r.Note = strings.Repeat("n", 900)
		if _, err := s.backend.AddRule(t.Context(), r, 0); err != nil {
			t.Fatal(err)
		}
		s.backend.Connect(flowOf(fmt.Sprint(i), 0, "/usr/bin/"+strings.Repeat("y", 500)))
	}
	rules, err := s.client.Rules(t.Context())
	if err != nil || len(rules) != n || rules[n-1].Program.Path != "/usr/bin/x11999" {
		t.Errorf("%d rules, %v", len(rules), err)
	}
	flows, err := s.client.Connections(t.Context())
	if err != nil || len(flows) != n || flows[n-1].ID != "11999" {
		t.Errorf("%d flows, %v", len(flows), err)
	}
}

func TestFilesTravelWhole(t *testing.T) {
	s := start(t, nil)
	file := []byte(random(t, 3_000_001))
	if err := s.client.Restore(t.Context(), bytes.NewReader(file)); err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if err := s.client.Backup(t.Context(), &got); err != nil || !bytes.Equal(got.Bytes(), file) {
		t.Errorf("%d bytes came back, %v", got.Len(), err)
	}
	broken := &brokenReader{n: 5}
	if err := s.client.Restore(t.Context(), broken); err == nil || !strings.Contains(err.Error(), "the disk is on fire") {
		t.Errorf("restore of half a file: %v", err)
	}
	got.Reset()
	if err := s.client.Backup(t.Context(), &got); err != nil || !bytes.Equal(got.Bytes(), file) {
		t.Errorf("half a file was restored: %d bytes, %v", got.Len(), err)
	}
	rules := []rule.Rule{ruleFor("", "/usr/bin/a"), ruleFor("", "/usr/bin/b")}
	export, err := rule.WriteFile(rules)
	if err != nil {
		t.Fatal(err)
	}
	export = append(export, bytes.Repeat([]byte(" "), 10<<20)...)
	if n, err := s.client.ImportRules(t.Context(), export, false); err != nil || n != 2 {
		t.Errorf("imported %d, %v", n, err)
	}
}

type brokenReader struct{ n int }

func (r *brokenReader) Read(b []byte) (int, error) {
	if r.n--; r.n < 0 {
		return 0, errors.New("the disk is on fire")
	}
	return len(b), nil
}

// An edit keeps what a client has no say in.
func TestEdit(t *testing.T) {
	s := start(t, nil)
	ctx := t.Context()
	r := ruleFor("", "/usr/bin/x")
	r.Lifetime.Kind = rule.Until
	added, err := s.client.AddRule(ctx, r, time.Hour)
	if err != nil || added.Lifetime.Until.IsZero() {
		t.Fatalf("%+v, %v", added, err)
	}
	edit := added
	edit.Note, edit.By, edit.Hits, edit.Origin, edit.Created = "why", "somebody", 100, rule.FromPreset, since
	edit.Lifetime.Until, edit.Lifetime.Deadline = since, 1
	got, err := s.client.EditRule(ctx, edit, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got.Note != "why" || got.By != "root" || got.Hits != 0 || got.Origin != rule.FromCommand || !got.Created.Equal(added.Created) || got.Lifetime != added.Lifetime {
		t.Errorf("edited %+v\nfrom %+v", got, added)
	}
	edit.Lifetime.Kind = rule.Always
	if got, err = s.client.EditRule(ctx, edit, 0); err != nil || got.Lifetime != (rule.Lifetime{Kind: rule.Always}) {
		t.Errorf("%+v, %v", got.Lifetime, err)
	}
	if _, err := s.client.Answer(ctx, "p", prompt.Answer{Action: rule.Allow, Lifetime: rule.Once, Scope: prompt.Scope{Kind: prompt.Anything}}); api.CodeOf(err) != api.NotFound {
		t.Error(err)
	}
}
