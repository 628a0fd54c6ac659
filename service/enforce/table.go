package enforce

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/xt"
	"golang.org/x/sys/unix"

	"sekisho/service/bpf"
)

const rejectMask = 0xff000000

// Scope says whose packets are looked at.
type Scope struct {
	All      bool   // every program's
	CgroupID uint64 // else those of sockets made in this cgroup and beneath
	Level    uint32 // the cgroup's depth below the root of cgroup v2
}

// Table is the whole of our nftables rules.
type Table struct {
	Tag        string
	Queue      uint16 // undecided packets wait here, both ways; without a listener they are dropped
	Answers    uint16 // answers to name lookups pass through here; without a listener they pass
	Native     bool   // the kernel has nftables' own queue; else the xtables target
	Scope      Scope
	Classifier bpf.Classifier
	Forwarded  bool // hold what passes through too; it is in no program's cgroup
	// Outgoing leaves out what arrives: for namespaces of which it isn't known who listens.
	Outgoing bool
}

// Apply makes the kernel's table be t, in one transaction. The base chains are kept, so
// that packets which wait in the queue go on waiting.
func (t Table) Apply() error {
	c, err := nftables.New()
	if err != nil {
		return fmt.Errorf("open netlink for nftables: %w", err)
	}
	table := c.AddTable(t.table())
	// After the machine's own firewall: what that drops needs no question.
	prio := *nftables.ChainPriorityFilter + 10
	out := c.AddChain(&nftables.Chain{Name: "output", Table: table, Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookOutput, Priority: &prio})
	in := c.AddChain(&nftables.Chain{Name: "input", Table: table, Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookInput, Priority: &prio})
	refuse := c.AddChain(&nftables.Chain{Name: "refuse", Table: table})
	chains := []*nftables.Chain{out, in, refuse}
	var forward *nftables.Chain
	if t.Forwarded && !t.Outgoing {
		forward = c.AddChain(&nftables.Chain{Name: "forward", Table: table, Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookForward, Priority: &prio})
		chains = append(chains, forward)
	}
	for _, ch := range chains {
		c.FlushChain(ch)
	}
	add := func(ch *nftables.Chain, exprs ...[]expr.Any) {
		var all []expr.Any
		for _, e := range exprs {
			all = append(all, e...)
		}
		c.AddRule(&nftables.Rule{Table: table, Chain: ch, Exprs: all})
	}
	add(refuse, protocol(unix.IPPROTO_TCP), one(&expr.Reject{Type: unix.NFT_REJECT_TCP_RST}))
	add(refuse, one(&expr.Reject{Type: unix.NFT_REJECT_ICMPX_UNREACH, Code: unix.NFT_REJECT_ICMPX_ADMIN_PROHIBITED}))

	// Only what begins a TCP connection is looked at; no conntrack, which would lend one
	// program's permission to another that uses the same ports.
	// (One who connects to who connects to it answers with SYN and ACK, and is looked at too.)
	goesOn := append(protocol(unix.IPPROTO_TCP), flagsNot(0x02, 0x02)...)
	add(out, goesOn, accept())
	if !t.Scope.All {
		add(out, program(t.Classifier.GoesOn), accept())
		add(out, outside(t.Scope), accept())
	}
	add(out, program(t.Classifier.Allowed), accept())
	add(out, marked(bpf.RejectMark), jump("refuse")) // after what is allowed: most packets are
	add(out, program(t.Classifier.Blocked), jump("refuse"))
	add(out, t.queue(t.Queue, false))

	add(in, protocol(unix.IPPROTO_TCP), sourcePort(53), program(t.Classifier.Answer), t.queue(t.Answers, true))
	// What answers our own SYN needs no question: who sent that had one.
	add(in, protocol(unix.IPPROTO_TCP), flagsNot(0x12, 0x02), accept())
	add(in, protocol(unix.IPPROTO_UDP), sourcePort(53), program(t.Classifier.Answer), t.queue(t.Answers, true))
	if !t.Outgoing {
		add(in, program(t.Classifier.Arrives), accept())
		add(in, program(t.Classifier.Stopped), drop())
		add(in, t.queue(t.Queue, false))
	}
	if forward != nil {
		add(forward, program(t.Classifier.Passes), accept())
		add(forward, marked(bpf.RejectMark), jump("refuse"))
		add(forward, program(t.Classifier.PassesNot), jump("refuse"))
		add(forward, t.queue(t.Queue, false))
	}
	if err := c.Flush(); err != nil {
		return fmt.Errorf("set the nftables table: %w", err)
	}
	return nil
}

