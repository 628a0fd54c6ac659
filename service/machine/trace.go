package machine

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// event is one thing that the kernel's trace tells of a packet.
type event struct {
	id           uint32 // of the packet
	family       uint8  // of the table
	table, chain string
	handle       uint64
	policy       bool // the chain's policy decided
	code         int32
	to           string // chain that was jumped to
	ports        [2]uint16
	flags        uint8 // of TCP
}

// tracer listens to the kernel's trace.
type tracer struct{ conn *netlink.Conn }

func listenTrace() (*tracer, error) {
	c, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return nil, fmt.Errorf("listen to the trace: %w", err)
	}
	if err := c.JoinGroup(unix.NFNLGRP_NFTRACE); err != nil {
		_ = c.Close()
		return nil, fmt.Errorf("listen to the trace: %w", err)
	}
	// A rule set of thousands of chains tells much at once.
	_ = c.SetReadBuffer(4 << 20)
	return &tracer{c}, nil
}

// read takes what there is, waiting a little for the first. The kernel tells of a packet
// while it deals with it, so what is told of one is there all at once.
func (t *tracer) read(wait time.Duration) []event {
	var all []event
	for t.conn.SetReadDeadline(time.Now().Add(wait)) == nil {
		msgs, err := t.conn.Receive()
		if err != nil {
			break // nothing came in time
		}
		for _, m := range msgs {
			if m.Header.Type == unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_TRACE && len(m.Data) >= 4 {
				all = append(all, parseEvent(m.Data))
			}
		}
		wait = time.Millisecond
	}
	return all
}

func parseEvent(m []byte) event {
	const policyType = 1 // NFT_TRACETYPE_POLICY
	e := event{family: m[0]}
	eachAttr(m[4:], func(kind uint16, v []byte) {
		switch kind {
		case unix.NFTA_TRACE_ID:
			e.id = bigEndian32(v)
		case unix.NFTA_TRACE_TABLE:
			e.table = zeroEnded(v)
		case unix.NFTA_TRACE_CHAIN:
			e.chain = zeroEnded(v)
		case unix.NFTA_TRACE_RULE_HANDLE:
			if len(v) == 8 {
				e.handle = binary.BigEndian.Uint64(v)
			}
		case unix.NFTA_TRACE_TYPE:
			e.policy = bigEndian32(v) == policyType
		case unix.NFTA_TRACE_POLICY:
			e.code = int32(bigEndian32(v))
		case unix.NFTA_TRACE_VERDICT:
			eachAttr(v, func(kind uint16, v []byte) {
				switch kind {
				case unix.NFTA_VERDICT_CODE:
					e.code = int32(bigEndian32(v))
				case unix.NFTA_VERDICT_CHAIN:
					e.to = zeroEnded(v)
				}
			})
		case unix.NFTA_TRACE_TRANSPORT_HEADER:
			if len(v) >= 4 {
				e.ports = [2]uint16{binary.BigEndian.Uint16(v), binary.BigEndian.Uint16(v[2:])}
			}
			if len(v) >= 14 {
				e.flags = v[13]
			}
		}
	})
	return e
}

func bigEndian32(v []byte) uint32 {
	if len(v) != 4 {
		return 0
	}
	return binary.BigEndian.Uint32(v)
}

func zeroEnded(b []byte) string {
	for i, c := range b {
		if c == 0 {
			return string(b[:i])
		}
	}
	return string(b)
}
