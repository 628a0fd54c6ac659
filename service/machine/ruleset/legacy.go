package ruleset

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Of linux/netfilter_ipv4/ip_tables.h and its sister for IPv6, which agree.
const (
	getInfo    = 64 // IPT_SO_GET_INFO
	getEntries = 65 // IPT_SO_GET_ENTRIES
	nameLen    = 32 // XT_TABLE_MAXNAMELEN
	infoLen    = nameLen + 4 + 5*4 + 5*4 + 4 + 4
	entriesAt  = 40 // struct ipt_get_entries: name, size, and room for alignment
)

// legacyShape says where things are in an entry of a family.
type legacyShape struct {
	family          Family
	names           string // the file that lists the tables there are
	domain, level   int
	addrLen         int
	head            int // length of struct ipt_ip and ip6t_ip6
	proto           int
	flags, invFlags int
	target, next    int // offsets of target_offset and next_offset
	entry           int // length of struct ipt_entry
	gotoFlag        byte
}

var legacyShapes = []legacyShape{
	{IPv4, "/proc/self/net/ip_tables_names", unix.AF_INET, unix.IPPROTO_IP, 4, 84, 80, 82, 83, 88, 90, 112, 0x02},
	{IPv6, "/proc/self/net/ip6_tables_names", unix.AF_INET6, unix.IPPROTO_IPV6, 16, 136, 128, 131, 132, 140, 142, 168, 0x04},
}

// legacyPriority is where the tables of ip_tables stand among the others.
var legacyPriority = map[string]int32{"raw": -300, "mangle": -150, "filter": 0, "security": 50}

// readLegacy reads the rules of ip_tables. Asking for a table would make it be: only
// those that are there already are read.
func (s *Ruleset) readLegacy() error {
	for _, shape := range legacyShapes {
		// The calling thread's namespace, which need not be the process's.
		file := strings.Replace(shape.names, "/proc/self/", fmt.Sprintf("/proc/self/task/%d/", unix.Gettid()), 1)
		names, err := os.ReadFile(file)
		if err != nil {
			continue // the kernel has no ip_tables, or nobody ever used them
		}
		for _, name := range strings.Fields(string(names)) {
			if err := s.readLegacyTable(shape, name); err != nil {
				return fmt.Errorf("read the table %s of ip_tables: %w", name, err)
			}
		}
	}
	return nil
}

func (s *Ruleset) readLegacyTable(shape legacyShape, name string) error {
	fd, err := unix.Socket(shape.domain, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	for range disturbedAfter {
		info := make([]byte, infoLen)
		copy(info, name)
		if err := getsockopt(fd, shape.level, getInfo, info); err != nil {
			return err
		}
		size := binary.NativeEndian.Uint32(info[infoLen-4:])
		entries := make([]byte, entriesAt+int(size))
		copy(entries, name)
		binary.NativeEndian.PutUint32(entries[nameLen:], size)
		err := getsockopt(fd, shape.level, getEntries, entries)
		if errors.Is(err, unix.EAGAIN) { // it was changed in between
			continue
		}
		if err != nil {
			return err
		}
		s.tables = append(s.tables, legacyTable(shape, name, len(s.tables), xt(info), xt(entries[entriesAt:])))
		return nil
	}
	return ErrDisturbed
}

func getsockopt(fd, level, option int, b []byte) error {
	n := uint32(len(b))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), uintptr(level), uintptr(option),
		uintptr(unsafe.Pointer(&b[0])), uintptr(unsafe.Pointer(&n)), 0)
	runtime.KeepAlive(b)
	if errno != 0 {
		return errno
	}
	return nil
}

// legacyHead is what an entry of ip_tables matches by itself: struct ipt_ip.
type legacyHead struct {
	shape legacyShape
	b     xt
}

// legacyTable makes chains of a table's entries, which stand one behind the other: base
// chains begin where the kernel says, others behind an entry that names them.
func legacyTable(shape legacyShape, name string, order int, info, b xt) *table {
	t := &table{family: shape.family, name: name, legacy: true, order: order, chains: map[string]*chain{}}
	begins := map[int]*chain{} // by the offset of the first rule
	for h, hook := range []Hook{Prerouting, Input, Forward, Output, Postrouting} {
		if info.u32(nameLen)&(1<<h) == 0 {
			continue
		}
		c := &chain{table: t, name: strings.ToUpper(string(hook)), hook: hook, kind: "filter", priority: legacyPriority[name]}
		if name == "nat" {
			c.kind, c.priority = "nat", natPriority(hook)
		}
		t.chains[c.name] = c
		begins[int(info.u32(nameLen+4+4*h))] = c
	}
	eachEntry(shape, b, func(at int, e xt) {
		if n := targetName(shape, e); n == "ERROR" && at+len(e) < len(b) {
			c := &chain{table: t, name: zeroEnded(e.bytes(int(e.u16(shape.target))+32, 30))}
			t.chains[c.name] = c
			begins[at+len(e)] = c
		}
	})
	var now *chain
	eachEntry(shape, b, func(at int, e xt) {
		if c := begins[at]; c != nil {
			now = c
		}
		if now != nil && targetName(shape, e) != "ERROR" {
			r := &rule{chain: now, position: len(now.rules) + 1, handle: uint64(len(now.rules) + 1)}
			r.exprs = legacyExpressions(shape, e, begins)
			r.comment = legacyComment(r)
			now.rules = append(now.rules, r)
		}
	})
	for _, c := range t.chains {
		c.takePolicy()
	}
	return t
}

