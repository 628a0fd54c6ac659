package machine

import (
	"context"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sekisho/app/flow"
	"sekisho/service/lab"
)

func TestMain(m *testing.M) {
	flag.Parse()
	// Every draw sets rules in the kernel and waits for what does not come.
	if f := flag.Lookup("rapid.checks"); f.Value.String() == f.DefValue {
		_ = f.Value.Set("50")
	}
	goleak.VerifyTestMain(m)
}

// scene is a lab in which Home's packet filter is another program's.
type scene struct {
	*lab.Lab
	t       *testing.T
	machine Machine
}

func newScene(t *testing.T) *scene {
	s := &scene{Lab: lab.New(t), t: t}
	s.machine = Machine{Hosts: filepath.Join(t.TempDir(), "hosts"), Resolv: filepath.Join(t.TempDir(), "resolv.conf")}
	s.resolveWith(s.Remote.Addr4)
	return s
}

func (s *scene) resolveWith(server netip.Addr) {
	s.t.Helper()
	err := os.WriteFile(s.machine.Resolv, fmt.Appendf(nil, "nameserver %s\noptions timeout:10 attempts:1\n", server), 0o644)
	if err != nil {
		s.t.Fatal(err)
	}
}

// run starts a program on Home, with input.
func (s *scene) run(input string, args ...string) string {
	s.t.Helper()
	var out []byte
	err := s.Home.Do(func() (err error) {
		c := exec.Command(args[0], args[1:]...)
		c.Stdin = strings.NewReader(input)
		out, err = c.CombinedOutput()
		return err
	})
	if err != nil {
		s.t.Fatalf("%s: %v\n%s%s", strings.Join(args, " "), err, out, input)
	}
	return string(out)
}

// nft sets rules as nft writes them; a | ends a line.
func (s *scene) nft(rules string) {
	s.t.Helper()
	s.run(strings.ReplaceAll(rules, "|", "\n"), "nft", "-f", "-")
}

// neighbours has Home and Remote know each other for good, so that rules against IPv6's
// neighbour discovery do not matter.
func (s *scene) neighbours() {
	s.t.Helper()
	hosts := []*lab.Host{s.Home, s.Remote}
	for i, h := range hosts {
		other := hosts[1-i]
		var mac string
		err := other.Do(func() error {
			link, err := net.InterfaceByName(lab.LinkName)
			if err == nil {
				mac = link.HardwareAddr.String()
			}
			return err
		})
		for _, a := range []netip.Addr{other.Addr4, other.Addr6} {
			if err == nil {
				err = h.Do(func() error {
					return exec.Command("ip", "neigh", "replace", a.String(), "lladdr", mac, "dev", lab.LinkName, "nud", "permanent").Run()
				})
			}
		}
		if err != nil {
			s.t.Fatalf("make neighbours: %v", err)
		}
	}
}

// mail is a connection of the user's mail program to Remote's port 25.
func (s *scene) mail() flow.Flow {
	return flow.Flow{
		Direction: flow.Out, Protocol: flow.TCP, Process: &flow.Process{UID: 1000, Program: flow.Program{Path: "/usr/bin/mail"}},
		Remote: flow.Endpoint{Addr: s.Remote.Addr4, Port: 25},
	}
}

func (s *scene) look(f flow.Flow) Report {
	s.t.Helper()
	var r Report
	err := s.Home.Do(func() (err error) {
		r, err = s.machine.Look(s.t.Context(), f)
		return err
	})
	if err != nil {
		s.t.Fatalf("look: %v", err)
	}
	return r
}

// connects says whether a program of a user of Home really gets through to Remote.
func (s *scene) connects(f flow.Flow) bool {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 300*time.Millisecond)
	defer cancel()
	var c net.Conn
	err := s.Home.Do(func() error {
		return asUser(f.Process.UID, f.Process.UID, func() (err error) {
			c, err = new(net.Dialer).DialContext(ctx, "tcp", netip.AddrPortFrom(f.Remote.Addr, f.Remote.Port).String())
			return err
		})
	})
	if err == nil {
		_ = c.Close()
	}
	return err == nil
}

// say writes a report's culprit in one line.
func say(r Report) string {
	if r.Culprit == nil {
		return string(r.Outcome)
	}
	s := fmt.Sprintf("%s by %s", r.Outcome, r.Culprit.Code)
	if f := r.Culprit.Filter; f != nil {
		s += fmt.Sprintf(" (%s: %s %s %s", f.Author, f.Family, f.Table, f.Chain)
		if f.Rule != "" {
			s += fmt.Sprintf(", rule %d: %s", f.Number, f.Rule)
		}
		s += ")"
		if p := r.Culprit.Values["packet"]; p != FirstPacket {
			s += " " + p
		}
	}
	return s
}
