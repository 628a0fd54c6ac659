package compiled

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"math"
	"os"
	"path/filepath"

	"sekisho/service/blocklist/format"
)

// Builder makes a compiled file. Its memory doesn't grow with the lists, but for two
// bytes or so a name: what is to be sorted goes to the folder of the file.
type Builder struct {
	path    string
	seed    uint64
	lists   []string
	names   sorter
	pages   sorter
	nets    [2]sorter
	scratch []byte
}

// NewBuilder makes a builder of the file path, whose folder exists; nothing is written
// before entries are many.
func NewBuilder(path string) *Builder {
	var seed [8]byte
	rand.Read(seed[:]) // never fails
	dir := filepath.Dir(path)
	return &Builder{path: path, seed: binary.LittleEndian.Uint64(seed[:]),
		names: sorter{dir: dir}, pages: sorter{dir: dir}, nets: [2]sorter{{dir: dir}, {dir: dir}}}
}

// List begins the list of that id: what Add is given belongs to it.
func (b *Builder) List(id string) error {
	if len(b.lists) == MaxLists {
		return fmt.Errorf("more than %d lists", MaxLists)
	}
	if len(id) == 0 || len(id) > math.MaxUint8 {
		return fmt.Errorf("list %q: an id has 1 to %d bytes", id, math.MaxUint8)
	}
	b.lists = append(b.lists, id)
	return nil
}

// Add takes an entry of the list that was begun last.
func (b *Builder) Add(e format.Entry) error {
	if len(b.lists) == 0 {
		return errors.New("an entry of no list")
	}
	mark := uint16(len(b.lists) - 1)
	if e.Exception {
		mark |= markException
	}
	if e.Overrides {
		mark |= markOverrides
	}
	switch {
	case e.Name != "":
		if e.Exact {
			mark |= markExact
		}
		if e.Below {
			mark |= markBelow
		}
		return b.text(&b.names, e.Name, mark)
	case e.URL != "":
		return b.text(&b.pages, e.URL, mark|markExact)
	}
	return b.network(e, mark)
}

// text adds hash | text | mark: sorted, equal hashes and then equal texts are neighbours.
func (b *Builder) text(s *sorter, text string, mark uint16) error {
	t := append(b.scratch[:0], 0, 0, 0, 0, 0, 0, 0, 0)
	t = append(t, text...)
	binary.BigEndian.PutUint64(t, hashOf(b.seed, t[8:]))
	t = binary.BigEndian.AppendUint16(t, mark)
	b.scratch = t
	return s.add(t)
}

// network adds address | bits | mark.
func (b *Builder) network(e format.Entry, mark uint16) error {
	if !e.Network.IsValid() || e.Network.Masked() != e.Network {
		return fmt.Errorf("%v is no network", e.Network)
	}
	s, t := &b.nets[1], b.scratch[:0]
	if a := e.Network.Addr(); a.Is4() {
		s = &b.nets[0]
		v := a.As4()
		t = append(t, v[:]...)
	} else {
		v := a.As16()
		t = append(t, v[:]...)
	}
	t = append(t, byte(e.Network.Bits()))
	t = binary.BigEndian.AppendUint16(t, mark)
	b.scratch = t
	return s.add(t)
}

// Close drops a builder that Build wasn't called on; it may always be called.
func (b *Builder) Close() {
	b.names.close()
	b.pages.close()
	b.nets[0].close()
	b.nets[1].close()
}

// Build writes the file: under another name first, synced, then renamed, so that the
// path never holds a part of one. source is what File.Source gives again. The builder
// is of no use afterwards.
func (b *Builder) Build(ctx context.Context, source [sha256.Size]byte) error {
	defer b.Close()
	tmp, err := os.CreateTemp(filepath.Dir(b.path), "compile-")
	if err != nil {
		return fmt.Errorf("compile lists: %w", err)
	}
	err = b.write(ctx, tmp, source)
	if err == nil {
		err = tmp.Sync()
	}
	if err = errors.Join(err, tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), b.path)
	}
	if err != nil {
		return fmt.Errorf("compile lists: %w", errors.Join(err, os.Remove(tmp.Name())))
	}
	if err := syncDir(filepath.Dir(b.path)); err != nil {
		return fmt.Errorf("compile lists: %w", err)
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (b *Builder) write(ctx context.Context, f *os.File, source [sha256.Size]byte) error {
	o := &output{ctx: ctx, w: bufio.NewWriterSize(f, 256<<10), digest: sha256.New()}
	o.skip(headerSize)
	h := header{Version: version, Lists: uint32(len(b.lists)), Seed: b.seed, Source: source}
	copy(h.Magic[:], magic)
	start := o.at
	for _, id := range b.lists {
		o.write([]byte{byte(len(id))})
		o.write([]byte(id))
	}
	h.ListIDs = o.since(start)
	var err error
	if h.Names, err = o.texts(&b.names); err != nil {
		return err
	}
	if h.Pages, err = o.texts(&b.pages); err != nil {
		return err
	}
	for i := range b.nets {
		if h.Networks[i], h.Samples[i], err = o.networks(&b.nets[i], [2]int{4, 16}[i]); err != nil {
			return err
		}
	}
	if err := errors.Join(o.err, o.w.Flush()); err != nil {
		return err
	}
	h.Sum = h.sum(o.digest.Sum(nil))
	_, err = f.WriteAt(h.encode(), 0)
	return err
}

// output writes the body of a file; its error sticks.
type output struct {
	ctx    context.Context
	w      *bufio.Writer
	digest hash.Hash
	at     uint64
	err    error
	steps  int
}

func (o *output) skip(n int) {
	if _, err := o.w.Write(make([]byte, n)); err != nil {
		o.err = err
	}
	o.at += uint64(n)
}

func (o *output) write(b []byte) {
	if o.err != nil {
		return
	}
	o.digest.Write(b)
	o.at += uint64(len(b))
	_, o.err = o.w.Write(b)
}

func (o *output) since(start uint64) section { return section{start, o.at - start} }

// step gives the error so far, or the context's, now and then.
func (o *output) step() error {
	if o.steps++; o.steps%4096 == 0 {
		if err := o.ctx.Err(); err != nil {
			return err
		}
	}
	return o.err
}
