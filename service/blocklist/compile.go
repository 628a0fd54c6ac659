package blocklist

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"

	"sekisho/service/blocklist/compiled"
	"sekisho/service/blocklist/format"
)

// compile makes a new file of all copies, if they aren't those of the file in use, and
// swaps. Lists that are off are in it too: switching one on then takes no time.
func (b *Book) compile(ctx context.Context) error {
	err := b.recompile(ctx)
	b.mu.Lock()
	was := b.uncompiled
	b.uncompiled = nil
	if err != nil {
		b.uncompiled = problem("", "", err)
	}
	now := b.uncompiled
	b.mu.Unlock()
	if now != nil || was != nil {
		b.o.Told()
	}
	if now != nil {
		return now
	}
	return nil
}

func (b *Book) recompile(ctx context.Context) error {
	sources := b.sources()
	b.mu.Lock()
	now, told := b.file(), b.told
	same := now != nil && now.Source() == digest(sources)
	b.mu.Unlock()
	if !told || same || now == nil && len(sources) == 0 {
		return nil
	}
	for {
		bad, err := b.build(ctx, sources)
		if err == nil {
			return nil
		}
		if bad < 0 || ctx.Err() != nil {
			return err
		}
		// A copy went bad on the disk, or is refused since an update of Sekisho: the
		// others go on without it, and it is fetched anew.
		s := *b.stateOf(sources[bad].id)
		p := problem(sources[bad].id, "compile", err)
		s.SHA256, s.Error, s.Do, s.Due = "", p.Why, "it is fetched again", b.o.Clock.Now()
		b.settle(sources[bad].id, &s)
		sources = append(sources[:bad:bad], sources[bad+1:]...)
	}
}

// source is a copy to be compiled.
type source struct {
	id     string
	state  *state
	format format.Format
}

func (b *Book) sources() []source {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []source
	for _, l := range b.lists {
		if s := b.copies[l.ID]; s != nil && s.SHA256 != "" {
			all = append(all, source{l.ID, s, s.Report.Format})
		}
	}
	return all
}

// digest names what a file is compiled of.
func digest(all []source) [sha256.Size]byte {
	d := sha256.New()
	for _, s := range all {
		fmt.Fprintln(d, s.id, s.state.SHA256, s.format)
	}
	return [sha256.Size]byte(d.Sum(nil))
}

// build compiles and swaps. bad is the source at fault, or -1.
func (b *Book) build(ctx context.Context, sources []source) (bad int, err error) {
	w := compiled.NewBuilder(b.compiledPath())
	defer w.Close()
	p := Progress{Stage: Compiling}
	for _, s := range sources {
		p.Total += int64(s.state.Report.Entries() + s.state.Report.Exceptions)
	}
	for i, s := range sources {
		if err := b.whole(s.id, s.state); err != nil {
			return i, err
		}
		if err := w.List(s.id); err != nil {
			return -1, err
		}
		var failed error // the builder's: no fault of the copy
		_, err := b.parse(b.copyPath(s.id), format.Options{Format: s.format}, func(e format.Entry) error {
			if p.Done++; p.Done%65536 == 0 {
				b.o.Progress(p)
				failed = ctx.Err()
			}
			if failed == nil {
				failed = w.Add(e)
			}
			return failed
		})
		if failed != nil {
			return -1, failed
		}
		if err != nil {
			return i, err
		}
	}
	if int(p.Done) > b.o.Limits.Entries {
		return -1, fmt.Errorf("the lists have %d entries, and only %d fit: remove some", p.Done, b.o.Limits.Entries)
	}
	if err := w.Build(ctx, digest(sources)); err != nil {
		return -1, err
	}
	f, err := compiled.Open(b.compiledPath())
	if err != nil {
		return -1, err
	}
	b.swap(f)
	debug.FreeOSMemory() // what compiling took isn't needed for a day
	b.o.Progress(Progress{Stage: Ready, Done: p.Done, Total: p.Total})
	return -1, nil
}

// swap puts f into use. Who looks something up meanwhile has the old file or the new
// one; the old one is unmapped when the last of them is done.
func (b *Book) swap(f *compiled.File) {
	b.mu.Lock()
	old := b.file()
	b.show(f)
	b.mu.Unlock()
	if old != nil {
		old.Release()
	}
	b.o.Changed()
}

func sumOf(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	d := sha256.New()
	_, err = io.Copy(d, f)
	return hex.EncodeToString(d.Sum(nil)), errors.Join(err, f.Close())
}
