package ruleset

import (
	"encoding/binary"
	"net/netip"
	"strconv"

	"golang.org/x/sys/unix"
)

// Addr is an address of either family.
type Addr = netip.Addr

// Operators of nft_cmp_ops.
const (
	cmpEq = iota
	cmpNeq
	cmpLt
	cmpLte
	cmpGt
	cmpGte
)

var (
	goOn  = verdict{code: verdictContinue}
	stops = verdict{code: verdictBreak}
)

// apply goes through a rule's expressions; verdictBreak means that it does not match.
func (w *world) apply(r *rule) verdict {
	w.regs = registers{}
	for i := range r.exprs {
		if v := w.step(&r.exprs[i]); v.code != verdictContinue {
			return v
		}
	}
	return goOn
}

// passOver are expressions that neither match nor decide.
var passOver = map[string]bool{
	"counter": true, "log": true, "last": true, "dup": true, "flow_offload": true,
	"ct_helper": true, "secmark": true, "tproxy": true,
}

// matches of which only the kernel knows the state.
var stateful = map[string]string{
	"limit": "a limit", "quota": "a quota", "connlimit": "the number of connections", "osf": "the system's fingerprint",
	"inner": "what is inside the packet", "synproxy": "the proxy for connections",
}

// step is one expression.
func (w *world) step(e *expression) verdict {
	if e.head != nil {
		return w.when(e.head.matches(w))
	}
	switch e.name {
	case "payload":
		return w.payload(e.attrs)
	case "meta":
		return w.meta(e.attrs)
	case "ct":
		return w.ct(e.attrs)
	case "fib":
		return w.lookRoute(e.attrs)
	case "socket":
		return w.socket(e.attrs)
	case "exthdr":
		return w.extension(e.attrs)
	case "cmp", "range":
		return w.test(e)
	case "bitwise", "byteorder", "hash", "numgen", "rt", "xfrm", "tunnel":
		return w.compute(e)
	case "lookup":
		return w.lookup(e.attrs)
	case "dynset":
		return w.dynamic(e.attrs)
	case "immediate":
		return w.immediate(e.attrs)
	case "match":
		return w.when(w.xtMatch(e.attrs))
	}
	return w.act(e)
}

// act is an expression that does something.
func (w *world) act(e *expression) verdict {
	switch e.name {
	case "target":
		return w.xtTarget(e.attrs)
	case "reject":
		return verdict{code: verdictReject}
	case "queue":
		return w.queue(strconv.Itoa(int(e.u32(unix.NFTA_QUEUE_NUM))))
	case "nat", "masq", "redir":
		return w.nat(e)
	case "notrack":
		w.packet.State = Untracked
		w.note(Untrack, "")
		return goOn
	case "fwd":
		return w.queue("another interface")
	case "objref":
		return w.object(e.attrs)
	}
	if passOver[e.name] {
		return goOn
	}
	why, ok := stateful[e.name]
	if !ok {
		why = "the expression " + e.name + ", which Sekisho does not know"
	}
	return w.when(maybe, why)
}

func (w *world) when(t truth, why string) verdict {
	if w.holds(t, why) {
		return goOn
	}
	return stops
}

// queue hands the packet to another program, which may do either.
func (w *world) queue(to string) verdict {
	if w.ask("what the program that reads queue " + to + " decides") {
		return verdict{code: verdictDrop}
	}
	w.note(Queue, to)
	return verdict{code: verdictAccept}
}

func (w *world) object(a attrs) verdict {
	const limit, connlimit, quota, kind = 4, 5, 2, 1
	switch a.u32(kind) {
	case limit:
		return w.when(maybe, "a limit")
	case connlimit:
		return w.when(maybe, "the number of connections")
	case quota:
		return w.when(maybe, "a quota")
	}
	if a.has(3) { // NFTA_OBJREF_SET_SREG: which object depends on a map
		return w.when(maybe, "an object of a map")
	}
	return goOn
}

// verdictOf reads a verdict or a value: NFTA_DATA_VERDICT and NFTA_DATA_VALUE.
func verdictOf(d attrs) (verdict, bool) {
	if !d.has(unix.NFTA_DATA_VERDICT) {
		return verdict{}, false
	}
	v := d.nested(unix.NFTA_DATA_VERDICT)
	return verdict{code: int32(v.u32(unix.NFTA_VERDICT_CODE)), chain: v.text(unix.NFTA_VERDICT_CHAIN)}, true
}

func (w *world) immediate(a attrs) verdict {
	d := a.nested(unix.NFTA_IMMEDIATE_DATA)
	if v, ok := verdictOf(d); ok {
		return w.decide(v)
	}
	w.regs.store(a.u32(unix.NFTA_IMMEDIATE_DREG), known(d[unix.NFTA_DATA_VALUE]...))
	return goOn
}