func natPriority(h Hook) int32 {
	if h == Prerouting || h == Output {
		return -100
	}
	return 100
}

func eachEntry(shape legacyShape, b xt, f func(at int, e xt)) {
	for at := 0; at+shape.entry <= len(b); {
		n := int(b[at:].u16(shape.next))
		if n < shape.entry || at+n > len(b) {
			return
		}
		f(at, b[at:at+n])
		at += n
	}
}

func targetName(shape legacyShape, e xt) string {
	return zeroEnded(e.bytes(int(e.u16(shape.target))+2, 29))
}

// takePolicy: the last rule of every chain is its policy, or a return.
func (c *chain) takePolicy() {
	if len(c.rules) == 0 {
		return
	}
	last := c.rules[len(c.rules)-1]
	c.rules = c.rules[:len(c.rules)-1]
	v, _ := verdictOf(last.exprs[len(last.exprs)-1].nested(unix.NFTA_IMMEDIATE_DATA))
	c.drops = c.hook != "" && v.code == verdictDrop
}

// legacyExpressions are an entry's parts as iptables-nft would have them in nftables.
func legacyExpressions(shape legacyShape, e xt, begins map[int]*chain) []expression {
	all := []expression{{name: "head", head: &legacyHead{shape, e[:shape.head]}}}
	target := min(int(e.u16(shape.target)), len(e))
	for at := shape.entry; at+32 <= target; {
		n := int(e.u16(at))
		if n < 32 || at+n > target {
			break
		}
		all = append(all, expression{name: "match", attrs: extensionAttrs(e[at : at+n])})
		at += n
	}
	if target+32 > len(e) {
		return all
	}
	t := e[target:]
	if name := zeroEnded(t.bytes(2, 29)); name != "" {
		return append(all, expression{name: "target", attrs: extensionAttrs(t)})
	}
	return append(all, legacyVerdict(int32(t.u32(32)), e[shape.flags]&shape.gotoFlag != 0, begins))
}

// extensionAttrs reads struct xt_entry_match: size, name, revision, and what belongs to it.
func extensionAttrs(b xt) attrs {
	return attrs{
		unix.NFTA_MATCH_NAME: b.bytes(2, 29),
		unix.NFTA_MATCH_REV:  {b.u8(31)},
		unix.NFTA_MATCH_INFO: b[min(32, len(b)):],
	}
}

// legacyVerdict: below zero is a verdict, else where the chain begins that is jumped to.
func legacyVerdict(v int32, gone bool, begins map[int]*chain) expression {
	out := verdict{code: verdictJump}
	if gone {
		out.code = verdictGoto
	}
	switch {
	case v == -5: // XT_RETURN
		out.code = verdictReturn
	case v < 0:
		out.code = -v - 1
	case begins[int(v)] != nil:
		out.chain = begins[int(v)].name
	default: // a rule without a target: on to the next
		out.code = verdictContinue
	}
	code := binary.BigEndian.AppendUint32(nil, uint32(out.code))
	data := attribute(unix.NFTA_DATA_VERDICT, append(attribute(unix.NFTA_VERDICT_CODE, code), attribute(unix.NFTA_VERDICT_CHAIN, append([]byte(out.chain), 0))...))
	return expression{name: "immediate", attrs: attrs{unix.NFTA_IMMEDIATE_DATA: data, unix.NFTA_IMMEDIATE_DREG: {0, 0, 0, 0}}}
}

func attribute(kind uint16, v []byte) []byte {
	b := binary.NativeEndian.AppendUint16(nil, uint16(attrHead+len(v)))
	b = append(binary.NativeEndian.AppendUint16(b, kind), v...)
	return append(b, make([]byte, (4-len(b)%4)%4)...)
}

func legacyComment(r *rule) string {
	for _, e := range r.exprs {
		if e.name == "match" && e.text(unix.NFTA_MATCH_NAME) == "comment" {
			return zeroEnded(e.attrs[unix.NFTA_MATCH_INFO])
		}
	}
	return ""
}
