package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sekisho/service/server"
	"sekisho/service/server/servertest"
)

// screen is a terminal with a program in it, and what it has shown.
type screen struct {
	t    *testing.T
	ptmx *os.File

	mu    sync.Mutex
	shown strings.Builder
	seen  int // how much of it expect has passed
}

// terminal starts a program in a new session on a new terminal.
func terminal(t *testing.T, env []string, args ...string) (*screen, *exec.Cmd) {
	t.Helper()
	ptmx, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(ptmx.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(ptmx.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	pts, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer pts.Close()
	command := exec.Command(args[0], args[1:]...)
	command.Env = append(os.Environ(), env...)
	command.Stdin, command.Stdout, command.Stderr = pts, pts, pts
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	s := &screen{t: t, ptmx: ptmx}
	read := make(chan struct{})
	go func() {
		defer close(read)
		b := make([]byte, 4096)
		for {
			n, err := ptmx.Read(b)
			s.mu.Lock()
			s.shown.Write(b[:n])
			s.mu.Unlock()
			if err != nil {
				return // EIO: the last program has left the terminal
			}
		}
	}()
	t.Cleanup(func() {
		if command.ProcessState == nil {
			_ = command.Process.Kill()
			_ = command.Wait()
		}
		<-read
		ptmx.Close()
	})
	return s, command
}

// expect waits until the screen shows text after what was expected before.
func (s *screen) expect(text string) {
	s.t.Helper()
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		s.mu.Lock()
		i := strings.Index(s.shown.String()[s.seen:], text)
		if i >= 0 {
			s.seen += i + len(text)
		}
		s.mu.Unlock()
		if i >= 0 {
			return
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.t.Fatalf("the screen never showed %q; it shows\n%s", text, s.shown.String())
}

func (s *screen) enter(text string) {
	s.t.Helper()
	if _, err := s.ptmx.WriteString(text); err != nil {
		s.t.Fatal(err)
	}
}

// program is this test binary under a name that TestMain knows.
func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name) // testscript.Main has put them into PATH
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// A person at a terminal: what was typed before the question is forgotten, what is
// typed after it is the answer.
func TestAskAtTerminal(t *testing.T) {
	b := servertest.New(version, started)
	socket := filepath.Join(t.TempDir(), "s.sock")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	s := server.New(b, server.Config{Socket: socket})
	go func() { ended <- s.Run(ctx) }()
	<-s.Ready()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()

	screen, command := terminal(t, []string{"SOCKET=" + socket}, program(t, "ctl"), "ask")
	screen.expect("waiting for questions")
	screen.enter("b always\n")
	for len(b.Attended()) == 0 {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(50 * time.Millisecond) // the line is in the terminal
	b.Ask(promptOf("p1", 0, "/usr/bin/curl", "example.com", 443))
	screen.expect("curl wants to connect to example.com, TCP port 443")
	screen.expect("> ")
	if a := b.Answers(); len(a) != 0 {
		t.Fatalf("answered by what was typed before: %+v", a)
	}
	screen.enter("a\n")
	screen.expect("Allowed, this once")
	// A question that is settled elsewhere takes itself away.
	b.Ask(promptOf("p2", 0, "/usr/bin/wget", "example.org", 80))
	screen.expect("wget wants")
	screen.expect("> ")
	if _, err := b.Answer(ctx, "p2", b.Answers()[0].Answer); err != nil {
		t.Fatal(err)
	}
	screen.expect("It needs no answer any more.")
	b.Ask(promptOf("p3", 0, "/usr/bin/nc", "example.net", 25))
	screen.expect("nc wants")
	screen.expect("> ")
	screen.enter("a\n")
	screen.expect("Allowed, this once")
	screen.enter("what\n")
	screen.expect("Nothing is asked now; q quits.")
	screen.enter("q\n")
	if err := command.Wait(); err != nil {
		t.Error(err)
	}

	// Ctrl-C ends it as a shell has it.
	screen, command = terminal(t, []string{"SOCKET=" + socket}, program(t, "ctl"), "ask")
	screen.expect("waiting for questions")
	screen.enter("\x03")
	_ = command.Wait()
	if got := command.ProcessState.ExitCode(); got != 128+int(syscall.SIGINT) {
		t.Errorf("exit code %d after Ctrl-C", got)
	}
}

// The questions of a trial come to the terminal that a shell uses: they are asked
// whether a program of the shell is in front or the shell sits at its own prompt, and
// the shell has the terminal back afterwards.
func TestTryAtTerminal(t *testing.T) {
	dir := t.TempDir()
	log, asks := filepath.Join(dir, "daemon.log"), filepath.Join(dir, "connects")
	env := []string{"DAEMON_LOG=" + log, "ASK_WHEN=" + asks, "PS1=ready$ ", "TMPDIR=" + dir, "HOME=" + dir}
	for name, in := range map[string]string{
		"a program is in front":       "touch " + asks + "; sleep 1\n",
		"the shell is in front":       "(sleep 0.3; touch " + asks + ") &\n",
		"the shell is being typed at": "(sleep 0.3; touch " + asks + ") & \necho half",
	} {
		t.Run(name, func(t *testing.T) {
			_ = os.Remove(asks)
			screen, command := terminal(t, env, program(t, "sekishoctl"), "try", "--", "bash", "--norc", "-i")
			screen.expect("ready$ ")
			screen.enter(in)
			screen.expect("curl wants to connect to example.com, TCP port 443")
			screen.expect("> ")
			screen.enter("a always\n")
			screen.expect("Rule 1: Allow /usr/bin/curl to connect to example.com, TCP port 443, always.")
			// The shell goes on with what was typed at it.
			screen.enter("\necho $((6*7))\n")
			screen.expect("42")
			screen.enter("exit 3\n")
			err := command.Wait()
			if command.ProcessState.ExitCode() != 3 {
				t.Errorf("exit: %v", err)
			}
			left, _ := filepath.Glob(filepath.Join(dir, "sekisho-try-*"))
			if len(left) > 0 {
				t.Errorf("left behind: %q", left)
			}
		})
	}
}

// Ctrl-C ends the command, as it would without us, and everything is tidied up.
func TestTryInterrupted(t *testing.T) {
	dir := t.TempDir()
	log := filepath.Join(dir, "daemon.log")
	screen, command := terminal(t, []string{"DAEMON_LOG=" + log, "TMPDIR=" + dir}, program(t, "sekishoctl"), "try", "--", "sh", "-c", "echo runs; exec sleep 100")
	screen.expect("runs")
	screen.enter("\x03")
	_ = command.Wait()
	if got := command.ProcessState.ExitCode(); got != 128+int(syscall.SIGINT) {
		t.Errorf("exit code %d", got)
	}
	b, err := os.ReadFile(log)
	if err != nil || !strings.HasSuffix(string(b), "stopped\ncleanup state\n") {
		t.Errorf("the service: %q, %v", b, err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "sekisho-try-*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// What takes everything's place is done for a person only after a yes.
func TestRestoreAtTerminal(t *testing.T) {
	b := servertest.New(version, started)
	dir := t.TempDir()
	socket, saved := filepath.Join(dir, "s.sock"), filepath.Join(dir, "saved")
	if err := os.WriteFile(saved, []byte("all our rules."), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	s := server.New(b, server.Config{Socket: socket})
	go func() { ended <- s.Run(ctx) }()
	<-s.Ready()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	for _, test := range []struct {
		typed, says string
		code        int
		kept        string
	}{
		{"\n", "Nothing was changed.", exitFailed, ""},
		{"n\n", "Nothing was changed.", exitFailed, ""},
		{"\x03", "", 128 + int(syscall.SIGINT), ""},
		{"y\n", "is restored. What was there before is in", exitDone, "all our rules."},
	} {
		screen, command := terminal(t, []string{"SOCKET=" + socket}, program(t, "ctl"), "restore", saved)
		screen.expect("Put it in place of all rules, settings and history? [y/N] ")
		screen.enter(test.typed)
		screen.expect(test.says)
		_ = command.Wait()
		if got := command.ProcessState.ExitCode(); got != test.code {
			t.Errorf("%q: exit code %d, want %d", test.typed, got, test.code)
		}
		var kept strings.Builder
		if err := b.Backup(ctx, &kept); err != nil || kept.String() != test.kept {
			t.Errorf("%q: the service has %q, %v", test.typed, kept.String(), err)
		}
	}
}
