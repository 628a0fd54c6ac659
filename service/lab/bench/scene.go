package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"sekisho/app/api"
	"sekisho/app/rule"
	"sekisho/service/lab"
)

// port is where the remote host listens.
const port = 7000

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
	listen  int // listening socket on the remote host
	target  netip.AddrPort
	target6 netip.AddrPort
	next    netip.Addr // of everywhere: not used yet
}

func newScene(s *lab.Stage, o options) *scene {
	l := lab.New(s)
	sc := &scene{Lab: l, s: s, bare: l.AddHost("bare"), next: everywhere.Addr().Next()}
	sc.target, sc.target6 = netip.AddrPortFrom(l.Remote.Addr4, port), netip.AddrPortFrom(l.Remote.Addr6, port)
	s.Must("prepare the remote host", l.Remote.Do(func() (err error) {
		if err := answerFor(everywhere); err != nil {
			return err
		}
		sc.listen, err = listen()
		return err
	}))
	l.Cleanup(func() { _ = unix.Close(sc.listen) })
	sc.service = l.Home.Service(lab.Programs(o.programs))
	sc.api = api.Dial(sc.service.Socket)
	l.Cleanup(func() { _ = sc.api.Close() })
	return sc
}

// answerFor makes every address of a network the own host's.
func answerFor(p netip.Prefix) error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	_, network, err := net.ParseCIDR(p.String())
	if err != nil {
		return err
	}
	return netlink.RouteAdd(&netlink.Route{LinkIndex: lo.Attrs().Index, Dst: network, Type: unix.RTN_LOCAL, Table: unix.RT_TABLE_LOCAL, Scope: netlink.SCOPE_HOST})
}

// listen opens a socket whose connections the kernel completes by itself: no program
// wakes up and disturbs what is measured. A round's connections fit its backlog.
func listen() (int, error) {
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, err
	}
	err = errors.Join(unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0), // IPv4 too
		unix.Bind(fd, &unix.SockaddrInet6{Port: port}), unix.Listen(fd, 4096))
	if err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// clear accepts and closes what waits at the remote host.
func (sc *scene) clear() {
	for {
		fd, _, err := unix.Accept4(sc.listen, unix.SOCK_CLOEXEC)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return
		case errors.Is(err, unix.ECONNABORTED), errors.Is(err, unix.EINTR):
		case err != nil:
			sc.s.Fatalf("accept: %v", err)
		default:
			_ = unix.Close(fd)
		}
	}
}

func (sc *scene) rule(p *lab.Program, a rule.Action, to rule.Remote) {
	_, err := sc.api.AddRule(sc.s.Context(), rule.Rule{Enabled: true, Action: a, Program: rule.Program{Path: p.Path}, Remote: to}, 0)
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

// round and timed are what service/lab/programs/connect reads and writes with -rounds.
type round struct {
	Count, Warm, CPU int
	Target           netip.AddrPort
	Spread           bool
}

type timed struct {
	Began   time.Duration
	Connect []time.Duration
	Life    []time.Duration
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
