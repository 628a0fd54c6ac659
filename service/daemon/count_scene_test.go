package daemon_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sekisho/app/api"
	"sekisho/app/flow"
	"sekisho/app/rule"
	"sekisho/service/lab"
)

// countScene is a scene in which scripts talk to each other, one of them under the
// firewall's eye, and what was counted is compared with what they said.
type countScene struct {
	*scene
	python string
	number int
}

func newCountScene(t *testing.T) *countScene {
	t.Helper()
	return &countScene{scene: newScene(t), python: python(t)}
}

// speech is what scripts have at hand: connect() and accept(), sink and source.
const speech = `
import socket, struct, sys, time
THERE = (ADDRESS, PORT)
socket.setdefaulttimeout(15)
def connect():
    c = socket.socket(FAMILY, socket.SOCK_STREAM, PROTOCOL)
    c.connect((ADDRESS, PORT))
    return c
def listen():
    l = socket.socket(FAMILY, socket.SOCK_STREAM, PROTOCOL)
    l.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    l.bind((ADDRESS, PORT))
    l.listen(100)
    return l
def accept():
    l = listen()
    ready()
    return l.accept()[0]
def udp(protocol=0):
    u = socket.socket(FAMILY, socket.SOCK_DGRAM, protocol)
    u.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    return u
def server():
    u = udp()
    u.bind(THERE)
    ready()
    return u
def ready(): print('ready', flush=True)
def go_on(): sys.stdin.readline()
def get(c, n):
    while n:
        d = c.recv(min(n, 1 << 16))
        if not d: sys.exit('it ended %d bytes early' % n)
        n -= len(d)
def rest(c):
    while c.recv(1 << 16): pass
def reset(c):
    c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    c.close()
def put(c, n): c.sendall(bytes(n))
`

// talker is a running script.
type talker struct {
	*lab.Command
	file  string
	input *os.File
	lines *bufio.Scanner
	t     testing.TB
}

// talk starts a script; home says whether under the firewall's eye, where it may do
// everything.
func (s *countScene) talk(home bool, head, text string) *talker {
	s.t.Helper()
	k := s.talker(head, text)
	if home {
		s.addRule(rule.Rule{Action: rule.Allow, Direction: rule.Both, Program: rule.Program{Path: s.python, Script: k.file}})
		k.Command = s.Home.Command(s.t.Context(), s.python, k.file).Filtered()
	} else {
		k.Command = s.Remote.Command(s.t.Context(), s.python, k.file)
	}
	k.start()
	return k
}

// older is talk at home, where there is no service yet.
func (s *countScene) older(head, text string) *talker {
	s.t.Helper()
	k := s.talker(head, text)
	k.Command = s.Home.Command(s.t.Context(), s.python, k.file).Filtered()
	k.start()
	return k
}

func (s *countScene) talker(head, text string) *talker {
	s.t.Helper()
	s.number++
	k := &talker{t: s.t, file: filepath.Join(s.Dir, fmt.Sprintf("talk%d.py", s.number))}
	if err := os.WriteFile(k.file, []byte(head+speech+text), 0o644); err != nil {
		s.t.Fatal(err)
	}
	return k
}

func (k *talker) start() {
	k.t.Helper()
	k.Stderr = os.Stderr
	in, input, err := os.Pipe()
	if err != nil {
		k.t.Fatal(err)
	}
	k.Stdin, k.input = in, input
	out, err := k.StdoutPipe()
	if err != nil {
		k.t.Fatal(err)
	}
	k.lines = bufio.NewScanner(out)
	err = k.Start()
	_ = in.Close()
	if err != nil {
		k.t.Fatal(err)
	}
	k.t.Cleanup(func() { _ = input.Close() })
}

// ready waits until the script says so.
func (k *talker) ready() {
	k.t.Helper()
	if !k.lines.Scan() || k.lines.Text() != "ready" {
		k.t.Fatalf("%s: %q, %v", k.file, k.lines.Text(), k.lines.Err())
	}
}

