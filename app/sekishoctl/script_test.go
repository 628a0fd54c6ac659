package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"sekisho/app/api"
	"sekisho/app/flow"
	"sekisho/app/prompt"
	"sekisho/app/rule"
	"sekisho/service/server"
	"sekisho/service/server/servertest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		// ctl is sekishoctl with the script's socket, as the user $AS if that is set.
		"ctl":        ctlMain,
		"sekishoctl": main,
		"sekishod":   daemonMain,
	})
}

func ctlMain() {
	if as := os.Getenv("AS"); as != "" {
		uid, err := strconv.Atoi(as)
		if err == nil {
			err = errors.Join(syscall.Setgroups(nil), syscall.Setgid(uid), syscall.Setuid(uid))
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(100)
		}
	}
	os.Exit(run(append([]string{"--socket", os.Getenv("SOCKET")}, os.Args[1:]...), os.Stdin, os.Stdout, os.Stderr))
}

// daemonMain stands in for sekishod where a script needs one: the real server over a
// backend in memory, which filters nothing.
func daemonMain() {
	flags := map[string]string{}
	for i := 1; i < len(os.Args); i++ {
		switch a := os.Args[i]; a {
		case "--check", "--cleanup":
			flags[a] = "yes"
		case "--state", "--socket", "--cgroup":
			i++
			flags[a] = os.Args[i]
		}
	}
	note := func(s string) {
		f, err := os.OpenFile(os.Getenv("DAEMON_LOG"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err == nil {
			fmt.Fprintln(f, s)
			f.Close()
		}
	}
	switch {
	case os.Getenv("DAEMON_FAILS") != "" && flags["--cleanup"] == "":
		fmt.Fprintln(os.Stderr, "level=ERROR msg=\"the kernel is too old\"")
		os.Exit(1)
	case flags["--check"] != "":
		fmt.Println("eBPF: yes\nnfqueue: yes")
		return
	case flags["--cleanup"] != "":
		note("cleanup " + filepath.Base(flags["--state"]))
		return
	}
	note("start in " + filepath.Base(filepath.Dir(flags["--cgroup"])))
	b := servertest.New(version, time.Now())
	ctx, cancel := context.WithCancel(context.Background())
	go func() { // a command that makes the file asks to connect
		for ctx.Err() == nil {
			if _, err := os.Stat(os.Getenv("ASK_WHEN")); err == nil {
				b.Ask(promptOf("p1", 0, "/usr/bin/curl", "example.com", 443))
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	}()
	s := server.New(b, server.Config{Socket: flags["--socket"], Log: slog.New(slog.DiscardHandler)})
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	<-s.Ready()
	if c, err := net.Dial("unixgram", os.Getenv("NOTIFY_SOCKET")); err == nil {
		fmt.Fprint(c, "STATUS=begins\nREADY=1\n")
		c.Close()
	}
	<-terminated()
	cancel()
	if err := <-ended; err != nil {
		note(err.Error())
	}
	note("stopped")
}

type world struct {
	backend *servertest.Backend
	stop    func()
}

var started = time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC)

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: false,
		RequireUniqueNames:  true,
		Setup:               setup,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"code": code, "prompt": addPrompt, "flow": addFlow, "past": addPast, "problem": addProblem,
			"stopservice": stopService, "answers": showAnswers, "nothingleft": nothingLeft,
			"network": addNetwork, "proposal": addProposal, "watched": watched, "followed": followed,
		},
	})
}

type worldKey struct{}

