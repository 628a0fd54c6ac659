package stream

import "slices"

const (
	// MaxAhead bounds the bytes that are kept because others before them have not come.
	MaxAhead = 64 << 10
	// maxParts bounds in how many pieces they are.
	maxParts = 64
)

// Order is one direction of a connection. Of bytes that come twice the first count, as
// they do for the receiver. The zero Order begins at byte 0.
type Order struct {
	next  uint32
	ahead []part // sorted by their distance from next, and apart from each other
	kept  int
	lost  bool
}

type part struct {
	seq uint32
	b   []byte
}

// NewOrder makes an Order of a direction whose first byte has this number.
func NewOrder(first uint32) *Order { return &Order{next: first} }

// Next is the number of the byte that is to come next.
func (o *Order) Next() uint32 { return o.next }

// Kept is how many bytes wait for others before them.
func (o *Order) Kept() int { return o.kept }

// Lost reports that more came out of order than is kept: nothing more will be told.
func (o *Order) Lost() bool { return o.lost }

// Add takes in the bytes that begin at seq, and calls each for those that are next in
// order, piece by piece. What it keeps for later is a copy; what it hands out is valid
// only during the call.
func (o *Order) Add(seq uint32, b []byte, each func([]byte)) {
	if o.lost || len(b) == 0 {
		return
	}
	if before := int32(o.next - seq); before > 0 { // of these some came already
		if int(before) >= len(b) {
			return
		}
		seq, b = o.next, b[before:]
	}
	if seq != o.next {
		o.keep(seq, b)
		return
	}
	// The parts that are there win over b where both are.
	for len(o.ahead) > 0 {
		p := o.ahead[0]
		gap := int32(p.seq - seq)
		if int(gap) > len(b) {
			break
		}
		if gap > 0 {
			each(b[:gap])
		}
		each(p.b)
		o.ahead = slices.Delete(o.ahead, 0, 1)
		o.kept -= len(p.b)
		seq = p.seq + uint32(len(p.b))
		b = b[min(len(b), int(gap)+len(p.b)):]
		o.next = seq
	}
	if len(b) > 0 {
		each(b)
		o.next = seq + uint32(len(b))
	}
}

// keep puts bytes aside whose time has not come.
func (o *Order) keep(seq uint32, b []byte) {
	if ahead := seq - o.next; uint64(ahead)+uint64(len(b)) > MaxAhead {
		// Far from what can be in a window here: a forgery, or more than is kept.
		if int32(ahead) > 0 && ahead < 1<<30 {
			o.lose()
		}
		return
	}
	i := 0
	for ; len(b) > 0; i++ {
		if i == len(o.ahead) {
			o.insert(i, seq, b)
			break
		}
		p := o.ahead[i]
		if free := int32(p.seq - seq); free > 0 {
			n := min(len(b), int(free))
			o.insert(i, seq, b[:n])
			i++
			seq, b = seq+uint32(n), b[n:]
		}
		if covered := int32(p.seq + uint32(len(p.b)) - seq); covered > 0 {
			n := min(len(b), int(covered))
			seq, b = seq+uint32(n), b[n:]
		}
	}
	if len(o.ahead) > maxParts {
		o.lose()
	}
}

func (o *Order) insert(i int, seq uint32, b []byte) {
	o.ahead = slices.Insert(o.ahead, i, part{seq, slices.Clone(b)})
	o.kept += len(b)
}

func (o *Order) lose() { o.lost, o.ahead, o.kept = true, nil, 0 }
