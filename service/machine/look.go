package machine

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"sekisho/app/flow"
	"sekisho/service/machine/ruleset"
)

// Machine is this computer, seen from one network namespace at a time.
type Machine struct {
	// Own reports which tables of nftables are Sekisho's; nil: none.
	Own func(table string) bool
	// Files that names are looked up by; empty: resolv.conf, hosts and nsswitch.conf of /etc.
	Resolv, Hosts, NSSwitch string
	// NameDeadline is how long a name server may take in all; 0: 5 s.
	NameDeadline time.Duration
	// Admit lets the socket of an attempt through Sekisho's own checks, before it connects;
	// nil: nothing is in its way.
	Admit func(fd int) error
	// TryFor is how long an attempt may take; 0: 3 s.
	TryFor time.Duration
	// Cgroups is where cgroup v2 is mounted; empty: /sys/fs/cgroup.
	Cgroups string
}

// pathsMost is how many addresses of a name are looked at.
const pathsMost = 8

// Look says what becomes of a connection to f.Remote: by its address, else by its name.
// Of f, the direction, the protocol, both ends and the process's user and cgroup count.
// It needs CAP_NET_ADMIN.
func (m *Machine) Look(ctx context.Context, f flow.Flow) (Report, error) {
	if f.Remote.Addr.IsValid() {
		return m.LookAt(ctx, f, f.Remote.Addr)
	}
	steps, to := m.Resolve(ctx, f.Remote.Name)
	r := Report{Names: steps}
	if len(to) == 0 {
		r.conclude()
		return r, ctx.Err()
	}
	at, err := m.LookAt(ctx, f, to...)
	at.Names = steps
	return at, err
}

// LookAt is Look for the addresses of the other end.
func (m *Machine) LookAt(ctx context.Context, f flow.Flow, to ...netip.Addr) (Report, error) {
	var r Report
	w, err := openWays()
	if err != nil {
		return r, err
	}
	defer w.close()
	set, err := ruleset.Read(m.own)
	if err != nil {
		return r, err
	}
	defer set.Close()
	for _, a := range to[:min(len(to), pathsMost)] {
		if err := ctx.Err(); err != nil {
			return r, err
		}
		g := f
		g.Remote.Addr = a.Unmap().WithZone("")
		l := look{machine: m, ways: w, set: set, flow: &g}
		r.Paths = append(r.Paths, l.path())
	}
	r.conclude()
	return r, nil
}

func (m *Machine) own(table string) bool { return m.Own != nil && m.Own(table) }

// look follows one connection to one address.
type look struct {
	machine *Machine
	ways    *ways
	set     *ruleset.Ruleset
	flow    *flow.Flow
	to      Path
	marks   uint32 // what connection tracking keeps
}

func (l *look) path() Path {
	f := l.flow
	l.to = Path{Remote: netip.AddrPortFrom(f.Remote.Addr, f.Remote.Port), Outcome: Passes}
	if f.Direction == flow.Out && f.Protocol.HasPorts() && f.Remote.Port == 0 {
		l.add(Step{Code: PortZero, Outcome: Passes})
	}
	if f.Process != nil && f.Process.Path == flow.ForwardedPath {
		l.passOn()
		return l.to
	}
	way, ok := l.route(routeQuery{to: f.Remote.Addr, from: l.localAddr(), protocol: uint8(l.protocol()), port: f.Remote.Port, uid: l.uid()})
	if !ok {
		return l.to
	}
	if f.Direction == flow.In {
		l.incoming(way)
	} else {
		l.outgoing(way)
	}
	if l.to.Outcome == Passes && f.Remote.Addr.Is6() && way.kind == unix.RTN_UNICAST {
		l.discover(way)
	}
	return l.to
}

// add notes a step; the first that stops the connection for sure is the culprit.
func (l *look) add(s Step) {
	l.to.Steps = append(l.to.Steps, s)
	if s.Outcome == Passes || l.stopped() {
		return
	}
	if l.to.Outcome == Passes || s.Outcome != Perhaps {
		l.to.Outcome = s.Outcome
		l.to.Culprit = &s
	}
}

func (l *look) stopped() bool { return l.to.Outcome == Dropped || l.to.Outcome == Rejected }

func (l *look) uid() uint32 {
	if l.flow.Process == nil {
		return 0
	}
	return l.flow.Process.UID
}

