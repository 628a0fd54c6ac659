package enforce

import (
	"fmt"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// Means are the kernel's means that a Table is made of, each nil if the kernel has it.
type Means struct {
	Tables     error // nftables over netlink, in the family inet
	Classifier error // programs of eBPF as matches
	Scope      error // the cgroup of a packet's socket
	Refusal    error // answers to those whose packets are refused
	Native     error // nftables' own queue
	XTables    error // the queue of iptables; either of the two will do
}

// Try tries each of them by itself, with some program of the classifier. It makes and
// removes a table whose chain packets enter: call it in a network namespace without any.
func Try(tag string, classifier int) Means {
	table := Table{Tag: "try_" + tag}
	return Means{
		Tables:     table.try(accept()),
		Classifier: table.try(program(classifier)),
		Scope:      table.try(outside(Scope{CgroupID: 1, Level: 1})),
		Refusal:    table.try(one(&expr.Reject{Type: unix.NFT_REJECT_ICMPX_UNREACH, Code: unix.NFT_REJECT_ICMPX_ADMIN_PROHIBITED})),
		Native:     table.try(Table{Native: true}.queue(0, false)),
		XTables:    table.try(Table{}.queue(0, false)),
	}
}

// try makes a rule of one expression.
func (t Table) try(exprs []expr.Any) error {
	c, err := nftables.New()
	if err != nil {
		return fmt.Errorf("open netlink for nftables: %w", err)
	}
	table := c.AddTable(t.table())
	chain := c.AddChain(&nftables.Chain{Name: "try", Table: table, Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookOutput, Priority: nftables.ChainPriorityFilter})
	c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: exprs})
	if err := c.Flush(); err != nil {
		return err // the whole transaction is undone
	}
	c.DelTable(table)
	return c.Flush()
}
