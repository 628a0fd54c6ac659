package ruleset

import (
	"strings"

	"golang.org/x/sys/unix"
)

// Author is the program that wrote rules, as far as their names and form tell.
type Author string

const (
	Sekisho    Author = "sekisho" // where our own tables are looked at, too
	UFW        Author = "ufw"
	Firewalld  Author = "firewalld"
	Docker     Author = "docker"
	Libvirt    Author = "libvirt"
	Fail2ban   Author = "fail2ban"
	Kubernetes Author = "kubernetes"
	Podman     Author = "podman"
	IPTables   Author = "iptables-nft"
	OldTables  Author = "iptables-legacy"
	NFTables   Author = "nft"
)

// authorOf tells who wrote a table as a whole.
func authorOf(t *table) Author {
	switch {
	case t.legacy:
		return OldTables
	case t.name == "firewalld" || strings.HasPrefix(t.name, "firewalld_"):
		return Firewalld
	case strings.HasPrefix(t.name, "libvirt_"):
		return Libvirt
	case strings.HasPrefix(t.name, "f2b"):
		return Fail2ban
	case t.name == "netavark":
		return Podman
	case strings.HasPrefix(t.name, "docker"):
		return Docker
	case t.isIPTables():
		return IPTables
	}
	return NFTables
}

// isIPTables: iptables-nft makes tables of its own names, with its chains in capitals;
// nft can write no extension of iptables.
func (t *table) isIPTables() bool {
	for _, c := range t.chains {
		for _, r := range c.rules {
			for _, e := range r.exprs {
				if e.name == "match" || e.name == "target" {
					return true
				}
			}
		}
	}
	switch t.name {
	case "filter", "nat", "mangle", "raw", "security":
	default:
		return false
	}
	for _, c := range t.chains {
		if c.hook != "" && c.name != strings.ToUpper(string(c.hook)) {
			return false
		}
	}
	return len(t.chains) > 0
}

var chainAuthors = []struct {
	prefix string
	author Author
}{
	{"ufw-", UFW}, {"ufw6-", UFW}, {"f2b-", Fail2ban}, {"fail2ban-", Fail2ban}, {"DOCKER", Docker}, {"LIBVIRT_", Libvirt},
	{"KUBE-", Kubernetes}, {"NETAVARK", Podman}, {"CNI-", Podman},
}

// authorOfChain tells who wrote a chain in a table that programs share, "" if it is
// nobody else than the table's.
func authorOfChain(c *chain) Author {
	if a := authorOfName(c.name); a != "" {
		return a
	}
	// A base chain's policy is of whoever has it jump to chains of its own.
	if c.hook != "" && c.table.author != Firewalld {
		for _, r := range c.rules {
			if a := authorOfName(jumpOf(r)); a == UFW {
				return a
			}
		}
	}
	return ""
}

func authorOfName(name string) Author {
	for _, a := range chainAuthors {
		if strings.HasPrefix(name, a.prefix) {
			return a.author
		}
	}
	return ""
}

// authorOfRule: a rule that jumps to a program's chain is that program's.
func authorOfRule(r *rule) Author {
	if a := authorOfName(jumpOf(r)); a != "" {
		return a
	}
	if a := authorOfName(r.chain.name); a != "" {
		return a
	}
	return r.chain.table.author
}

// jumpOf is the chain that a rule jumps to, "" if it does not.
func jumpOf(r *rule) string {
	for _, e := range r.exprs {
		if e.name == "immediate" {
			if v, ok := verdictOf(e.nested(unix.NFTA_IMMEDIATE_DATA)); ok {
				return v.chain
			}
		}
	}
	return ""
}
