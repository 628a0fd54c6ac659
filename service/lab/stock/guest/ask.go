package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/nftables"
)

// asked is what sekishoctl prompts --json prints of one, as far as it is looked at.
type asked struct {
	Direction string
	Protocol  string
	Program   struct {
		Path string
		PID  uint32
		Args []string
	}
	Local, Remote struct {
		Address netip.Addr
		Port    uint16
	}
	Prompt struct {
		ID    string
		State string
	}
}

type status struct {
	Enforcing bool
	Kernel    struct{ Queue string }
	Counters  struct {
		Flows, Queued, Unattributed uint64
		EventsLost                  uint64 `json:"events_lost"`
	}
	Problems []struct{ What string }
}

func (s *scene) status() status {
	var st status
	s.must("status", s.service.CtlJSON(s.ctx, &st, "status"))
	return st
}

// prompt waits until one about the program waits for an answer.
func (s *scene) prompt(program string) asked { return s.promptOf(program, "waiting") }

// promptOf waits until there is one about the program in one of the states.
func (s *scene) promptOf(program string, states ...string) asked {
	var found asked
	s.eventually("a prompt about "+program, func() bool {
		var all []asked
		s.must("prompts", s.service.CtlJSON(s.ctx, &all, "prompts"))
		for _, p := range all {
			if p.Program.Path == program && slices.Contains(states, p.Prompt.State) {
				found = p
				return true
			}
		}
		return false
	})
	return found
}

func (s *scene) answer(p asked, action string, more ...string) {
	s.ctl(append([]string{"answer", p.Prompt.ID, action}, more...)...)
}

func (s *scene) rule(args ...string) { s.ctl(append([]string{"rule", "add"}, args...)...) }

func (s *scene) ctl(args ...string) string {
	r, err := s.service.Ctl(s.ctx, args...)
	if err != nil || r.Code != 0 {
		s.Fatalf("sekishoctl %s: %+v, %v", strings.Join(args, " "), r, err)
	}
	return r.Out
}

// named has many programs run that connect and end at once. Had the kernel missed the
// start of one it would be taken for its parent, which has no rule, and be held; had the
// service missed it, it would be shown without its arguments.
func (s *scene) named() {
	const count = 1500
	program := s.brief(s.target)
	s.rule("--program", program, "--action", "allow")
	before := s.status().Counters
	began := time.Now()
	out, err := s.Home.Command(s.ctx, "/bin/spawn", "-count", strconv.Itoa(count), program).Filtered().Output()
	s.must("spawn", err)
	s.say("%v for %d", time.Since(began).Round(time.Millisecond), count)
	seen := map[uint32]bool{}
	for deadline := time.Now().Add(10 * time.Second); len(seen) < count && time.Now().Before(deadline); {
		time.Sleep(50 * time.Millisecond)
		if c := s.status().Counters; c.Flows-before.Flows < count {
			continue
		}
		var all []asked
		s.must("activity", s.service.CtlJSON(s.ctx, &all, "activity", "--program", program))
		for _, f := range all {
			seen[f.Program.PID] = len(f.Program.Args) > 0
		}
	}
	var lost int
	for d := json.NewDecoder(bytes.NewReader(out)); d.More(); {
		var child struct{ PID uint32 }
		s.must("read what spawn printed", d.Decode(&child))
		if child.PID == 0 || !seen[child.PID] {
			lost++
		}
	}
	if lost > 0 {
		s.Errorf("%d of %d were not seen as what they are", lost, count)
	}
	if c := s.status().Counters; c.Queued != before.Queued || c.Unattributed != 0 || c.EventsLost != 0 {
		s.Errorf("%+v; before: %+v", c, before)
	}
}

// nft runs f with a connection to Home's nftables.
func (s *scene) nft(f func(*nftables.Conn) error) error {
	c, err := nftables.New(nftables.WithNetNSFd(s.Home.NetNSFd()))
	if err != nil {
		return err
	}
	return f(c)
}

// rules finds the service's table and counts its rules.
func (s *scene) rules() (table *nftables.Table, count int) {
	s.must("read nftables", s.nft(func(c *nftables.Conn) error {
		tables, err := c.ListTables()
		if err != nil {
			return err
		}
		for _, t := range tables {
			if !strings.HasPrefix(t.Name, "sekisho_") {
				continue
			}
			table = t
			chains, err := c.ListChainsOfTableFamily(t.Family)
			if err != nil {
				return err
			}
			for _, ch := range chains {
				if ch.Table.Name == t.Name {
					rules, err := c.GetRules(t, ch)
					if err != nil {
						return err
					}
					count += len(rules)
				}
			}
		}
		return nil
	}))
	return table, count
}

// retransmitted counts the segments that Home sent again.
func (s *scene) retransmitted() (count int) {
	s.must("read counters", s.Home.Do(func() error {
		b, err := os.ReadFile("/proc/thread-self/net/snmp")
		if err != nil {
			return err
		}
		var names []string
		for l := range strings.Lines(string(b)) {
			w := strings.Fields(l)
			if w[0] != "Tcp:" {
				continue
			}
			if names == nil {
				names = w
				continue
			}
			for i, n := range names {
				if n == "RetransSegs" {
					_, err = fmt.Sscan(w[i], &count)
				}
			}
		}
		return err
	}))
	return count
}
