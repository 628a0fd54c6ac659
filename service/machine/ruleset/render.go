package ruleset

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// term is what a register holds, as nft would write it, and how its values are written.
type term struct {
	text string
	kind kind
	len  int
	mask string // " & 0xff"
	bits bool   // a mask chose some bits: != 0 means any of them
}

// writer turns one rule into text.
type writer struct {
	set   *Ruleset
	rule  *rule
	terms [cells]*term
	out   []string
}

// text is the rule as nft would write it, without its comment.
func (s *Ruleset) text(r *rule) string {
	if r.text != "" {
		return r.text
	}
	w := &writer{set: s, rule: r}
	for i := range r.exprs {
		w.write(&r.exprs[i])
	}
	r.text = strings.Join(plainer(w.out), " ")
	return r.text
}

// plainer leaves out what nft adds by itself: the protocol before a port that names it.
func plainer(parts []string) []string {
	implied := map[string]string{"meta nfproto ipv4": "ip ", "meta nfproto ipv6": "ip6 ", "meta protocol ip": "ip ", "meta protocol ip6": "ip6 "}
	for _, p := range []string{"tcp", "udp", "udplite", "sctp", "dccp"} {
		for _, by := range []string{"meta l4proto ", "ip protocol ", "ip6 nexthdr "} {
			implied[by+p] = p + " "
		}
	}
	var kept []string
	for i, s := range parts {
		by := implied[s]
		said := slices.ContainsFunc(parts[i+1:], func(later string) bool {
			return by != "" && (strings.HasPrefix(later, by) || strings.Contains(later, " . "+by) || strings.Contains(later, "fib "+by))
		})
		if !said {
			kept = append(kept, s)
		}
	}
	return kept
}

func (w *writer) say(format string, args ...any) {
	if s := fmt.Sprintf(format, args...); s != "" {
		w.out = append(w.out, s)
	}
}

func (w *writer) put(register uint32, t term) { w.terms[cellOf(register)] = &t }

func (w *writer) get(register uint32) term {
	if t := w.terms[cellOf(register)]; t != nil {
		return *t
	}
	return term{text: fmt.Sprintf("reg %d", register), kind: hexadecimal}
}

func (w *writer) write(e *expression) {
	if e.head != nil {
		w.say("%s", e.head.text())
		return
	}
	switch e.name {
	case "payload":
		w.payload(e.attrs)
	case "meta":
		w.named(e.attrs, unix.NFTA_META_KEY, unix.NFTA_META_DREG, unix.NFTA_META_SREG, "meta ", metaNames)
	case "ct":
		w.named(e.attrs, unix.NFTA_CT_KEY, unix.NFTA_CT_DREG, unix.NFTA_CT_SREG, "ct ", ctNames)
	case "fib":
		w.fib(e.attrs)
	case "socket":
		t := term{text: []string{"socket transparent", "socket mark", "socket wildcard", "socket cgroupv2"}[e.u32(socketKey)&3], kind: number32}
		if e.u32(socketKey) == 3 {
			t.text, t.kind = fmt.Sprintf("socket cgroupv2 level %d", e.u32(socketLevel)), number32
		}
		w.put(e.u32(socketDreg), t)
	case "cmp":
		w.compare(e.attrs)
	case "range":
		w.between(e.attrs)
	case "bitwise":
		w.bitwise(e.attrs)
	case "byteorder":
		w.put(e.u32(unix.NFTA_BYTEORDER_DREG), turned(w.get(e.u32(unix.NFTA_BYTEORDER_SREG))))
	case "lookup":
		w.lookup(e.attrs)
	case "immediate":
		w.immediate(e.attrs)
	case "match":
		w.say("%s", extensionOf(e.attrs).text(w.rule.chain.table.family))
	case "target":
		w.say("%s", extensionOf(e.attrs).targetText(w.rule.chain.table.family))
	default:
		w.action(e)
	}
}