// setup gives each script a service of its own.
func setup(env *testscript.Env) error {
	dir, err := os.MkdirTemp("", "ctl")
	if err != nil {
		return err
	}
	env.Defer(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	socket := filepath.Join(dir, "s.sock")
	b := servertest.New("1.2.3", started)
	s := server.New(b, server.Config{Socket: socket, Log: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(context.Background())
	gone := make(chan struct{})
	w := &world{backend: b, stop: func() {
		cancel()
		<-gone
	}}
	env.Defer(w.stop)
	var why error
	go func() {
		defer close(gone)
		why = s.Run(ctx)
	}()
	select {
	case <-s.Ready():
	case <-gone:
		return why
	}
	env.Values[worldKey{}] = w
	env.Setenv("SOCKET", socket)
	env.Setenv("TZ", "UTC")
	env.Setenv("DAEMON_LOG", filepath.Join(env.WorkDir, "daemon.log"))
	env.Setenv("ASK_WHEN", filepath.Join(env.WorkDir, "connects"))
	return nil
}

func worldOf(ts *testscript.TestScript) *world { return ts.Value(worldKey{}).(*world) }

// code N COMMAND…: the command ends with exit code N.
func code(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N COMMAND…")
	}
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if strconv.Itoa(got) != args[0] {
		ts.Fatalf("exit code %d, want %s", got, args[0])
	}
	if stderr := ts.ReadFile("stderr"); got != 0 && !strings.Contains(stderr, "warning:") && !strings.Contains(stderr, "note:") && strings.Count(stderr, "\n") > 1 {
		ts.Fatalf("the error has more than one line:\n%s", stderr)
	}
}

// prompt ID UID PROGRAM HOST PORT [STATE]
func addPrompt(ts *testscript.TestScript, _ bool, args []string) {
	p := promptOf(args[0], number32(ts, args[1]), args[2], args[3], uint16(number32(ts, args[4])))
	if len(args) > 5 {
		p.State = prompt.State(args[5])
	}
	worldOf(ts).backend.Ask(p)
}

// flow ID UID PROGRAM HOST PORT
func addFlow(ts *testscript.TestScript, _ bool, args []string) {
	worldOf(ts).backend.Connect(decided(flowOf(args[0], number32(ts, args[1]), unquoted(ts, args[2]), args[3], uint16(number32(ts, args[4]))), flow.Allow))
}

// past ID UID PROGRAM HOST PORT VERDICT
func addPast(ts *testscript.TestScript, _ bool, args []string) {
	var v flow.Verdict
	ts.Check(v.UnmarshalText([]byte(args[5])))
	worldOf(ts).backend.Record(decided(flowOf(args[0], number32(ts, args[1]), args[2], args[3], uint16(number32(ts, args[4]))), v))
}

// unquoted lets a script write control characters.
func unquoted(ts *testscript.TestScript, s string) string {
	u, err := strconv.Unquote(`"` + s + `"`)
	ts.Check(err)
	return u
}

func number32(ts *testscript.TestScript, s string) uint32 {
	n, err := strconv.ParseUint(s, 10, 32)
	ts.Check(err)
	return uint32(n)
}

// problem WHAT DO: the service has a problem and filters nothing.
func addProblem(ts *testscript.TestScript, _ bool, args []string) {
	worldOf(ts).backend.Change(func(s *api.Status) {
		s.Enforcing = false
		s.Problems = append(s.Problems, api.Problem{What: args[0], Since: started, Do: args[1]})
	})
}

func stopService(ts *testscript.TestScript, _ bool, _ []string) { worldOf(ts).stop() }

// answers: prints the answers that the service was given.
func showAnswers(ts *testscript.TestScript, _ bool, _ []string) {
	for _, a := range worldOf(ts).backend.Answers() {
		fmt.Fprintf(ts.Stdout(), "%s %s %s %s %s %s:%d by %s\n", a.ID, a.Answer.Action, a.Answer.Lifetime, a.Answer.For,
			a.Answer.Scope.Kind, a.Answer.Scope.To, a.Answer.Scope.Port, a.Answer.By)
	}
}

// watched N: N clients follow events.
func watched(ts *testscript.TestScript, _ bool, args []string) {
	until(ts, args[0], worldOf(ts).backend.Watching)
}

// followed N: N clients follow connections.
func followed(ts *testscript.TestScript, _ bool, args []string) {
	until(ts, args[0], worldOf(ts).backend.Following)
}

func until(ts *testscript.TestScript, want string, count func() int) {
	for end := time.Now().Add(10 * time.Second); strconv.Itoa(count()) != want; time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			ts.Fatalf("%d follow, want %s", count(), want)
		}
	}
}

