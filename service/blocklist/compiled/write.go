package compiled

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// bucketSize is how many texts a bucket of the directory has, about.
const bucketSize = 4

// texts writes a text table: records, directory, filter. A record is the length of its
// text, how many lists have it, a mark for each, and the text.
func (o *output) texts(s *sorter) (table, error) {
	if s.count == 0 {
		return table{}, nil
	}
	buckets := uint64(1) << bits.Len64(s.count/bucketSize)
	t := table{Shift: uint64(64 - bits.Len64(buckets-1))}
	w := &texts{out: o, start: o.at, shift: t.Shift, filter: newFilter(s.count), directory: make([]uint32, 0, buckets+1)}
	if err := s.each(w.add); err != nil {
		return t, err
	}
	w.flush()
	for uint64(len(w.directory)) <= buckets {
		w.directory = append(w.directory, uint32(o.at-w.start))
	}
	s.close()
	t.Records, t.Count = o.since(w.start), w.count
	at := o.at
	var line [4096]byte
	for d := w.directory; len(d) > 0; {
		n := 0
		for n < len(line) && len(d) > 0 {
			binary.LittleEndian.PutUint32(line[n:], d[0])
			n, d = n+4, d[1:]
		}
		o.write(line[:n])
	}
	t.Directory = o.since(at)
	o.align(filterBlock)
	at = o.at
	o.write(w.filter)
	t.Filter = o.since(at)
	return t, o.err
}

func (o *output) align(n uint64) {
	for o.at%n != 0 {
		o.write([]byte{0})
	}
}

// texts gathers the marks of one text after the other.
type texts struct {
	out       *output
	start     uint64
	shift     uint64
	filter    filter
	directory []uint32
	count     uint64
	hash      uint64
	text      []byte
	marks     []uint16
	record    []byte
}

// add takes hash | text | mark.
func (w *texts) add(b []byte) error {
	h, text := binary.BigEndian.Uint64(b), b[8:len(b)-2]
	mark := binary.BigEndian.Uint16(b[len(b)-2:])
	if len(w.marks) > 0 && (h != w.hash || !bytes.Equal(text, w.text)) {
		w.flush()
	}
	if n := len(w.marks); n > 0 && (w.marks[n-1]^mark)&(markList|markException|markOverrides) == 0 {
		w.marks[n-1] |= mark // the same list has x and *.x
		return w.out.step()
	}
	w.hash, w.text = h, append(w.text[:0], text...)
	w.marks = append(w.marks, mark)
	return w.out.step()
}

func (w *texts) flush() {
	if len(w.marks) == 0 {
		return
	}
	for bucket := bucketOf(w.hash, w.shift); uint64(len(w.directory)) <= bucket; {
		w.directory = append(w.directory, uint32(w.out.at-w.start))
	}
	w.filter.add(w.hash)
	r := binary.AppendUvarint(w.record[:0], uint64(len(w.text)))
	r = binary.AppendUvarint(r, uint64(len(w.marks)))
	for _, m := range w.marks {
		r = binary.LittleEndian.AppendUint16(r, m)
	}
	w.record = append(r, w.text...)
	w.out.write(w.record)
	w.marks = w.marks[:0]
	w.count++
}

func bucketOf(h, shift uint64) uint64 {
	if shift >= 64 {
		return 0
	}
	return h >> shift
}

// Records of networks: the address, its bits, a byte of nothing, the mark, and the
// number of the next wider network around it plus one, or zero.
const (
	sampleEvery = 64
	networkTail = 8
)

// networks writes the records and then the address of every 64th.
func (o *output) networks(s *sorter, width int) (records, samples section, err error) {
	start := o.at
	var around []wider
	var sampled []byte
	record := make([]byte, width+networkTail)
	count := uint32(0)
	err = s.each(func(b []byte) error {
		addr, nbits := b[:width], b[width]
		for len(around) > 0 && !around[len(around)-1].holds(addr) {
			around = around[:len(around)-1]
		}
		parent := uint32(0)
		if len(around) > 0 {
			parent = around[len(around)-1].number + 1
		}
		if count%sampleEvery == 0 {
			sampled = append(sampled, addr...)
		}
		copy(record, addr)
		record[width], record[width+1] = nbits, 0
		binary.LittleEndian.PutUint16(record[width+2:], binary.BigEndian.Uint16(b[width+1:]))
		binary.LittleEndian.PutUint32(record[width+4:], parent)
		o.write(record)
		around = append(around, wider{bytes.Clone(addr), int(nbits), count})
		count++
		return o.step()
	})
	if err != nil {
		return section{}, section{}, err
	}
	s.close()
	records = o.since(start)
	start = o.at
	o.write(sampled)
	return records, o.since(start), o.err
}

// wider is a network that those which follow may be in.
type wider struct {
	addr   []byte
	bits   int
	number uint32
}

func (w *wider) holds(addr []byte) bool { return samePrefix(w.addr, addr, w.bits) }

// samePrefix says whether two addresses of one length begin with the same bits.
func samePrefix(a, b []byte, nbits int) bool {
	n := nbits / 8
	if n > len(a) || !bytes.Equal(a[:n], b[:n]) {
		return false
	}
	r := nbits % 8
	return r == 0 || n < len(a) && (a[n]^b[n])>>(8-r) == 0
}