// decide: a queue is a verdict too, with its number in the upper half.
func (w *world) decide(v verdict) verdict {
	const nfQueue = 3
	if v.code > 0 && v.code&0xff == nfQueue {
		return w.queue(strconv.Itoa(int(v.code >> 16)))
	}
	return v
}

func (w *world) test(e *expression) verdict {
	if e.name == "cmp" {
		data := e.nested(unix.NFTA_CMP_DATA)[unix.NFTA_DATA_VALUE]
		v := w.regs.load(e.u32(unix.NFTA_CMP_SREG), len(data))
		return w.when(v.compare(e.u32(unix.NFTA_CMP_OP), data), v.why)
	}
	from, to := e.nested(unix.NFTA_RANGE_FROM_DATA)[unix.NFTA_DATA_VALUE], e.nested(unix.NFTA_RANGE_TO_DATA)[unix.NFTA_DATA_VALUE]
	v := w.regs.load(e.u32(unix.NFTA_RANGE_SREG), len(from))
	t := v.within(from, to)
	if e.u32(unix.NFTA_RANGE_OP) == unix.NFT_RANGE_NEQ {
		t = t.not()
	}
	return w.when(t, v.why)
}

// compute is an expression that puts something into a register.
func (w *world) compute(e *expression) verdict {
	switch e.name {
	case "bitwise":
		w.bitwise(e.attrs)
	case "byteorder":
		w.byteorder(e.attrs)
	case "hash":
		w.regs.store(e.u32(unix.NFTA_HASH_DREG), unknown(4, "a hash"))
	case "numgen":
		w.regs.store(e.u32(unix.NFTA_NG_DREG), unknown(4, "a number of the kernel's"))
	case "rt":
		w.regs.store(e.u32(unix.NFTA_RT_DREG), unknown(16, "a property of the route"))
	case "xfrm", "tunnel":
		return stops // the packet is of no tunnel
	}
	return goOn
}

func (w *world) bitwise(a attrs) {
	n := int(a.u32(unix.NFTA_BITWISE_LEN))
	v := w.regs.load(a.u32(unix.NFTA_BITWISE_SREG), n)
	const op, data = 6, 7
	var out value
	switch a.u32(op) {
	case 0: // NFT_BITWISE_MASK_XOR
		mask, xor := a.nested(unix.NFTA_BITWISE_MASK)[unix.NFTA_DATA_VALUE], a.nested(unix.NFTA_BITWISE_XOR)[unix.NFTA_DATA_VALUE]
		out = v.masked(mask, xor)
	case 1, 2: // NFT_BITWISE_LSHIFT and RSHIFT, of 32 bits in the host's order
		by := binary.NativeEndian.Uint32(pad(a.nested(data)[unix.NFTA_DATA_VALUE]))
		out = v.apply(func(b []byte) []byte { return shift(b, a.u32(op) == 1, by) })
	default: // with a second register
		out = unknown(n, "a calculation")
	}
	w.regs.store(a.u32(unix.NFTA_BITWISE_DREG), out)
}

// masked: bits that the mask takes away need not be known.
func (v value) masked(mask, xor []byte) value {
	out := value{lo: make([]byte, len(v.lo)), hi: make([]byte, len(v.lo)), why: v.why}
	sure := true // so far: behind a byte that differs, bounds are none of a byte
	for i := range v.lo {
		m, x := byteAt(mask, i), byteAt(xor, i)
		sure = sure && v.lo[i] == v.hi[i]
		if sure || m == 0 {
			out.lo[i] = v.lo[i]&m ^ x
			out.hi[i] = out.lo[i]
			continue
		}
		out.lo[i], out.hi[i] = 0, 0xff
	}
	return out
}

func byteAt(b []byte, i int) byte {
	if i < len(b) {
		return b[i]
	}
	return 0
}

func shift(b []byte, left bool, by uint32) []byte {
	out := make([]byte, 0, len(b))
	for i := 0; i+4 <= len(b); i += 4 {
		n := binary.NativeEndian.Uint32(b[i:])
		if left {
			n <<= by
		} else {
			n >>= by
		}
		out = binary.NativeEndian.AppendUint32(out, n)
	}
	return append(out, b[len(out):]...)
}

func (w *world) byteorder(a attrs) {
	n, size := int(a.u32(unix.NFTA_BYTEORDER_LEN)), int(a.u32(unix.NFTA_BYTEORDER_SIZE))
	v := w.regs.load(a.u32(unix.NFTA_BYTEORDER_SREG), n)
	w.regs.store(a.u32(unix.NFTA_BYTEORDER_DREG), v.apply(func(b []byte) []byte {
		if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
			return b
		}
		for i := 0; size > 0 && i+size <= len(b); i += size {
			for j := range size / 2 {
				b[i+j], b[i+size-1-j] = b[i+size-1-j], b[i+j]
			}
		}
		return b
	}))
}
