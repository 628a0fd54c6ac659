package daemon

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"sekisho/app/api"
	"sekisho/app/flow"
	"sekisho/service/engine"
	"sekisho/service/machine"
	"sekisho/service/process"
)

// rest is the rest of this machine, as explain wants it. One look at a time is made for
// administrators and one for everybody else, since each reads all of the packet filter.
type rest struct {
	machine machine.Machine
	admins  chan struct{}
	others  chan struct{}
}

func newRest(tag string) *rest {
	root, _ := cgroupRoot() // scopeOf has found it
	return &rest{
		machine: machine.Machine{Own: func(table string) bool { return table == "sekisho_"+tag }, Cgroups: root},
		admins:  make(chan struct{}, 1), others: make(chan struct{}, 1),
	}
}

// Resolve asks in the flow's network namespace, as its program would.
func (r *rest) Resolve(ctx context.Context, f flow.Flow, ask bool) (l engine.Looked, to []netip.Addr) {
	var found []machine.Step
	err := inFlowsNetns(f, func() error {
		if ask {
			found, to = r.machine.Resolve(ctx, f.Remote.Name)
		} else {
			found, to = r.machine.ResolveHere(f.Remote.Name)
		}
		return nil
	})
	if err != nil {
		return l, nil
	}
	for _, s := range found {
		l.Steps = append(l.Steps, stepOf(s, api.PartNames, ""))
	}
	if n := len(found); len(to) == 0 && n > 0 && found[n-1].Outcome != machine.Passes {
		l.Outcome, l.Culprit = api.Outcome(found[n-1].Outcome), culpritOf(found[n-1], f, api.PartNames, "", true)
	}
	return l, to
}

func (r *rest) Look(ctx context.Context, f flow.Flow, to []netip.Addr, text bool) (engine.Looked, error) {
	turn := r.others
	if text {
		turn = r.admins
	}
	select {
	case turn <- struct{}{}:
		defer func() { <-turn }()
	case <-ctx.Done():
		return engine.Looked{}, ctx.Err()
	}
	var report machine.Report
	err := inFlowsNetns(f, func() (err error) {
		report, err = r.machine.LookAt(ctx, f, to...)
		return err
	})
	return looked(report, f, api.PartMachine, text), err
}

func (r *rest) Try(ctx context.Context, f flow.Flow, admit func(uint64, netip.AddrPort) error) (engine.Looked, error) {
	m := r.machine
	m.Admit = func(fd int) error {
		cookie, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_COOKIE)
		if err != nil {
			return fmt.Errorf("cookie of the attempt: %w", err)
		}
		local, err := unix.Getsockname(fd)
		if err != nil {
			return fmt.Errorf("port of the attempt: %w", err)
		}
		return admit(cookie, addrPort(local))
	}
	var report machine.Report
	err := inFlowsNetns(f, func() (err error) {
		report, err = m.Try(ctx, f)
		return err
	})
	return looked(report, f, api.PartAttempt, true), err
}

func addrPort(a unix.Sockaddr) netip.AddrPort {
	switch a := a.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr), uint16(a.Port))
	}
	return netip.AddrPort{}
}

// inFlowsNetns runs f where the flow's process is, if it still runs and is elsewhere.
func inFlowsNetns(of flow.Flow, f func() error) error {
	fd, err := netnsOf(of.Process)
	if err != nil || fd < 0 {
		return errors.Join(err, onOwnThread(f))
	}
	defer unix.Close(fd)
	return inNetns(fd, f)
}

// netnsOf opens the network namespace of a process; -1 if it is gone.
func netnsOf(p *flow.Process) (int, error) {
	if p == nil || p.PID == 0 {
		return -1, nil
	}
	path := filepath.Join("/proc", strconv.FormatUint(uint64(p.PID), 10), "ns/net")
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) {
		return -1, nil
	}
	if err != nil {
		return -1, fmt.Errorf("network namespace of process %d: %w", p.PID, err)
	}
	if !process.Runs(p.ProcessID) { // after it was opened: its number may be another's
		return -1, unix.Close(fd)
	}
	return fd, nil
}

// looked is a report as explain shows it, for whom text is false without rules' text.
func looked(r machine.Report, f flow.Flow, part api.Part, text bool) engine.Looked {
	l := engine.Looked{Outcome: api.Outcome(r.Outcome)}
	for _, p := range r.Paths {
		to := ""
		if len(r.Paths) > 1 {
			to = p.Remote.Addr().String()
		}
		g := f
		g.Remote.Addr = p.Remote.Addr()
		for _, s := range p.Steps {
			if !text {
				s = s.WithoutText()
			}
			l.Steps = append(l.Steps, stepOf(s, part, to))
		}
		if p.Culprit != nil && p.Culprit == r.Culprit {
			l.Culprit = culpritOf(*p.Culprit, g, part, to, text)
		}
	}
	return l
}

func culpritOf(s machine.Step, f flow.Flow, part api.Part, to string, text bool) *api.Culprit {
	if !text {
		s = s.WithoutText()
	}
	c := &api.Culprit{Step: stepOf(s, part, to)}
	for _, r := range s.Remedies(f) {
		c.Remedies = append(c.Remedies, api.Remedy{Code: r.Code, Values: r.Values, What: r.English})
	}
	return c
}

func stepOf(s machine.Step, part api.Part, to string) api.Step {
	step := api.Step{What: s.What(), Matched: s.Outcome != machine.Passes, Why: s.English(), Part: part, Code: string(s.Code), Values: map[string]string{}, To: to}
	if s.Outcome != machine.Passes {
		step.Outcome = api.Outcome(s.Outcome)
	}
	for k, v := range s.Values {
		step.Values[k] = v
	}
	if f := s.Filter; f != nil {
		step.Author, step.Rule, step.Handle = string(f.Author), f.Rule, f.Handle
		for k, v := range map[string]string{
			"family": f.Family.String(), "table": f.Table, "chain": f.Chain, "hook": string(f.Hook), "effect": string(f.Effect),
			"effect-to": f.To, "comment": f.Comment, "unsure": f.Unsure,
		} {
			if v = strings.TrimSpace(v); v != "" {
				step.Values[k] = v
			}
		}
		if f.Number > 0 {
			step.Values["number"] = strconv.Itoa(f.Number)
		}
	}
	return step
}
