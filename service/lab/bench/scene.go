package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"sekisho/app/api"
	"sekisho/app/rule"
	"sekisho/service/lab"
)

// everywhere is a network whose every address is the remote host, for programs that
// never connect to the same place twice. It is reserved for measurements.
var everywhere = netip.MustParsePrefix("198.18.0.0/15")

// scene is the lab with the real service on its home host, and one more host, bare, on
// which there is no firewall at all.
type scene struct {
	*lab.Lab
	s       *lab.Stage
	bare    *lab.Host
	service *lab.Service
	api     *api.Client
	far     *far
	target  netip.AddrPort
	target6 netip.AddrPort
	next    netip.Addr // of everywhere: not used yet
}

func newScene(s *lab.Stage, o options) *scene {
	l := lab.New(s)
	sc := &scene{Lab: l, s: s, bare: l.AddHost("bare"), next: everywhere.Addr().Next()}
	sc.target, sc.target6 = netip.AddrPortFrom(l.Remote.Addr4, port), netip.AddrPortFrom(l.Remote.Addr6, port)
	var err error
	sc.far, err = newFar(l.Remote)
	l.Cleanup(sc.far.close)
	s.Must("prepare the remote host", err)
	sc.service = l.Home.Service(lab.Programs(o.programs))
	sc.api = api.Dial(sc.service.Socket)
	l.Cleanup(func() { _ = sc.api.Close() })
	return sc
}

// clear takes what waits at the remote host away.
func (sc *scene) clear() {
	_, err := sc.far.clear()
	sc.s.Must("accept", err)
}

func (sc *scene) rule(r rule.Rule) {
	r.Enabled = true
	_, err := sc.api.AddRule(sc.s.Context(), r, 0)
	sc.s.Must("add a rule", err)
}

func (sc *scene) status() api.Status {
	st, err := sc.api.Status(sc.s.Context())
	sc.s.Must("status", err)
	return st
}

// fresh is the first of n addresses that nobody has connected to.
func (sc *scene) fresh(n int) netip.Addr {
	first := sc.next
	for range n {
		sc.next = sc.next.Next()
	}
	if !everywhere.Contains(sc.next) {
		sc.s.Fatalf("there are not that many addresses in %s: ask for fewer rounds", everywhere)
	}
	return first
}

// round and timed are what service/lab/programs/connect reads and writes with -rounds;
// it says what they mean.
type round struct {
	Kind             string
	Count, Warm, CPU int
	Workers, Size    int
	Target           netip.AddrPort
	Spread           bool
}

type timed struct {
	Began   time.Duration
	Connect []time.Duration
	Life    []time.Duration
	Elapsed time.Duration
	Errors  map[string]int
	Error   string
}

// runner is the program connect, which makes connections as it is told.
type runner struct {
	command *lab.Command
	stop    func() error
	ask     *json.Encoder
	reply   *json.Decoder
}

// run starts a program, in the filtered control group or not.
func (sc *scene) run(p *lab.Program, filtered bool) *runner {
	c := p.Command(sc.s.Context(), "-rounds")
	if !filtered {
		c.In(sc.Others)
	}
	in, err := c.StdinPipe()
	sc.s.Must("start "+p.Path, err)
	out, err := c.StdoutPipe()
	sc.s.Must("start "+p.Path, err)
	sc.s.Must("start", c.Start())
	return &runner{c, in.Close, json.NewEncoder(in), json.NewDecoder(out)}
}

// begin asks for a round; end waits for it.
func (r *runner) begin(x round) error { return r.ask.Encode(x) }

func (r *runner) end() (timed, error) {
	var t timed
	if err := r.reply.Decode(&t); err != nil {
		return t, err
	}
	if t.Error != "" {
		return t, errors.New(t.Error)
	}
	return t, nil
}

// quit ends the program.
func (r *runner) quit() error {
	if err := errors.Join(r.stop(), r.command.Wait()); err != nil {
		return fmt.Errorf("end %s: %w", r.command.Path, err)
	}
	return nil
}
