package network

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/mdlayher/netlink"
	vnetlink "github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// events hears from the kernel that something about links changed. What it is is read
// anew; only what would be missed by then is kept: that a link was down for a moment, and
// with it the network that it was on.
type events struct {
	c *netlink.Conn

	mu      sync.Mutex       // guards what is below
	watched map[gateway]bool // neighbours that matter
	down    map[int]bool     // links that were down since the last take
	flips   map[int]uint32   // how often each link's carrier came or went
}

func openEvents(ns int) (*events, error) {
	c, err := netlink.Dial(unix.NETLINK_ROUTE, &netlink.Config{NetNS: ns})
	if err != nil {
		return nil, fmt.Errorf("watch links: %w", err)
	}
	for _, g := range []uint32{
		unix.RTNLGRP_LINK, unix.RTNLGRP_NEIGH, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR,
		unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE,
	} {
		if err := c.JoinGroup(g); err != nil {
			_ = c.Close()
			return nil, fmt.Errorf("watch links: %w", err)
		}
	}
	e := &events{c: c, watched: map[gateway]bool{}, down: map[int]bool{}, flips: map[int]uint32{}}
	if err := e.begin(ns); err != nil {
		_ = c.Close()
		return nil, err
	}
	return e, nil
}

// begin reads how often each link's carrier came or went until now.
func (e *events) begin(ns int) error {
	c, err := netlink.Dial(unix.NETLINK_ROUTE, &netlink.Config{NetNS: ns})
	if err != nil {
		return fmt.Errorf("list links: %w", err)
	}
	defer func() { _ = c.Close() }()
	all, err := c.Execute(netlink.Message{
		Header: netlink.Header{Type: unix.RTM_GETLINK, Flags: netlink.Request | netlink.Dump},
		Data:   make([]byte, unix.SizeofIfInfomsg),
	})
	if err != nil {
		return fmt.Errorf("list links: %w", err)
	}
	for i := range all {
		e.noteLink(&all[i])
	}
	return nil
}

// run calls changed for whatever may matter, until close is called.
func (e *events) run(changed func()) error {
	for {
		messages, err := e.c.Receive()
		switch {
		case errors.Is(err, unix.ENOBUFS): // more than there was room for: something did change
			changed()
			continue
		case err != nil:
			return fmt.Errorf("watch links: %w", err)
		}
		matters := false
		for i := range messages {
			matters = e.matters(&messages[i]) || matters
		}
		if matters {
			changed()
		}
	}
}

func (e *events) close() { _ = e.c.Close() }

func (e *events) matters(m *netlink.Message) bool {
	switch uint16(m.Header.Type) {
	case unix.RTM_NEWNEIGH, unix.RTM_DELNEIGH:
		n, err := vnetlink.NeighDeserialize(m.Data)
		if err != nil {
			return false
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		return e.watched[gateway{n.LinkIndex, addrOf(n.IP)}]
	case unix.RTM_NEWLINK, unix.RTM_DELLINK:
		e.noteLink(m)
	}
	return true
}

// noteLink reads struct ifinfomsg (rtnetlink(7)).
func (e *events) noteLink(m *netlink.Message) {
	if len(m.Data) < unix.SizeofIfInfomsg {
		return
	}
	index := int(int32(binary.NativeEndian.Uint32(m.Data[4:])))
	flags := binary.NativeEndian.Uint32(m.Data[8:])
	e.mu.Lock()
	defer e.mu.Unlock()
	if uint16(m.Header.Type) == unix.RTM_DELLINK {
		e.down[index] = true
		delete(e.flips, index)
		return
	}
	// The kernel tells of a link that was down for a moment once it is up again.
	flips, ok := flipsOf(m.Data[unix.SizeofIfInfomsg:])
	before, known := e.flips[index]
	if flags&unix.IFF_LOWER_UP == 0 || ok && known && flips != before {
		e.down[index] = true
	}
	if ok {
		e.flips[index] = flips
	}
}

// flipsOf reads IFLA_CARRIER_CHANGES.
func flipsOf(attributes []byte) (n uint32, ok bool) {
	a, err := netlink.NewAttributeDecoder(attributes)
	if err != nil {
		return 0, false
	}
	for a.Next() {
		if a.Type() == unix.IFLA_CARRIER_CHANGES {
			return a.Uint32(), true
		}
	}
	return 0, false
}

// take returns which links were down since it was last called.
func (e *events) take() map[int]bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	was := e.down
	e.down = map[int]bool{}
	return was
}

// watch says which neighbours matter from now on.
func (e *events) watch(gateways map[gateway]string) {
	all := map[gateway]bool{}
	for g := range gateways {
		all[g] = true
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.watched = all
}
