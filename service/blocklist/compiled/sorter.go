package compiled

import (
	"bufio"
	"bytes"
	"container/heap"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// sorter sorts byte strings with little memory: what doesn't fit is sorted in parts,
// written to a file, and merged.
type sorter struct {
	dir   string
	arena []byte
	at    []span
	file  *os.File // unlinked
	runs  []section
	size  uint64
	count uint64
}

type span struct{ from, to uint32 }

// Memory of a sorter: the arena and, for each string of it, a span.
const (
	arenaSize = 4 << 20
	arenaFew  = 1 << 18
)

func (s *sorter) add(b []byte) error {
	if len(s.arena)+len(b) > arenaSize || len(s.at) >= arenaFew {
		if err := s.spill(); err != nil {
			return err
		}
	}
	if s.arena == nil {
		s.arena = make([]byte, 0, arenaSize)
	}
	from := uint32(len(s.arena))
	s.arena = append(s.arena, b...)
	s.at = append(s.at, span{from, uint32(len(s.arena))})
	s.count++
	return nil
}

func (s *sorter) sort() {
	slices.SortFunc(s.at, func(a, b span) int { return bytes.Compare(s.arena[a.from:a.to], s.arena[b.from:b.to]) })
}

// spill writes the arena as a run and empties it.
func (s *sorter) spill() error {
	if len(s.at) == 0 {
		return nil
	}
	if s.file == nil {
		f, err := os.CreateTemp(s.dir, "sort-")
		if err != nil {
			return err
		}
		s.file = f
		if err := os.Remove(f.Name()); err != nil {
			return err
		}
	}
	s.sort()
	w := bufio.NewWriterSize(s.file, 256<<10)
	run := section{Offset: s.size}
	for _, p := range s.at {
		var n [binary.MaxVarintLen64]byte
		head := n[:binary.PutUvarint(n[:], uint64(p.to-p.from))]
		if _, err := w.Write(head); err != nil {
			return fmt.Errorf("sort: %w", err)
		}
		if _, err := w.Write(s.arena[p.from:p.to]); err != nil {
			return fmt.Errorf("sort: %w", err)
		}
		run.Size += uint64(len(head)) + uint64(p.to-p.from)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("sort: %w", err)
	}
	s.size += run.Size
	s.runs = append(s.runs, run)
	s.arena, s.at = s.arena[:0], s.at[:0]
	return nil
}

// each gives the strings in order, equal ones once. The bytes are valid during the call.
func (s *sorter) each(f func([]byte) error) error {
	var last []byte
	first := true
	once := func(b []byte) error {
		if !first && bytes.Equal(b, last) {
			return nil
		}
		first = false
		last = append(last[:0], b...)
		return f(b)
	}
	if s.file == nil {
		s.sort()
		for _, p := range s.at {
			if err := once(s.arena[p.from:p.to]); err != nil {
				return err
			}
		}
		return nil
	}
	if err := s.spill(); err != nil {
		return err
	}
	s.arena, s.at = nil, nil
	return s.merge(once)
}

func (s *sorter) merge(f func([]byte) error) error {
	var m merging
	for _, r := range s.runs {
		h := &run{r: bufio.NewReaderSize(io.NewSectionReader(s.file, int64(r.Offset), int64(r.Size)), 64<<10)}
		if err := h.next(); err != nil {
			return fmt.Errorf("sort: %w", err)
		}
		m = append(m, h)
	}
	heap.Init(&m)
	for len(m) > 0 {
		if err := f(m[0].head); err != nil {
			return err
		}
		switch err := m[0].next(); {
		case err == nil:
			heap.Fix(&m, 0)
		case errors.Is(err, io.EOF):
			heap.Pop(&m)
		default:
			return fmt.Errorf("sort: %w", err)
		}
	}
	return nil
}

func (s *sorter) close() {
	if s.file != nil {
		s.file.Close()
	}
	*s = sorter{}
}

// run is a sorted part being read.
type run struct {
	r    *bufio.Reader
	head []byte
}

func (h *run) next() error {
	n, err := binary.ReadUvarint(h.r)
	if err != nil {
		return err
	}
	h.head = slices.Grow(h.head[:0], int(n))[:n]
	_, err = io.ReadFull(h.r, h.head)
	return err
}

type merging []*run

func (m merging) Len() int           { return len(m) }
func (m merging) Less(i, j int) bool { return bytes.Compare(m[i].head, m[j].head) < 0 }
func (m merging) Swap(i, j int)      { m[i], m[j] = m[j], m[i] }
func (m *merging) Push(x any)        { *m = append(*m, x.(*run)) }
func (m *merging) Pop() any {
	x := (*m)[len(*m)-1]
	*m = (*m)[:len(*m)-1]
	return x
}
