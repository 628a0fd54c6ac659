package compiled

// filter is a Bloom filter in blocks of 64 bytes: each key has its bits in one of
// them. 12 bits a key let about one miss in 200 through.
type filter []byte

const (
	filterBlock = 64
	filterBits  = 12
	filterProbe = 6
)

func newFilter(count uint64) filter {
	return make(filter, max(1, (count*filterBits+filterBlock*8-1)/(filterBlock*8))*filterBlock)
}

// block gives the block of a hash; the high half chooses it, the low half its bits.
func (f filter) block(h uint64) filter {
	n := uint64(len(f) / filterBlock)
	i := (h >> 32) * n >> 32
	return f[i*filterBlock : (i+1)*filterBlock]
}

func (f filter) add(h uint64) {
	b := f.block(h)
	low := uint32(h) * 0x9e3779b1
	step := uint32(h)>>9 | 1
	for range filterProbe {
		bit := low >> 23
		b[bit/8] |= 1 << (bit % 8)
		low = low*0x85ebca6b + step
	}
}

// has is false for what was surely never added.
func (f filter) has(h uint64) bool {
	b := f.block(h)
	low := uint32(h) * 0x9e3779b1
	step := uint32(h)>>9 | 1
	for range filterProbe {
		bit := low >> 23
		if b[bit/8]&(1<<(bit%8)) == 0 {
			return false
		}
		low = low*0x85ebca6b + step
	}
	return true
}
