package format

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Bounds of a list. A line is at most MaxLine bytes long: the longest known rules for
// browsers are a fifth of it.
const (
	MaxLine  = 64 << 10
	maxFirst = 5
	maxText  = 120
)

// Options say how a text is read.
type Options struct {
	Format Format // Auto: found by content
	// Guarded are names that no list may block: those from which updates come.
	Guarded []string
	// MaxEntries is how many entries a list may have; 0: as many as it likes.
	MaxEntries int
}

// Parse reads a list that isn't packed and calls emit for each entry; an error of emit
// ends it. The error is a *Refusal if the text is at fault, else the reader's. What was
// emitted before an error is worth nothing.
func Parse(r io.Reader, o Options, emit func(Entry) error) (Report, error) {
	b := bufio.NewReaderSize(r, MaxLine)
	head, err := b.Peek(Sample)
	if err != nil && !errors.Is(err, io.EOF) {
		return Report{}, err
	}
	found, err := Detect(head)
	if err != nil && (o.Format == Auto || notText(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf"))) != nil) {
		return Report{}, err
	}
	if o.Format != Auto {
		found = o.Format
	}
	p := newParser(found)
	if p == nil {
		return Report{}, fmt.Errorf("unknown %s", found)
	}
	w := &reading{report: Report{Format: found}, options: o, emit: emit}
	w.sink = sink{emit: w.take, guarded: o.Guarded}
	if err := w.lines(b, p); err != nil {
		return w.report, err
	}
	return w.report, w.judge()
}

// reading is one text being read.
type reading struct {
	report  Report
	options Options
	sink    sink
	emit    func(Entry) error
	err     error   // emit's
	covered float64 // IPv4 addresses
}

func (w *reading) lines(b *bufio.Reader, p parser) error {
	for number := 1; ; number++ {
		line, err := b.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			return &Refusal{Line: number, Why: fmt.Sprintf("longer than %d KiB", MaxLine>>10), Do: "this is no list that can be read"}
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if number == 1 {
			line = bytes.TrimPrefix(line, []byte("\xef\xbb\xbf"))
		}
		if control(line) {
			return &Refusal{Line: number, Why: "binary data, not a list", Do: "fetch it again; if it stays so, use another list"}
		}
		if bad := w.line(string(bytes.TrimRight(line, "\r\n")), number, p); bad != nil {
			return bad
		}
		if err == io.EOF {
			return nil
		}
	}
}

func (w *reading) line(raw string, number int, p parser) error {
	o := p.line(strings.TrimSpace(raw), raw, &w.sink)
	switch o.kind {
	case hostile:
		return &Refusal{Line: number, Why: o.why, Do: "a list with such an entry isn't used; choose another one"}
	case left:
		w.report.Left++
	case broken:
		w.report.Broken++
	}
	if (o.kind == left || o.kind == broken) && len(w.report.First) < maxFirst {
		w.report.First = append(w.report.First, Line{number, shown(raw), o.why})
	}
	if w.err != nil {
		return w.err
	}
	if n := w.options.MaxEntries; n > 0 && w.report.Names+w.report.Networks+w.report.URLs > n {
		return &Refusal{Line: number, Why: fmt.Sprintf("more than %d entries", n), Do: "choose a smaller list"}
	}
	return nil
}

// shown makes a line of a list safe to print.
func shown(s string) string {
	if len(s) > maxText {
		s = s[:maxText]
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f {
			return '?'
		}
		return r
	}, s)
}

func (w *reading) take(e Entry) {
	if w.err != nil {
		return
	}
	switch {
	case e.Name != "":
		w.report.Names++
	case e.URL != "":
		w.report.URLs++
	default:
		w.report.Networks++
		if e.Network.Addr().Is4() && !e.Exception {
			w.covered += float64(uint64(1) << (32 - e.Network.Bits()))
		}
	}
	if e.Exception {
		w.report.Exceptions++
	}
	w.err = w.emit(e)
}

// judge looks at the whole once all lines are read.
func (w *reading) judge() error {
	r := &w.report
	switch {
	case r.Entries() <= 0:
		return &Refusal{Why: fmt.Sprintf("nothing in it can be blocked (read as %s)", r.Format),
			Do: "check that the address is that of a list, and its format"}
	case r.Broken > 10 && r.Broken > r.Entries()+r.Exceptions+r.Left:
		return &Refusal{Line: r.First[0].Number, Why: fmt.Sprintf("%d of its lines make no sense as %s", r.Broken, r.Format),
			Do: "check that the address is that of a list, and its format"}
	case w.covered > 1<<31:
		return &Refusal{Why: "it would block more than half of all IPv4 addresses", Do: "choose another list"}
	}
	return nil
}
