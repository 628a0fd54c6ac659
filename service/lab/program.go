package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// Outcome is what became of one connection of a Program.
type Outcome struct {
	N     int
	PID   int
	OK    bool
	Stage string // where it failed: lookup, socket, bind, connect, send, receive
	Errno string // ECONNREFUSED, EPERM, …; empty if no system call failed
	Error string
	Start time.Time
	// How long the lookup, connect() (sendto() when unconnected) and all of it took.
	Lookup, Connect, Total time.Duration
	Local, Remote          string // addresses with ports
	Reply                  string
}

// UnmarshalJSON reads a line that the program printed.
func (o *Outcome) UnmarshalJSON(b []byte) error {
	type plain Outcome
	line := struct {
		*plain
		Lookup  int64 `json:"lookup_ns"`
		Connect int64 `json:"connect_ns"`
		Total   int64 `json:"total_ns"`
	}{plain: (*plain)(o)}
	if err := json.Unmarshal(b, &line); err != nil {
		return err
	}
	o.Lookup, o.Connect, o.Total = time.Duration(line.Lookup), time.Duration(line.Connect), time.Duration(line.Total)
	return nil
}

// Program is a copy of the program connect (service/lab/programs/connect, which lists
// its modes and flags), a file of its own and so a program of its own.
type Program struct {
	Path string
	host *Host
}

// Program makes a program of that name for the host. Two of one name are two files in
// two folders.
func (h *Host) Program(name string) *Program {
	h.lab.t.Helper()
	return &Program{Path: h.lab.copyProgram("service/lab/programs/connect", name), host: h}
}

// copyProgram builds a package of the module and copies the program into the lab.
func (l *Lab) copyProgram(pkg, name string) string {
	l.t.Helper()
	built := Build(l.t, pkg)
	dir := l.file("bin")
	file := filepath.Join(dir, name)
	err := os.Mkdir(dir, 0o755)
	if err == nil {
		err = copyFile(file, built)
	}
	if err != nil {
		l.t.Fatalf("copy program %s: %v", name, err)
	}
	return file
}

func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if closeErr := out.Close(); err == nil {
		err = closeErr
	}
	return err
}

// Command prepares a run of the program in the filtered control group: flags, mode and
// target as the program takes them.
func (p *Program) Command(ctx context.Context, args ...string) *Command {
	return p.host.Command(ctx, append([]string{p.Path}, args...)...).Filtered()
}

// Run runs the program to its end. The error is nil when the program could report,
// whether its connections succeeded or not.
func (p *Program) Run(ctx context.Context, args ...string) ([]Outcome, error) {
	r := p.Start(ctx, args...)
	return r.Wait()
}

// RunOutside is Run where no firewall looks.
func (p *Program) RunOutside(ctx context.Context, args ...string) ([]Outcome, error) {
	return p.start(p.host.Command(ctx, append([]string{p.Path}, args...)...)).Wait()
}

// Running is a program that was started.
type Running struct {
	*Command
	out      bytes.Buffer
	startErr error
	ended    chan struct{}
}

// Start starts the program and returns while it runs; an error is reported by Wait.
func (p *Program) Start(ctx context.Context, args ...string) *Running {
	return p.start(p.Command(ctx, args...))
}

func (p *Program) start(c *Command) *Running {
	r := &Running{Command: c, ended: make(chan struct{})}
	r.Stdout = &r.out
	r.Stderr = os.Stderr
	if r.startErr = r.Command.Start(); r.startErr != nil {
		close(r.ended)
		return r
	}
	go func() {
		_ = r.Command.Wait()
		close(r.ended)
	}()
	return r
}

// PID is the program's process number; 0 if it could not be started.
func (r *Running) PID() int {
	if r.startErr != nil {
		return 0
	}
	return r.Process.Pid
}

// Ended is closed when the program has ended.
func (r *Running) Ended() <-chan struct{} { return r.ended }

// Wait waits for the program's end and returns what became of its connections.
func (r *Running) Wait() ([]Outcome, error) {
	<-r.ended
	if r.startErr != nil {
		return nil, r.startErr
	}
	outcomes, err := readLines[Outcome](r.out.Bytes())
	if err != nil {
		return nil, fmt.Errorf("read what %s printed: %w", r.Path, err)
	}
	if code := r.ProcessState.ExitCode(); code != 0 && code != 1 {
		return outcomes, fmt.Errorf("%s: %s", r.Path, r.ProcessState)
	}
	return outcomes, nil
}

// Spawned is one of the processes that Burst started.
type Spawned struct {
	PID    int
	Port   uint16 // its source port
	Exited bool   // with success
}

// Burst runs the program count times, parallel at once, each from a source port of its
// own that counts up from base: it begins one connection or sends one datagram and
// exits. mode is tcp, udp or udp-unconnected; target an address with a port.
func (p *Program) Burst(ctx context.Context, count, parallel int, base uint16, mode, target string) ([]Spawned, error) {
	spawn, err := build("service/lab/programs/spawn")
	if err != nil {
		return nil, fmt.Errorf("build spawn: %w", err)
	}
	out, err := p.host.Command(ctx, spawn, "-count", strconv.Itoa(count), "-parallel", strconv.Itoa(parallel), "-base", strconv.Itoa(int(base)),
		p.Path, "-exit-at-once", "-source", "{port}", mode, target).Filtered().Output()
	if err != nil {
		return nil, err
	}
	return readLines[Spawned](out)
}

func readLines[V any](b []byte) ([]V, error) {
	var all []V
	for d := json.NewDecoder(bytes.NewReader(b)); d.More(); {
		var v V
		if err := d.Decode(&v); err != nil {
			return all, err
		}
		all = append(all, v)
	}
	return all, nil
}
