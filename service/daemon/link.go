package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/cilium/ebpf"
	rtnetlink "github.com/mdlayher/netlink"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"sekisho/app/api"
	"sekisho/service/bpf"
)

// lookAtDevices is how often the network devices are looked at although nobody told of a
// change: another program may have taken our hook from one.
const lookAtDevices = time.Second

// devices keeps the frames of packet sockets judged at every network device but loopback,
// also at those that come later.
type devices struct {
	s       *service
	hooks   *bpf.Devices
	changes *rtnetlink.Conn
	last    time.Time // when somebody else took a hook away
}

// watchDevices begins to hear of devices; those that are there are to be covered next.
func (s *service) watchDevices() (*devices, error) {
	d := &devices{s: s}
	var err error
	if d.hooks, err = s.kernel.HoldDevices(s.scope.CgroupID, s.scope.Level); err != nil {
		return nil, err
	}
	if d.changes, err = rtnetlink.Dial(unix.NETLINK_ROUTE, nil); err != nil {
		return nil, fmt.Errorf("watch network devices: %w", err)
	}
	if err := d.changes.JoinGroup(unix.RTNLGRP_LINK); err != nil {
		return nil, errors.Join(fmt.Errorf("watch network devices: %w", err), d.close())
	}
	return d, nil
}

func (d *devices) close() error { return errors.Join(d.hooks.Close(), d.changes.Close()) }

// run covers devices as they come, until ctx is done.
func (d *devices) run(ctx context.Context) error {
	for {
		if err := d.next(ctx); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		d.cover()
	}
}

// next waits for a change, or for the next look.
func (d *devices) next(ctx context.Context) error {
	if err := d.changes.SetReadDeadline(time.Now().Add(lookAtDevices)); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = d.changes.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	_, err := d.changes.Receive()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, unix.ENOBUFS): // more than there was room for
		return nil
	case err != nil:
		return fmt.Errorf("watch network devices: %w", err)
	}
	return nil
}

// cover covers the devices that are there. A kernel that can't judge frames is no error:
// who can send them is told.
func (d *devices) cover() {
	all, err := listDevices()
	again := 0
	if err == nil {
		again, err = d.hooks.Cover(all)
	}
	if errors.Is(err, netlink.ErrDumpInterrupted) || errors.Is(err, unix.ENODEV) {
		return // more changes are on their way
	}
	passes := "" // why frames pass
	switch {
	case errors.Is(err, ebpf.ErrNotSupported):
		passes = "this kernel can't refuse it (6.6 and later can)"
	case err != nil:
		passes = err.Error()
	}
	if old := d.s.framesPass.Swap(&passes); passes != "" && (old == nil || *old != passes) {
		d.s.Log.Warn("programs with packet sockets can send past the firewall", "why", passes)
	}
	d.tell(again)
}

// tell says that others took hooks away, for a while.
func (d *devices) tell(again int) {
	switch {
	case again > 0:
		d.last = time.Now()
		d.s.engine.Problem("devices", api.NewProblem(api.ProblemDevices, ""))
	case !d.last.IsZero() && time.Since(d.last) > calmAfter:
		d.last = time.Time{}
		d.s.engine.Solved("devices")
	}
}

// listDevices lists the network devices by which something can leave.
func listDevices() ([]bpf.Device, error) {
	links, err := netlink.LinkList()
	if err != nil {
		return nil, fmt.Errorf("list network devices: %w", err)
	}
	var all []bpf.Device
	for _, l := range links {
		a := l.Attrs()
		v := bpf.Device{Index: a.Index}
		switch a.EncapType {
		case "loopback":
			continue // what is sent there arrives there
		case "ether":
			v.Header = bpf.EthernetHeader
		case "none", "ppp", "unknown519", "ipip", "tunnel6", "sit", "gre": // 519: modems
			v.Header = bpf.NoHeader
		}
		all = append(all, v)
	}
	return all, nil
}
