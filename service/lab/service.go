package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// readyWithin bounds how long a service may take to say that it is ready.
const readyWithin = time.Minute

// Service is the real sekishod on a host, which filters the programs of the lab's
// filtered control group. Its methods are called by the test's goroutine, but for Ctl,
// PID and Log.
type Service struct {
	State, Socket string

	host    *Host
	daemon  string // program files
	ctl     string
	args    []string
	through []string // the program that starts it, with its arguments
	notify  string
	before  []string // traces on the host before the service first ran
	mu      sync.Mutex
	command *Command
	log     logBuffer
}

// ServiceOption changes how a service is started.
type ServiceOption func(*Service)

// Programs takes the service and the command line from a folder, such as build,
// instead of compiling them.
func Programs(dir string) ServiceOption {
	return func(s *Service) {
		if abs, err := filepath.Abs(dir); err == nil {
			dir = abs
		}
		s.daemon, s.ctl = filepath.Join(dir, "sekishod"), filepath.Join(dir, "sekishoctl")
	}
}

// Args adds flags for the service.
func Args(args ...string) ServiceOption {
	return func(s *Service) { s.args = append(s.args, args...) }
}

// Through has the service started by another program from its next start on: args are
// that program and what it wants before the command that it is to execute.
func (s *Service) Through(args ...string) { s.through = args }

// Service starts the service on the host and waits until it is ready. When the test
// ends it is stopped and cleaned up after; the test fails if anything of it remains in
// the kernel then.
func (h *Host) Service(options ...ServiceOption) *Service {
	h.lab.t.Helper()
	dir := h.lab.file("service")
	s := &Service{host: h, State: filepath.Join(dir, "state"), Socket: filepath.Join(dir, "run", "sekisho.sock"), notify: filepath.Join(dir, "notify")}
	for _, o := range options {
		o(s)
	}
	if s.daemon == "" {
		s.daemon, s.ctl = Build(h.lab.t, "app/sekishod"), Build(h.lab.t, "app/sekishoctl")
	}
	var err error
	for _, d := range []string{dir, s.State, filepath.Dir(s.Socket)} {
		if err = os.Mkdir(d, 0o755); err != nil {
			h.lab.t.Fatalf("prepare service: %v", err)
		}
	}
	if s.before, err = h.traces(); err != nil {
		h.lab.t.Fatalf("prepare service: %v", err)
	}
	if err := h.lab.noteService(s.daemon, s.State); err != nil {
		h.lab.t.Fatalf("prepare service: %v", err)
	}
	h.lab.t.Cleanup(s.finish)
	s.Start()
	return s
}

// Start starts the service again after Kill or Stop, and waits until it is ready.
func (s *Service) Start() {
	s.host.lab.t.Helper()
	if err := s.start(); err != nil {
		s.host.lab.t.Fatalf("start service: %v\n%s", err, s.Log())
	}
}

// TryStart is Start for a service that may fail to: it says why.
func (s *Service) TryStart() error { return s.start() }

func (s *Service) start() error {
	_ = os.Remove(s.notify)
	ready, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: s.notify, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer ready.Close()
	args := append(slices.Clone(s.through), s.daemon, "--state", s.State, "--socket", s.Socket, "--cgroup", s.host.lab.Filtered)
	args = append(args, s.args...)
	// It ends with Stop, Kill or the lab, not with the test's context.
	c := s.host.Command(context.Background(), args...)
	c.Env = append(os.Environ(), "NOTIFY_SOCKET="+s.notify)
	c.Stdout, c.Stderr = &s.log, &s.log
	if err := c.Start(); err != nil {
		return err
	}
	s.mu.Lock()
	s.command = c
	s.mu.Unlock()
	ended := make(chan error, 1)
	go func() {
		ended <- c.Wait()
		// Nothing more will be read: end the wait for it.
		_ = ready.SetReadDeadline(time.Unix(1, 0))
	}()
	if err := ready.SetReadDeadline(time.Now().Add(readyWithin)); err != nil {
		return err
	}
	message := make([]byte, 4096)
	for {
		n, err := ready.Read(message)
		if err != nil {
			select {
			case end := <-ended:
				if end == nil {
					return errors.New("it ended before it was ready")
				}
				return fmt.Errorf("it ended before it was ready: %w", end)
			default:
				return fmt.Errorf("wait until it is ready: %w", err)
			}
		}
		if slices.Contains(strings.Split(string(message[:n]), "\n"), "READY=1") {
			return nil
		}
	}
}

// Running reports whether the service runs.
func (s *Service) Running() bool {
	c := s.current()
	if c == nil {
		return false
	}
	select {
	case <-c.Done():
		return false
	default:
		return true
	}
}

// PID is the service's process number.
func (s *Service) PID() int { return s.current().Process.Pid }

func (s *Service) current() *Command {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.command
}

// Kill ends the service as a crash does and waits until it is gone.
func (s *Service) Kill() {
	s.host.lab.t.Helper()
	c := s.current()
	if err := c.Process.Kill(); err != nil {
		s.host.lab.t.Fatalf("kill service: %v", err)
	}
	_ = c.Wait()
}

// Stop ends the service tidily and waits until it is gone.
func (s *Service) Stop() {
	s.host.lab.t.Helper()
	if err := s.stop(); err != nil {
		s.host.lab.t.Fatalf("stop service: %v\n%s", err, s.Log())
	}
}

func (s *Service) stop() error {
	c := s.current()
	if err := c.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	late := time.AfterFunc(readyWithin, func() { _ = c.Process.Signal(syscall.SIGQUIT) })
	defer late.Stop()
	return c.Wait()
}

// Restart stops the service tidily and starts it again.
func (s *Service) Restart() {
	s.host.lab.t.Helper()
	s.Stop()
	s.Start()
}

// Log is what the service wrote until now. It may be called from any goroutine.
func (s *Service) Log() string { return s.log.String() }

// finish stops the service, removes its traces, and fails the test over what remains.
func (s *Service) finish() {
	t := s.host.lab.t
	if s.Running() {
		if err := s.stop(); err != nil {
			t.Errorf("stop service: %v", err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), readyWithin)
	defer cancel()
	if out, err := s.host.Command(ctx, s.daemon, "--cleanup", "--state", s.State).CombinedOutput(); err != nil {
		t.Errorf("sekishod --cleanup: %v\n%s", err, out)
	}
	remains, err := s.remains()
	if err != nil {
		t.Errorf("look for what the service left: %v", err)
	}
	for _, r := range remains {
		t.Errorf("sekishod --cleanup left %s", r)
	}
	if t.Failed() {
		t.Logf("log of the service:\n%s", s.Log())
	}
}

// remains lists the traces on the host that were not there before.
func (s *Service) remains() ([]string, error) {
	now, err := s.host.traces()
	return slices.DeleteFunc(now, func(trace string) bool { return slices.Contains(s.before, trace) }), err
}

// logBuffer may be written and read from any goroutine.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