func (l *look) protocol() flow.Protocol {
	switch p := l.flow.Protocol; {
	case p == flow.AnyProtocol:
		return flow.TCP
	case p == flow.ICMP && l.flow.Remote.Addr.Is6():
		return flow.ICMPv6
	default:
		return p
	}
}

// localAddr is the flow's own address if it is of the remote's family.
func (l *look) localAddr() netip.Addr {
	a := l.flow.Local.Addr.Unmap()
	if !a.IsValid() || a.IsUnspecified() || a.Is4() != l.flow.Remote.Addr.Is4() {
		return netip.Addr{}
	}
	return a
}

// packet is the first of the flow, on its way by a route.
func (l *look) packet(way route) ruleset.Packet {
	f := l.flow
	src := l.localAddr()
	if !src.IsValid() {
		src = way.source
	}
	if !src.IsValid() {
		src = netip.IPv4Unspecified()
		if f.Remote.Addr.Is6() {
			src = netip.IPv6Unspecified()
		}
	}
	p := ruleset.Packet{
		Src: netip.AddrPortFrom(src, f.Local.Port), Dst: netip.AddrPortFrom(f.Remote.Addr, f.Remote.Port),
		Protocol: uint8(l.protocol()), Ephemeral: ephemeral(), TCPFlags: ruleset.SYN,
	}
	p.Out, _, _ = l.ways.link(way.out)
	if f.Process != nil && !f.Process.Kernel {
		p.Owner = ruleset.Owner{Known: true, UID: f.Process.UID, GID: l.gid(), Cgroup: l.cgroup()}
	}
	p.Begin, p.End = p.Src, p.Dst
	return p
}

func (l *look) cgroup() string {
	dir := l.machine.Cgroups
	if dir == "" {
		dir = "/sys/fs/cgroup"
	}
	if l.flow.Process.Cgroup == "" {
		return ""
	}
	return filepath.Join(dir, l.flow.Process.Cgroup)
}

// gid is the group that the program runs as, if it runs; else the user's own is not known
// and taken to have the user's number.
func (l *look) gid() uint32 {
	p := l.flow.Process
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID))
	if err != nil || p.PID == 0 {
		return p.UID
	}
	for line := range strings.Lines(string(b)) {
		if fields := strings.Fields(line); len(fields) > 4 && fields[0] == "Gid:" {
			n, _ := strconv.ParseUint(fields[4], 10, 32) // of the file system, as sockets have it
			return uint32(n)
		}
	}
	return p.UID
}

// ephemeral is the range of ports that programs are given.
func ephemeral() [2]uint16 {
	var from, to uint16
	if b, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range"); err == nil {
		if n, _ := fmt.Sscan(string(b), &from, &to); n == 2 {
			return [2]uint16{from, to}
		}
	}
	return [2]uint16{32768, 60999}
}

// walk sends a packet through hooks and notes what happens to it.
func (l *look) walk(p ruleset.Packet, which string, hooks ...ruleset.Hook) ruleset.Packet {
	result, out := l.set.Walk(p, l.ways, hooks...)
	if which == Neighbour {
		if result.Outcome == Passes || result.Culprit == nil {
			return out
		}
		result.Outcome = Perhaps
	}
	for i := range result.Steps {
		s := Step{Code: FilterRule, Outcome: Passes, Values: map[string]string{"packet": which}, Filter: &result.Steps[i]}
		if s.Filter.Rule == "" {
			s.Code = FilterPolicy
		}
		if i == len(result.Steps)-1 && result.Outcome != Passes && result.Culprit != nil {
			s.Outcome = result.Outcome
		}
		if s.Outcome != Passes {
			l.doubts(result, which)
		}
		l.add(s)
	}
	if n := len(result.Doubts); result.Outcome == Perhaps && result.Culprit == nil && n > 0 {
		l.add(Step{Code: FilterDoubt, Outcome: Perhaps, Values: map[string]string{"packet": which}, Filter: &result.Doubts[n-1]})
	}
	return out
}

// doubts notes the rules of which it can't be told whether they match, each once.
func (l *look) doubts(r ruleset.Result, which string) {
	for i := range r.Doubts {
		d := &r.Doubts[i]
		if slices.ContainsFunc(l.to.Steps, func(s Step) bool {
			return s.Code == FilterDoubt && s.Filter.Place == d.Place && s.Filter.Unsure == d.Unsure
		}) {
			continue // of an earlier packet
		}
		l.add(Step{Code: FilterDoubt, Outcome: Passes, Values: map[string]string{"packet": which}, Filter: &r.Doubts[i]})
	}
}
