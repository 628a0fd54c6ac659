package format

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
)

// MaxText is how long a list may be when it is unpacked, in bytes.
const MaxText = 64 << 20

// Text gives a list's text from what was fetched: gzip is found by content and
// unpacked. A reader that yields more than limit bytes, or packed data that is broken
// or cut, fails with a *Refusal.
func Text(r io.Reader, limit int64) (io.Reader, error) {
	b := bufio.NewReader(r)
	head, err := b.Peek(2)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if !bytes.Equal(head, []byte("\x1f\x8b")) {
		return &bounded{r: b, limit: limit}, nil
	}
	z, err := gzip.NewReader(b)
	if err != nil {
		return nil, packed(err)
	}
	return &bounded{r: z, limit: limit, gzip: true}, nil
}

// bounded reads up to limit bytes and then fails; io.LimitReader would make a cut list
// look whole.
type bounded struct {
	r     io.Reader
	n     int64
	limit int64
	gzip  bool
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.n += int64(n); b.n > b.limit {
		return 0, &Refusal{Why: fmt.Sprintf("it is longer than %d MiB", b.limit>>20), Do: "choose a smaller list"}
	}
	if b.gzip && err != nil && !errors.Is(err, io.EOF) {
		err = packed(err)
	}
	return n, err
}

// packed turns gzip's own errors into a refusal; those of the connection stay.
func packed(err error) error {
	var timed interface{ Timeout() bool }
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return &Refusal{Why: "it ends in the middle of its packed data", Do: "it is fetched again later"}
	case errors.As(err, &timed), errors.Is(err, context.Canceled):
		return err
	}
	return &Refusal{Why: "its packed data is damaged", Do: "it is fetched again later"}
}