func (t Table) table() *nftables.Table {
	return &nftables.Table{Name: "sekisho_" + t.Tag, Family: nftables.TableFamilyINet}
}

// Remove takes the table of the service with this tag away; it is no error if there is none.
func Remove(tag string) error {
	c, err := nftables.New()
	if err != nil {
		return fmt.Errorf("open netlink for nftables: %w", err)
	}
	ours := Table{Tag: tag}.table()
	tables, err := c.ListTablesOfFamily(ours.Family)
	if err != nil {
		return fmt.Errorf("list nftables: %w", err)
	}
	if !slices.ContainsFunc(tables, func(t *nftables.Table) bool { return t.Name == ours.Name }) {
		return nil
	}
	c.DelTable(ours)
	if err := c.Flush(); err != nil {
		return fmt.Errorf("remove the nftables table: %w", err)
	}
	return nil
}

// NativeQueue reports whether the kernel has nftables' own queue expression, by trying it
// in a chain that no packet enters.
func NativeQueue(tag string) (bool, error) {
	c, err := nftables.New()
	if err != nil {
		return false, fmt.Errorf("open netlink for nftables: %w", err)
	}
	t := c.AddTable(&nftables.Table{Name: "sekisho_probe_" + tag, Family: nftables.TableFamilyINet})
	ch := c.AddChain(&nftables.Chain{Name: "probe", Table: t})
	c.AddRule(&nftables.Rule{Table: t, Chain: ch, Exprs: []expr.Any{&expr.Queue{Num: 0, Total: 1}}})
	if c.Flush() != nil {
		return false, nil // the whole transaction is undone
	}
	c.DelTable(t)
	return true, c.Flush()
}

func one(e expr.Any) []expr.Any { return []expr.Any{e} }

func accept() []expr.Any { return one(&expr.Verdict{Kind: expr.VerdictAccept}) }

func drop() []expr.Any { return one(&expr.Verdict{Kind: expr.VerdictDrop}) }

func jump(chain string) []expr.Any {
	return one(&expr.Verdict{Kind: expr.VerdictJump, Chain: chain})
}

func protocol(p byte) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{p}},
	}
}

// flagsNot matches TCP segments whose flags under mask are not want.
func flagsNot(mask, want byte) []expr.Any {
	return []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 13, Len: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 1, Mask: []byte{mask}, Xor: []byte{0}},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: []byte{want}},
	}
}

func sourcePort(p uint16) []expr.Any {
	return []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 0, Len: 2},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.BigEndian.PutUint16(p)},
	}
}

func marked(m uint32) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyMARK, Register: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: binaryutil.NativeEndian.PutUint32(rejectMask), Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.NativeEndian.PutUint32(m)},
	}
}

// outside matches packets of sockets that were not made in the scope's cgroup; a packet
// without a socket does not match, and is left to the classifier.
func outside(s Scope) []expr.Any {
	return []expr.Any{
		&expr.Socket{Key: expr.SocketKeyCgroupv2, Level: s.Level, Register: 1},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: binaryutil.NativeEndian.PutUint64(s.CgroupID)},
	}
}

// program matches if the classifier's program returns non-zero: xt_bpf revision 1, mode
// XT_BPF_MODE_FD_ELF of linux/netfilter/xt_bpf.h.
func program(fd int) []expr.Any {
	b := make([]byte, 528)
	binary.NativeEndian.PutUint16(b[0:], 2)
	binary.NativeEndian.PutUint32(b[4:], uint32(fd))
	info := xt.Unknown(b)
	return one(&expr.Match{Name: "bpf", Rev: 1, Info: &info})
}

func (t Table) queue(num uint16, bypass bool) []expr.Any {
	if t.Native {
		q := &expr.Queue{Num: num, Total: 1}
		if bypass {
			q.Flag = expr.QueueFlagBypass
		}
		return one(q)
	}
	// struct xt_NFQ_info_v3 of linux/netfilter/xt_NFQUEUE.h: number, count, flags
	b := make([]byte, 8)
	binary.NativeEndian.PutUint16(b[0:], num)
	binary.NativeEndian.PutUint16(b[2:], 1)
	if bypass {
		binary.NativeEndian.PutUint16(b[4:], 1)
	}
	info := xt.Unknown(b)
	return one(&expr.Target{Name: "NFQUEUE", Rev: 3, Info: &info})
}
