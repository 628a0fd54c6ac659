package hello

// cursor reads big-endian fields; after a field that is not there it is bad and gives
// zeros.
type cursor struct {
	b   []byte
	bad bool
}

func (c *cursor) take(n int) []byte {
	if c.bad || n < 0 || n > len(c.b) {
		c.bad = true
		return nil
	}
	b := c.b[:n]
	c.b = c.b[n:]
	return b
}

// number reads n bytes.
func (c *cursor) number(n int) (v int) {
	for _, b := range c.take(n) {
		v = v<<8 | int(b)
	}
	return v
}

// vector reads what follows a length of n bytes.
func (c *cursor) vector(n int) cursor {
	size := c.number(n)
	return cursor{b: c.take(size), bad: c.bad}
}

// varint reads a number of RFC 9000, 16.
func (c *cursor) varint() (v uint64) {
	first := c.take(1)
	if c.bad {
		return 0
	}
	v = uint64(first[0] & 0x3f)
	for _, b := range c.take(1<<(first[0]>>6) - 1) {
		v = v<<8 | uint64(b)
	}
	if c.bad {
		return 0
	}
	return v
}

// run reads what follows a length that is a varint.
func (c *cursor) run() []byte {
	n := c.varint()
	if n > uint64(len(c.b)) {
		c.bad = true
	}
	return c.take(int(min(n, uint64(len(c.b)))))
}

func (c *cursor) empty() bool { return c.bad || len(c.b) == 0 }
