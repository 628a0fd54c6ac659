package machine

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"sync/atomic"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// traceTable is a table that switches the kernel's trace on for the packets of one
// connection. It is owned by its netlink socket: should this process be killed, the
// kernel takes it away.
type traceTable struct {
	name string
	conn *netlink.Conn
}

var traceTables atomic.Uint32

// addTraceTable sets a table up for a protocol and the local port of a socket that is
// bound to it, which no other connection has.
func addTraceTable(protocol uint8, port uint16) (*traceTable, error) {
	c, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return nil, err
	}
	t := &traceTable{name: fmt.Sprintf("sekisho_trace_%d_%d", os.Getpid(), traceTables.Add(1)), conn: c}
	msgs := []netlink.Message{t.message(unix.NFT_MSG_NEWTABLE, netlink.Create|netlink.Excl, text(nil, unix.NFTA_TABLE_NAME, t.name), number(nil, unix.NFTA_TABLE_FLAGS, 2))} // NFT_TABLE_F_OWNER
	for _, h := range []struct {
		name  string
		hook  uint32
		ports []uint32 // offsets into the transport header
	}{
		{"output", unix.NF_INET_LOCAL_OUT, []uint32{0, 2}},
		{"prerouting", unix.NF_INET_PRE_ROUTING, []uint32{0, 2}},
	} {
		// Before connection tracking and whatever else there is.
		first := int32(math.MinInt32)
		hook := number(number(nil, unix.NFTA_HOOK_HOOKNUM, h.hook), unix.NFTA_HOOK_PRIORITY, uint32(first))
		chain := text(text(nil, unix.NFTA_CHAIN_TABLE, t.name), unix.NFTA_CHAIN_NAME, h.name)
		chain = text(appendAttr(chain, unix.NFTA_CHAIN_HOOK|nested, hook), unix.NFTA_CHAIN_TYPE, "filter")
		msgs = append(msgs, t.message(unix.NFT_MSG_NEWCHAIN, netlink.Create, chain))
		for _, at := range h.ports {
			rule := text(text(nil, unix.NFTA_RULE_TABLE, t.name), unix.NFTA_RULE_CHAIN, h.name)
			msgs = append(msgs, t.message(unix.NFT_MSG_NEWRULE, netlink.Create|netlink.Append, appendAttr(rule, unix.NFTA_RULE_EXPRESSIONS|nested, traced(protocol, at, port))))
		}
	}
	if err := t.batch(msgs); err != nil {
		_ = c.Close()
		return nil, fmt.Errorf("switch the trace on: %w", err)
	}
	return t, nil
}

// remove takes the table away.
func (t *traceTable) remove() error {
	err := t.batch([]netlink.Message{t.message(unix.NFT_MSG_DELTABLE, 0, text(nil, unix.NFTA_TABLE_NAME, t.name))})
	if e := t.conn.Close(); err == nil {
		err = e
	}
	return err
}

const nested = unix.NLA_F_NESTED

// traced are the expressions of a rule: this protocol, this port at an offset: trace.
func traced(protocol uint8, at uint32, port uint16) []byte {
	const register = unix.NFT_REG_1
	value := func(v ...byte) []byte { return appendAttr(nil, unix.NFTA_DATA_VALUE, v) }
	equal := func(v ...byte) []byte {
		return appendAttr(number(number(nil, unix.NFTA_CMP_SREG, register), unix.NFTA_CMP_OP, unix.NFT_CMP_EQ), unix.NFTA_CMP_DATA|nested, value(v...))
	}
	b := expression(nil, "meta", number(number(nil, unix.NFTA_META_DREG, register), unix.NFTA_META_KEY, unix.NFT_META_L4PROTO))
	b = expression(b, "cmp", equal(protocol))
	b = expression(b, "payload", number(number(number(number(nil, unix.NFTA_PAYLOAD_DREG, register), unix.NFTA_PAYLOAD_BASE, unix.NFT_PAYLOAD_TRANSPORT_HEADER),
		unix.NFTA_PAYLOAD_OFFSET, at), unix.NFTA_PAYLOAD_LEN, 2))
	b = expression(b, "cmp", equal(byte(port>>8), byte(port)))
	b = expression(b, "immediate", appendAttr(number(nil, unix.NFTA_IMMEDIATE_DREG, register), unix.NFTA_IMMEDIATE_DATA|nested, value(1)))
	return expression(b, "meta", number(number(nil, unix.NFTA_META_KEY, unix.NFT_META_NFTRACE), unix.NFTA_META_SREG, register))
}

func expression(b []byte, name string, data []byte) []byte {
	return appendAttr(b, unix.NFTA_LIST_ELEM|nested, appendAttr(text(nil, unix.NFTA_EXPR_NAME, name), unix.NFTA_EXPR_DATA|nested, data))
}

func text(b []byte, kind uint16, s string) []byte { return appendAttr(b, kind, append([]byte(s), 0)) }

func number(b []byte, kind uint16, n uint32) []byte {
	return appendAttr(b, kind, binary.BigEndian.AppendUint32(nil, n))
}

func (t *traceTable) message(kind uint16, flags netlink.HeaderFlags, attrs ...[]byte) netlink.Message {
	data := []byte{unix.NFPROTO_INET, unix.NFNETLINK_V0, 0, 0}
	for _, a := range attrs {
		data = append(data, a...)
	}
	return netlink.Message{Header: netlink.Header{Type: netlink.HeaderType(unix.NFNL_SUBSYS_NFTABLES<<8 | kind), Flags: netlink.Request | netlink.Acknowledge | flags}, Data: data}
}

// batch sends messages as one transaction and waits until each is acknowledged.
func (t *traceTable) batch(msgs []netlink.Message) error {
	subsystem := []byte{0, unix.NFNETLINK_V0, 0, unix.NFNL_SUBSYS_NFTABLES}
	all := []netlink.Message{{Header: netlink.Header{Type: unix.NFNL_MSG_BATCH_BEGIN, Flags: netlink.Request}, Data: subsystem}}
	all = append(all, msgs...)
	all = append(all, netlink.Message{Header: netlink.Header{Type: unix.NFNL_MSG_BATCH_END, Flags: netlink.Request}, Data: subsystem})
	if _, err := t.conn.SendMessages(all); err != nil {
		return err
	}
	for range msgs {
		if _, err := t.conn.Receive(); err != nil {
			return err
		}
	}
	return nil
}
