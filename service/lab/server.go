package lab

import (
	"bufio"
	"context"
	"encoding/json"
	"sync"
)

// Reached is something that came to a Server.
type Reached struct {
	Local, From string // addresses with ports
	Data        string // the first bytes of it; none when a connection begins
}

// Server is a running copy of the program serve (service/lab/programs/serve, which lists
// its flags), a file of its own and so a program of its own, in the filtered control
// group. Its methods may be called from any goroutine.
type Server struct {
	Path, Local string
	command     *Command
	mu          sync.Mutex
	arrivals    []Reached
}

// Serve starts a server of that name on the host and returns when it receives.
func (h *Host) Serve(ctx context.Context, name string, args ...string) *Server {
	h.lab.t.Helper()
	s := &Server{Path: h.lab.copyProgram("service/lab/programs/serve", name)}
	s.run(ctx, h, args)
	return s
}

// Again starts another process of the same program.
func (s *Server) Again(ctx context.Context, args ...string) *Server {
	n := &Server{Path: s.Path}
	n.run(ctx, s.command.host, args)
	return n
}

func (s *Server) run(ctx context.Context, h *Host, args []string) {
	h.lab.t.Helper()
	s.command = h.Command(ctx, append([]string{s.Path}, args...)...).Filtered()
	out, err := s.command.StdoutPipe()
	if err != nil {
		h.lab.t.Fatalf("serve: %v", err)
	}
	var said logBuffer
	s.command.Stderr = &said
	if err := s.command.Start(); err != nil {
		h.lab.t.Fatalf("serve: %v", err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		h.lab.t.Fatalf("serve %v: it does not listen: %s", args, said.String())
	}
	var first Reached
	if err := json.Unmarshal(lines.Bytes(), &first); err != nil {
		h.lab.t.Fatalf("serve: %v", err)
	}
	s.Local = first.Local
	go func() {
		for lines.Scan() {
			var a Reached
			if json.Unmarshal(lines.Bytes(), &a) == nil {
				s.mu.Lock()
				s.arrivals = append(s.arrivals, a)
				s.mu.Unlock()
			}
		}
		_ = s.command.Wait()
	}()
}

// PID is its process number.
func (s *Server) PID() int { return s.command.Process.Pid }

// Arrivals is what reached it so far.
func (s *Server) Arrivals() []Reached {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Reached(nil), s.arrivals...)
}

// Stop ends it and waits for that.
func (s *Server) Stop() {
	s.command.end()
	<-s.command.Done()
}