func (k *talker) end() {
	k.t.Helper()
	if err := k.Wait(); err != nil {
		k.t.Errorf("%s: %v", k.file, err)
	}
}

// kill ends a script that goes on for ever.
func (k *talker) kill() {
	k.t.Helper()
	if err := k.Process.Kill(); err != nil {
		k.t.Fatal(err)
	}
	_ = k.Wait()
}

// follow is what is told of a script's flow until it was told of n times.
func (s *scene) follow(file string, n int) []flow.Flow {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 10*time.Second)
	defer cancel()
	var seen []flow.Flow
	err := s.api.FollowConnections(ctx, func(f flow.Flow) {
		if len(seen) < n && len(of(file, []flow.Flow{f})) == 1 {
			seen = append(seen, f)
		}
		if len(seen) == n {
			cancel()
		}
	})
	if len(seen) < n {
		s.t.Fatalf("told of %d times, want %d; %v", len(seen), n, err)
	}
	return seen
}

// live lists the open flows of a script, or program.
func (s *scene) live(file string) []flow.Flow {
	s.t.Helper()
	all, err := s.api.Connections(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return of(file, all)
}

func of(file string, all []flow.Flow) []flow.Flow {
	var found []flow.Flow
	for _, f := range all {
		if f.Process.Script == file || f.Process.Path == file {
			found = append(found, f)
		}
	}
	return found
}

// history is what the history says of a script's or program's flows, each once.
func (s *scene) history(file string) []flow.Flow {
	s.t.Helper()
	var all []flow.Flow
	at := map[string]int{}
	err := s.api.Activity(s.t.Context(), api.ActivityFilter{Limit: 10_000}, func(f flow.Flow) {
		if i, ok := at[f.ID]; ok {
			if f.State == flow.Closed || all[i].State != flow.Closed {
				all[i] = f
			}
			return
		}
		at[f.ID] = len(all)
		all = append(all, f)
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return of(file, all)
}

// past waits until n flows of a script are over, and lists them.
func (s *scene) past(file string, n int) []flow.Flow {
	s.t.Helper()
	var all []flow.Flow
	defer func() {
		if s.t.Failed() {
			for _, f := range all {
				s.t.Logf("history: %v %v %v %s to %s, %+v %+v, %s", f.Direction, f.Protocol, f.State, f.Local, f.Remote, f.Bytes, f.Packets, f.Decision.By)
			}
		}
	}()
	s.eventually("the end in the history", func() bool {
		all = s.history(file)
		for _, f := range all {
			if f.State != flow.Closed {
				return false
			}
		}
		return len(all) >= n
	})
	if len(all) != n {
		s.t.Errorf("%d flows, want %d", len(all), n)
	}
	return all
}

// near fails unless got is at most part of a hundred off want.
func near(t testing.TB, what string, got, want, part uint64) {
	t.Helper()
	off := max(got, want) - min(got, want)
	if off*100 > want*part {
		t.Errorf("%s: %d, want %d", what, got, want)
	}
}

// within fails unless the flow began and ended in this span.
func lasted(t testing.TB, f flow.Flow, from, to time.Time) {
	t.Helper()
	const slack = 50 * time.Millisecond // of two clocks
	if f.Time.Before(from.Add(-slack)) || f.Time.After(to) || f.Ended.Before(f.Time) || f.Ended.After(to.Add(slack)) {
		t.Errorf("from %v to %v, want within %v and %v", f.Time, f.Ended, from, to)
	}
}

// place is the head of a script that says who listens where.
func (s *countScene) place(home, six bool, protocol int) string {
	h := s.Remote
	if home {
		h = s.Home
	}
	family, address := "socket.AF_INET", h.Addr4
	if six {
		family, address = "socket.AF_INET6", h.Addr6
	}
	return strings.Join([]string{
		"import socket", "FAMILY = " + family, fmt.Sprintf("ADDRESS = %q", address.String()),
		fmt.Sprintf("PORT = %d", 8000+s.number), fmt.Sprintf("PROTOCOL = %d", protocol), "",
	}, "\n")
}
