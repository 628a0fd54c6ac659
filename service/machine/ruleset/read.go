package ruleset

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// ErrDisturbed means that somebody changed the rules again and again while they were read.
var ErrDisturbed = errors.New("another program keeps changing the packet filter")

// disturbedAfter is how often a reading begins anew because somebody changed something.
const disturbedAfter = 8

// conn is where nftables are read from.
type conn interface {
	Execute(netlink.Message) ([]netlink.Message, error)
	Close() error
}

// Read reads the rules of the calling thread's network namespace, but for the tables that
// are ours: own says which by their names. It needs CAP_NET_ADMIN.
func Read(own func(table string) bool) (*Ruleset, error) {
	c, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return nil, fmt.Errorf("read nftables: %w", err)
	}
	s := &Ruleset{conn: c}
	if err := s.readSteadily(own); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	if err := s.readLegacy(); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	for _, t := range s.tables {
		t.author = authorOf(t)
	}
	return s, nil
}

// Close ends the reading.
func (s *Ruleset) Close() error { return s.conn.Close() }

func (s *Ruleset) readSteadily(own func(string) bool) error {
	for range disturbedAfter {
		before, err := s.generation()
		if err != nil {
			return err
		}
		if err := s.readAll(own); err != nil {
			return err
		}
		after, err := s.generation()
		if err != nil {
			return err
		}
		if before == after {
			return nil
		}
	}
	return ErrDisturbed
}

func (s *Ruleset) readAll(own func(string) bool) error {
	s.tables = nil
	for _, read := range []struct {
		kind uint16
		take func(Family, attrs)
	}{
		{unix.NFT_MSG_GETTABLE, func(f Family, a attrs) { s.addTable(f, a, own) }},
		{unix.NFT_MSG_GETCHAIN, s.addChain},
		{unix.NFT_MSG_GETSET, s.addSet},
		{unix.NFT_MSG_GETRULE, s.addRule},
	} {
		msgs, err := s.ask(read.kind, netlink.Dump, unix.NFPROTO_UNSPEC)
		if errors.Is(err, unix.EINTR) { // changed in the middle: the generation tells
			return nil
		}
		if err != nil {
			return fmt.Errorf("read nftables: %w", err)
		}
		for _, m := range msgs {
			if len(m.Data) >= 4 {
				read.take(Family(m.Data[0]), parse(m.Data[4:]))
			}
		}
	}
	return nil
}

// ask sends a request about nftables; attributes are in pairs of type and value.
func (s *Ruleset) ask(kind uint16, flags netlink.HeaderFlags, family byte, of ...netlink.Attribute) ([]netlink.Message, error) {
	b, err := netlink.MarshalAttributes(of)
	if err != nil {
		return nil, err
	}
	return s.conn.Execute(netlink.Message{
		Header: netlink.Header{Type: netlink.HeaderType(unix.NFNL_SUBSYS_NFTABLES<<8 | kind), Flags: netlink.Request | flags},
		Data:   append([]byte{family, unix.NFNETLINK_V0, 0, 0}, b...),
	})
}

func (s *Ruleset) generation() (uint32, error) {
	msgs, err := s.ask(unix.NFT_MSG_GETGEN, 0, unix.NFPROTO_UNSPEC)
	if err != nil {
		return 0, fmt.Errorf("read the generation of nftables: %w", err)
	}
	for _, m := range msgs {
		if len(m.Data) >= 4 {
			return parse(m.Data[4:]).u32(unix.NFTA_GEN_ID), nil
		}
	}
	return 0, errors.New("read the generation of nftables: the kernel does not say")
}

func (s *Ruleset) addTable(f Family, a attrs, own func(string) bool) {
	t := &table{family: f, name: a.text(unix.NFTA_TABLE_NAME), order: len(s.tables), chains: map[string]*chain{}, sets: map[string]*set{}}
	t.dormant = a.u32(unix.NFTA_TABLE_FLAGS)&unix.NFT_TABLE_F_DORMANT != 0
	if !own(t.name) {
		s.tables = append(s.tables, t)
	}
}

func (s *Ruleset) find(f Family, name string) *table {
	for _, t := range s.tables {
		if t.family == f && t.name == name && !t.legacy {
			return t
		}
	}
	return nil
}

func (s *Ruleset) addChain(f Family, a attrs) {
	t := s.find(f, a.text(unix.NFTA_CHAIN_TABLE))
	if t == nil {
		return
	}
	c := &chain{table: t, name: a.text(unix.NFTA_CHAIN_NAME), handle: a.number(unix.NFTA_CHAIN_HANDLE), kind: a.text(unix.NFTA_CHAIN_TYPE)}
	t.chains[c.name] = c
	if !a.has(unix.NFTA_CHAIN_HOOK) {
		return
	}
	h := a.nested(unix.NFTA_CHAIN_HOOK)
	c.hook = hookOf(f, h.u32(unix.NFTA_HOOK_HOOKNUM))
	c.priority = int32(h.u32(unix.NFTA_HOOK_PRIORITY))
	c.drops = a.has(unix.NFTA_CHAIN_POLICY) && a.u32(unix.NFTA_CHAIN_POLICY) == verdictDrop
	if d := h.text(unix.NFTA_HOOK_DEV); d != "" {
		c.devices = append(c.devices, d)
	}
	const devices = 4 // NFTA_HOOK_DEVS
	each(h[devices], func(_ uint16, name []byte) {
		if d := zeroEnded(name); !slices.Contains(c.devices, d) {
			c.devices = append(c.devices, d)
		}
	})
}

func hookOf(f Family, n uint32) Hook {
	if f == NetDev {
		return at([]Hook{Ingress, Egress}, n)
	}
	return at([]Hook{Prerouting, Input, Forward, Output, Postrouting, Ingress}, n)
}

func at(hooks []Hook, n uint32) Hook {
	if int(n) < len(hooks) {
		return hooks[n]
	}
	return ""
}

func (s *Ruleset) addRule(f Family, a attrs) {
	t := s.find(f, a.text(unix.NFTA_RULE_TABLE))
	if t == nil || t.chains[a.text(unix.NFTA_RULE_CHAIN)] == nil {
		return
	}
	c := t.chains[a.text(unix.NFTA_RULE_CHAIN)]
	r := &rule{chain: c, handle: a.number(unix.NFTA_RULE_HANDLE), comment: commentOf(a[unix.NFTA_RULE_USERDATA]), position: len(c.rules) + 1}
	each(a[unix.NFTA_RULE_EXPRESSIONS], func(_ uint16, b []byte) {
		e := parse(b)
		r.exprs = append(r.exprs, expression{name: e.text(unix.NFTA_EXPR_NAME), attrs: e.nested(unix.NFTA_EXPR_DATA)})
	})
	c.rules = append(c.rules, r)
}

// commentOf finds a rule's comment, which nft and iptables-nft keep as type, length and
// text: libnftnl's NFTNL_UDATA_RULE_COMMENT.
func commentOf(b []byte) string {
	for len(b) >= 2 {
		kind, n := b[0], int(b[1])
		if len(b) < 2+n {
			return ""
		}
		if kind == 0 {
			return zeroEnded(b[2 : 2+n])
		}
		b = b[2+n:]
	}
	return ""
}

// native is a number of the host's byte order as the kernel keeps it in registers.
func native(n uint32) []byte { return binary.NativeEndian.AppendUint32(nil, n) }
