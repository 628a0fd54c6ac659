package enforce

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Print is what a table is in the kernel: its flags, chains and rules in their order, each
// with its handle. Two are equal only if nobody changed anything in between. The zero
// value is that of a table that isn't there.
type Print [sha256.Size]byte

// ErrDisturbed means that another program changed nftables again and again while our
// table was being read.
var ErrDisturbed = errors.New("another program keeps changing nftables")

// disturbedAfter is how often a reading begins anew because somebody changed something.
const disturbedAfter = 8

// Put is Apply, and returns what the table is then.
func (t Table) Put() (Print, error) {
	for range disturbedAfter {
		before, err := generation()
		if err != nil {
			return Print{}, err
		}
		if err := t.Apply(); err != nil {
			return Print{}, err
		}
		p, after, err := t.print()
		if err != nil {
			return Print{}, err
		}
		if after == before+1 { // ours is the only change
			return p, nil
		}
	}
	return Print{}, ErrDisturbed
}

// Print reads what the table is now.
func (t Table) Print() (Print, error) {
	p, _, err := t.print()
	return p, err
}

// print also returns the generation of nftables that it saw.
func (t Table) print() (Print, uint32, error) {
	c, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return Print{}, 0, fmt.Errorf("read nftables: %w", err)
	}
	defer c.Close()
	for range disturbedAfter {
		before, err := askGeneration(c)
		if err != nil {
			return Print{}, 0, err
		}
		p, err := readPrint(c, t.table().Name)
		if err != nil {
			return Print{}, 0, err
		}
		after, err := askGeneration(c)
		if err != nil {
			return Print{}, 0, err
		}
		if before == after {
			return p, after, nil
		}
	}
	return Print{}, 0, ErrDisturbed
}

func readPrint(c *netlink.Conn, table string) (Print, error) {
	h := sha256.New()
	there, err := hashMessages(c, h, unix.NFT_MSG_GETTABLE, 0, netlink.Attribute{Type: unix.NFTA_TABLE_NAME, Data: zeroEnded(table)})
	if err != nil || !there {
		return Print{}, err
	}
	// Chains can't be asked for by table.
	if err := hashChains(c, h, table); err != nil {
		return Print{}, err
	}
	if _, err := hashMessages(c, h, unix.NFT_MSG_GETRULE, netlink.Dump, netlink.Attribute{Type: unix.NFTA_RULE_TABLE, Data: zeroEnded(table)}); err != nil {
		return Print{}, err
	}
	var p Print
	h.Sum(p[:0])
	return p, nil
}

// hashMessages adds the answers to a request to h, and reports whether there were any.
func hashMessages(c *netlink.Conn, h hash.Hash, kind uint16, flags netlink.HeaderFlags, attrs ...netlink.Attribute) (bool, error) {
	msgs, err := ask(c, kind, flags, attrs...)
	if errors.Is(err, unix.ENOENT) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read nftables: %w", err)
	}
	for _, m := range msgs {
		add(h, kind, m.Data)
	}
	return len(msgs) > 0, nil
}

func hashChains(c *netlink.Conn, h hash.Hash, table string) error {
	msgs, err := ask(c, unix.NFT_MSG_GETCHAIN, netlink.Dump)
	if err != nil {
		return fmt.Errorf("read nftables: %w", err)
	}
	for _, m := range msgs {
		if len(m.Data) < 4 {
			continue
		}
		a, err := netlink.NewAttributeDecoder(m.Data[4:])
		if err != nil {
			return fmt.Errorf("read nftables: %w", err)
		}
		for a.Next() {
			if a.Type() == unix.NFTA_CHAIN_TABLE && a.String() == table {
				add(h, unix.NFT_MSG_GETCHAIN, m.Data)
			}
		}
	}
	return nil
}

// add leaves out struct nfgenmsg's last half, the generation.
func add(h hash.Hash, kind uint16, message []byte) {
	if len(message) < 4 {
		return
	}
	var head [8]byte
	binary.NativeEndian.PutUint32(head[:], uint32(len(message)))
	binary.NativeEndian.PutUint16(head[4:], kind)
	head[6] = message[0] // family
	h.Write(head[:])
	h.Write(message[4:])
}

// generation is the number of changes to the nftables of this network namespace.
func generation() (uint32, error) {
	c, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return 0, fmt.Errorf("read nftables: %w", err)
	}
	defer c.Close()
	return askGeneration(c)
}

func askGeneration(c *netlink.Conn) (uint32, error) {
	msgs, err := ask(c, unix.NFT_MSG_GETGEN, 0)
	if err != nil {
		return 0, fmt.Errorf("read the generation of nftables: %w", err)
	}
	for _, m := range msgs {
		if len(m.Data) < 4 {
			continue
		}
		a, err := netlink.NewAttributeDecoder(m.Data[4:])
		if err != nil {
			break
		}
		for a.Next() {
			if v := a.Bytes(); a.Type() == unix.NFTA_GEN_ID && len(v) == 4 {
				return binary.BigEndian.Uint32(v), nil
			}
		}
	}
	return 0, errors.New("read the generation of nftables: the kernel does not say")
}

// ask sends a request about tables of our family.
func ask(c *netlink.Conn, kind uint16, flags netlink.HeaderFlags, attrs ...netlink.Attribute) ([]netlink.Message, error) {
	b, err := netlink.MarshalAttributes(attrs)
	if err != nil {
		return nil, err
	}
	return c.Execute(netlink.Message{
		Header: netlink.Header{Type: netlink.HeaderType(unix.NFNL_SUBSYS_NFTABLES<<8 | kind), Flags: netlink.Request | flags},
		Data:   append([]byte{unix.NFPROTO_INET, unix.NFNETLINK_V0, 0, 0}, b...),
	})
}

func zeroEnded(s string) []byte { return append([]byte(s), 0) }