func (w *writer) action(e *expression) {
	switch e.name {
	case "counter": // says nothing of what the rule does
	case "reject":
		w.say("%s", rejectText(e.u32(unix.NFTA_REJECT_TYPE), e.u32(unix.NFTA_REJECT_ICMP_CODE), w.rule.chain.table.family))
	case "limit":
		w.say("%s", limitText(e.attrs))
	case "log":
		w.say("log")
		if p := e.text(unix.NFTA_LOG_PREFIX); p != "" {
			w.say("prefix %q", p)
		}
	case "queue":
		w.say("queue num %d", e.u32(unix.NFTA_QUEUE_NUM))
	case "masq":
		w.say("masquerade")
	case "redir":
		w.say("redirect%s", w.to(e.attrs, 0, unix.NFTA_REDIR_REG_PROTO_MIN))
	case "nat":
		w.say("%s%s", []string{"snat", "dnat"}[e.u32(unix.NFTA_NAT_TYPE)&1], w.to(e.attrs, unix.NFTA_NAT_REG_ADDR_MIN, unix.NFTA_NAT_REG_PROTO_MIN))
	case "dynset":
		w.say("%s @%s { %s }", []string{"add", "update", "delete"}[e.u32(unix.NFTA_DYNSET_OP)%3], e.text(unix.NFTA_DYNSET_SET_NAME), w.get(e.u32(unix.NFTA_DYNSET_SREG_KEY)).text)
	case "numgen", "hash", "rt", "exthdr", "xfrm", "tunnel", "osf":
		const dreg = 1
		w.put(e.u32(dreg), term{text: e.name, kind: hexadecimal})
	default:
		w.say("%s", e.name)
	}
}

func (w *writer) to(a attrs, addr, port uint16) string {
	s := ""
	if addr != 0 && a.has(addr) {
		s = " to " + w.get(a.u32(addr)).text
	}
	if a.has(port) {
		if s == "" {
			s = " to "
		}
		s += ":" + w.get(a.u32(port)).text
	}
	return s
}

// transportName is the protocol that an earlier match of the rule fixed.
func (w *writer) transportName() string {
	for _, p := range []string{"tcp", "udp", "udplite", "sctp", "dccp"} {
		for _, s := range w.out {
			if strings.HasSuffix(s, "l4proto "+p) || strings.HasSuffix(s, "protocol "+p) || strings.HasSuffix(s, "nexthdr "+p) || strings.HasPrefix(s, p+" ") {
				return p
			}
		}
	}
	return "th"
}

func (w *writer) payload(a attrs) {
	if a.has(unix.NFTA_PAYLOAD_SREG) {
		w.say("write into the packet")
		return
	}
	base, from, n := a.u32(unix.NFTA_PAYLOAD_BASE), int(a.u32(unix.NFTA_PAYLOAD_OFFSET)), int(a.u32(unix.NFTA_PAYLOAD_LEN))
	t, ok := fieldTerm(base, from, n, w.networkName(), w.transportName())
	if !ok {
		t = term{text: fmt.Sprintf("@%s,%d,%d", []string{"ll", "nh", "th", "ih"}[base&3], from*8, n*8), kind: hexadecimal}
	}
	t.len = n
	w.put(a.u32(unix.NFTA_PAYLOAD_DREG), t)
}

// networkName is "ip" or "ip6": of the table, or what the rule fixed before.
func (w *writer) networkName() string {
	switch w.rule.chain.table.family {
	case IPv4:
		return "ip"
	case IPv6:
		return "ip6"
	}
	for _, s := range w.out {
		if strings.HasSuffix(s, "nfproto ipv6") || strings.HasPrefix(s, "ip6 ") || strings.HasSuffix(s, "protocol ip6") {
			return "ip6"
		}
	}
	return "ip"
}

func (w *writer) named(a attrs, key, dreg, sreg uint16, prefix string, names map[uint32]term) {
	t, ok := names[a.u32(key)]
	if !ok {
		t = term{text: fmt.Sprintf("key %d", a.u32(key)), kind: hexadecimal}
	}
	t.text = prefix + t.text
	t.text = strings.TrimPrefix(strings.Replace(t.text, "meta iif", "iif", 1), "")
	t.text = strings.Replace(t.text, "meta oif", "oif", 1)
	if a.has(sreg) {
		w.say("%s set %s", t.text, w.get(a.u32(sreg)).text)
		return
	}
	w.put(a.u32(dreg), t)
}

func (w *writer) fib(a attrs) {
	var of []string
	for _, f := range []struct {
		bit  uint32
		name string
	}{{unix.NFTA_FIB_F_SADDR, "saddr"}, {unix.NFTA_FIB_F_DADDR, "daddr"}, {unix.NFTA_FIB_F_MARK, "mark"}, {unix.NFTA_FIB_F_IIF, "iif"}, {unix.NFTA_FIB_F_OIF, "oif"}} {
		if a.u32(unix.NFTA_FIB_FLAGS)&f.bit != 0 {
			of = append(of, f.name)
		}
	}
	result := []string{"", "oif", "oifname", "type"}[a.u32(unix.NFTA_FIB_RESULT)&3]
	k := number32
	if result == "type" {
		k = addressType
	}
	w.put(a.u32(unix.NFTA_FIB_DREG), term{text: "fib " + strings.Join(of, " . ") + " " + result, kind: k})
}
