package server

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sekisho/app/api"
	"sekisho/app/flow"
	"sekisho/app/prompt"
	"sekisho/app/rule"
	"sekisho/service/server/servertest"
)

// stranger is a user that no machine has an account for.
const stranger = 12345

// The test binary runs itself as another user, with what that user does in this variable.
const asStranger = "SEKISHO_TEST_STRANGER"

func TestMain(m *testing.M) {
	if does := os.Getenv(asStranger); does != "" {
		os.Exit(strangers[does](os.Args[1]))
	}
	goleak.VerifyTestMain(m)
}

// strangers are what another user can do; each gets the socket's path, prints JSON and
// returns an exit code.
var strangers = map[string]func(socket string) int{
	"try": tryAll, "listen": squat, "watch": watchAsStranger, "connect": connectMany,
}

// running is a server over a backend in memory.
type running struct {
	*Server
	backend *servertest.Backend
	client  *api.Client
	socket  string
	stop    func() error // ends Run and gives its error
}

var since = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// start runs a server until the test ends. change, which may be nil, is called before.
func start(t *testing.T, change func(*Server)) *running {
	t.Helper()
	b := servertest.New("test", since)
	socket := filepath.Join(openDir(t), "run", "s.sock")
	s := New(b, Config{Socket: socket, Log: slog.New(slog.DiscardHandler)})
	if change != nil {
		change(s)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	r := &running{Server: s, backend: b, client: api.Dial(socket), socket: socket}
	stopped := false
	r.stop = func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		return <-ended
	}
	t.Cleanup(func() {
		_ = r.client.Close()
		if err := r.stop(); err != nil {
			t.Errorf("run: %v", err)
		}
	})
	select {
	case <-s.Ready():
	case err := <-ended:
		stopped = true
		t.Fatalf("run: %v", err)
	}
	return r
}

// openDir is a folder of the test that other users can enter.
func openDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// as starts this test binary as another user.
func as(t *testing.T, uid uint32, does, socket string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(openDir(t), "stranger")
	b, err := os.ReadFile(self) // go test's own folder is closed to others
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(program, b, 0o755); err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), program, socket)
	c.Dir, c.Stderr = "/", os.Stderr
	c.Env = []string{asStranger + "=" + does}
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	return c
}

// outcome is what one call gave somebody.
type outcome struct {
	Code    api.ErrorCode // 0: it was done
	Message string
	Got     []string // ids
}

func outcomeOf(err error, got ...string) outcome {
	if err == nil {
		return outcome{Got: got}
	}
	return outcome{Code: api.CodeOf(err), Message: err.Error(), Got: got}
}

func printJSON(v any) int {
	if err := json.NewEncoder(os.Stdout).Encode(v); err != nil {
		return 1
	}
	return 0
}

func flowOf(id string, uid uint32, path string) flow.Flow {
	return flow.Flow{
		ID: id, Time: since, Protocol: flow.TCP,
		Process: &flow.Process{
			ProcessID: flow.ProcessID{PID: 100, Start: 1}, Program: flow.Program{Path: path}, UID: uid, Args: []string{path},
		},
		Remote:   flow.Endpoint{Addr: netip.MustParseAddr("192.0.2.2"), Port: 443, Name: "example.com"},
		Decision: flow.Decision{Verdict: flow.Waiting}, State: flow.Open,
	}
}

func promptOf(id string, uid uint32, path string) prompt.Prompt {
	f := flowOf("f-"+id, uid, path)
	return prompt.Prompt{ID: id, Generation: 1, Flow: f, Flows: 1, State: prompt.Waiting, Scopes: prompt.Scopes(f)}
}

func ruleFor(user, path string) rule.Rule {
	return rule.Rule{
		Enabled: true, Action: rule.Allow, User: user, Program: rule.Program{Path: path},
		Lifetime: rule.Lifetime{Kind: rule.Always}, Origin: rule.FromCommand,
	}
}

var allowOnce = prompt.Answer{Action: rule.Allow, Lifetime: rule.Once, Scope: prompt.Scope{Kind: prompt.Anything}}

// eventually waits for what happens in another goroutine.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("it never happened: %s", what)
}
