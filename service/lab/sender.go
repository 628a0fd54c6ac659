package lab

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Sender is a copy of the program send (service/lab/programs/send, which lists its calls
// and flags), a program of its own.
type Sender struct {
	Path string
	host *Host
}

// Sender makes a program of that name for the host.
func (h *Host) Sender(name string) *Sender {
	h.lab.t.Helper()
	return &Sender{Path: h.lab.copyProgram("service/lab/programs/send", name), host: h}
}

// Sent is what became of a sender's call.
type Sent struct {
	PID   int
	OK    bool
	Stage string // what failed: socket, options, connect, send, receive, …
	Errno string
	Error string
}

// Sending is a sender that was started.
type Sending struct {
	*Command
	out   bytes.Buffer
	err   error
	ended chan struct{}
}

// Start starts the program in the filtered control group: flags, call and destinations as
// it takes them.
func (s *Sender) Start(ctx context.Context, args ...string) *Sending {
	return s.Run(s.host.Command(ctx, append([]string{s.Path}, args...)...).Filtered())
}

// Run starts a command of the program's file.
func (s *Sender) Run(c *Command) *Sending {
	r := &Sending{Command: c, ended: make(chan struct{})}
	r.Stdout, r.Stderr = &r.out, os.Stderr
	if r.err = r.Command.Start(); r.err != nil {
		close(r.ended)
		return r
	}
	go func() {
		r.err = r.Command.Wait()
		close(r.ended)
	}()
	return r
}

// PID is the program's process number; 0 if it could not be started.
func (r *Sending) PID() int {
	if r.Process == nil {
		return 0
	}
	return r.Process.Pid
}

// Wait waits for the program's end. The error is nil when the program could report,
// whether its call succeeded or not.
func (r *Sending) Wait() (Sent, error) {
	<-r.ended
	if r.err != nil {
		return Sent{}, r.err
	}
	all, err := readLines[Sent](r.out.Bytes())
	if err != nil || len(all) != 1 {
		return Sent{}, fmt.Errorf("read what %s printed: %q, %w", r.Path, r.out.String(), err)
	}
	return all[0], nil
}

// AnswerFor gives the host every address of a network, so that whatever is sent there
// arrives.
func (h *Host) AnswerFor(network netip.Prefix) {
	h.lab.t.Helper()
	links, err := h.ns.links()
	if err != nil {
		h.lab.t.Fatalf("host %s: %v", h.Name, err)
	}
	defer links.Close()
	lo, err := links.LinkByName("lo")
	if err == nil {
		err = links.RouteAdd(&netlink.Route{LinkIndex: lo.Attrs().Index, Dst: ipNet(network), Scope: netlink.SCOPE_HOST, Type: unix.RTN_LOCAL, Table: unix.RT_TABLE_LOCAL})
	}
	if err != nil {
		h.lab.t.Fatalf("host %s: answer for %s: %v", h.Name, network, err)
	}
}

// Broadcast is the address of everybody on the lab's network.
func (h *Host) Broadcast() netip.Addr {
	a := h.Addr4.As4()
	a[3] = 255
	return netip.AddrFrom4(a)
}