// nothingleft: no trial has left a folder or a control group.
func nothingLeft(ts *testscript.TestScript, _ bool, _ []string) {
	mount, err := cgroupMount("/proc/self/mountinfo")
	ts.Check(err)
	for _, pattern := range []string{filepath.Join(ts.Getenv("TMPDIR"), "sekisho-try-*"), filepath.Join(mount, "sekisho-try-*")} {
		left, err := filepath.Glob(pattern)
		ts.Check(err)
		if len(left) > 0 {
			ts.Fatalf("left behind: %q", left)
		}
	}
}

func flowOf(id string, uid uint32, path, host string, port uint16) flow.Flow {
	f := flow.Flow{
		ID: id, Time: started, Protocol: flow.TCP, State: flow.Open,
		Process: &flow.Process{
			ProcessID: flow.ProcessID{PID: 4711, Start: 1}, UID: uid, User: "ann",
			Program: flow.Program{Path: path}, Args: []string{path, "--quiet"},
			Parents: []flow.Ancestor{{ProcessID: flow.ProcessID{PID: 4700}, Path: "/usr/bin/bash", Name: "bash"}},
		},
		Remote: flow.Endpoint{Addr: netip.MustParseAddr("192.0.2.2"), Port: port, Name: host},
		Bytes:  flow.Bytes{Sent: 1234, Received: 5_600_000},
	}
	if path == "-" {
		f.Process = &flow.Process{}
	}
	if a, err := netip.ParseAddr(host); err == nil {
		f.Remote.Addr, f.Remote.Name = a, ""
	}
	return f
}

func decided(f flow.Flow, v flow.Verdict) flow.Flow {
	f.Decision = flow.Decision{Verdict: v, By: flow.By{Kind: flow.ByRule, ID: "12", Name: "curl"}}
	return f
}

func promptOf(id string, uid uint32, path, host string, port uint16) prompt.Prompt {
	f := flowOf("f-"+id, uid, path, host, port)
	return prompt.Prompt{
		ID: id, Generation: 1, Flow: f, Flows: 2, State: prompt.Waiting, Scopes: prompt.Scopes(f),
		Warnings: []prompt.Warning{{Code: prompt.WarnFresh, Text: "This program's file changed a minute ago"}},
	}
}

// terminated is closed when this process is told to end.
func terminated() <-chan os.Signal {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGTERM)
	return c
}

// network ID NAME PROFILE: the machine is on it, by the way out.
func addNetwork(ts *testscript.TestScript, _ bool, args []string) {
	worldOf(ts).backend.Be(api.Network{ID: args[0], Name: unquoted(ts, args[1]), Kind: "wifi", Link: "wlan0", Profile: args[2], Here: true, Primary: true})
	worldOf(ts).backend.Change(func(s *api.Status) { s.Network, s.NetworkProfile = unquoted(ts, args[1]), args[2] })
}

// proposal ID PROGRAM DOMAIN: a rule for a domain is proposed.
func addProposal(ts *testscript.TestScript, _ bool, args []string) {
	worldOf(ts).backend.Propose(api.Proposal{
		ID: args[0], Breadth: "owner", Flows: 12, Hosts: 3, First: started, Last: started, Examples: []string{"a." + args[2], "b." + args[2]}, Overrides: []string{"7"},
		Rule: rule.Rule{
			Enabled: true, Action: rule.Allow, Program: rule.Program{Path: args[1]}, Remote: rule.Remote{Domain: args[2]},
			Ports: []rule.PortRange{{From: 443, To: 443}}, Origin: rule.FromLearn, Lifetime: rule.Lifetime{Kind: rule.Always},
		},
	})
}
