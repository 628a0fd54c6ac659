package process

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"sekisho/app/flow"
)

// Writers remembers which program wrote a file that could be run, from the kernel's file
// events (fanotify): of each file system that is mounted where users write, what was
// written is told when it is closed. The writer is not held up.
//
// What it cannot see: who made what is written (an archive is unpacked by the archiver,
// whoever fetched it); who wrote through a descriptor that another process closed; what was
// written before the service started; file systems that a user mounts in a namespace of
// their own; servers' disks, where others write; programs that are in no file (memfd). It
// may lose events under load, which it counts. So it only ever adds a warning.
//
// Run does the work; every other method may be called from any goroutine.
type Writers struct {
	who  func(pid uint32) (flow.Writer, bool)
	lost atomic.Uint64

	mu      sync.Mutex
	written map[fileID]*list.Element
	latest  *list.List // of *written, the latest last
}

type written struct {
	id fileID
	by flow.Writer
}

// maxWritten bounds the files whose writers are remembered; the oldest goes first.
const maxWritten = 8192

// NewWriters makes one that has seen nothing. It needs a Tracker that was made with it.
func NewWriters() *Writers {
	return &Writers{written: map[fileID]*list.Element{}, latest: list.New()}
}

// Of is who wrote a file last, nil if that was not seen.
func (w *Writers) Of(id fileID) *flow.Writer {
	w.mu.Lock()
	defer w.mu.Unlock()
	if e, ok := w.written[id]; ok {
		by := e.Value.(*written).by
		return &by
	}
	return nil
}

// Lost counts the times that the kernel had to drop events.
func (w *Writers) Lost() uint64 { return w.lost.Load() }

// Run watches until ctx ends. Its error says that the kernel doesn't let it.
func (w *Writers) Run(ctx context.Context) error {
	watching, err := newWatch()
	if err != nil {
		return fmt.Errorf("watch file systems: %w", err)
	}
	mounts, err := os.Open("/proc/thread-self/mountinfo")
	if err != nil {
		watching.close()
		return fmt.Errorf("watch file systems: %w", err)
	}
	defer mounts.Close()
	watching.markAll(mounts)
	return w.follow(ctx, watching, mounts)
}

// follow takes in what is watched, and watches what is mounted later if mounts is given.
func (w *Writers) follow(ctx context.Context, watching *watch, mounts *os.File) error {
	defer watching.close()
	awake := make(chan struct{})
	stop := context.AfterFunc(ctx, func() { watching.wake(); close(awake) })
	defer func() {
		if !stop() {
			<-awake // it must not write to a closed descriptor
		}
	}()
	poll := -1
	if mounts != nil {
		poll = int(mounts.Fd())
	}
	for {
		events, changed, err := watching.wait(poll)
		if ctx.Err() != nil {
			return nil
		}
		if err == nil && events {
			err = watching.read(w.closed, &w.lost)
		}
		if err != nil {
			return fmt.Errorf("watch file systems: %w", err)
		}
		if changed {
			watching.markAll(mounts)
		}
	}
}

// closed takes in that a process closed a file which it could write to.
func (w *Writers) closed(fd int, pid uint32) {
	var st unix.Statx_t
	if unix.Statx(fd, "", unix.AT_EMPTY_PATH|unix.AT_STATX_DONT_SYNC, unix.STATX_BASIC_STATS|unix.STATX_BTIME, &st) != nil {
		return
	}
	id := idOfFile(&st)
	// What only root can write to is no user's doing.
	if st.Mode&unix.S_IFMT != unix.S_IFREG || st.Uid == 0 && st.Mode&0o022 == 0 || !runnable(fd, &st) {
		w.forget(id)
		return
	}
	by, ok := w.who(pid)
	if !ok {
		w.forget(id)
		return
	}
	by.At = time.Now()
	w.remember(id, by)
}

func (w *Writers) remember(id fileID, by flow.Writer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if e, ok := w.written[id]; ok {
		e.Value.(*written).by = by
		w.latest.MoveToBack(e)
		return
	}
	if len(w.written) >= maxWritten {
		delete(w.written, w.latest.Remove(w.latest.Front()).(*written).id)
	}
	w.written[id] = w.latest.PushBack(&written{id, by})
}

func (w *Writers) forget(id fileID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if e, ok := w.written[id]; ok {
		w.latest.Remove(e)
		delete(w.written, id)
	}
}

// scripts are the ends of the names of files that interpreters run.
var scripts = strings.Fields(`.py .pyw .pyz .sh .bash .zsh .fish .pl .rb .js .mjs .cjs .ts .php .lua .tcl .jar .exe .dll
	.run .bin .desktop .appimage .ps1 .r .awk .gjs`)

// runnable reports whether somebody could run a file: by its mode, its first bytes or its
// name. Most of what is written is none.
func runnable(fd int, st *unix.Statx_t) bool {
	if st.Size == 0 {
		return false
	}
	if st.Mode&0o111 != 0 {
		return true
	}
	var b [4]byte
	if n, err := unix.Pread(fd, b[:], 0); err != nil || n < 2 {
		return false
	}
	if string(b[:]) == "\x7fELF" || string(b[:2]) == "#!" {
		return true
	}
	name, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
	return err == nil && slices.Contains(scripts, strings.ToLower(filepath.Ext(name)))
}

// writer tells what program a process runs that has just written a file, or did when it
// ended a moment ago.
func (t *Tracker) writer(pid uint32) (flow.Writer, bool) {
	var p *flow.Process
	if id, ok := t.latest(pid); ok {
		p, _ = t.Find(id)
	} else if st, ok := t.proc.stat(pid); ok {
		p, _ = t.Find(flow.ProcessID{PID: pid, Start: st.start * tick})
	}
	if p == nil || p.Path == "" {
		return flow.Writer{}, false
	}
	from := t.Provenance(p)
	// One that took its own file away is no better than one that put it there just now.
	fresh := from.Fresh(t.now()) || from.Gone && from.Package == "" && p.UID != 0
	return flow.Writer{Path: p.Path, Name: p.DisplayName(), Fresh: fresh}, true
}

// latest is the process that has, or had last, a number.
func (t *Tracker) latest(pid uint32) (flow.ProcessID, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if r, ok := t.byPID[pid]; ok {
		return r.id, true
	}
	for e := t.gone.Back(); e != nil; e = e.Prev() {
		if r := e.Value.(*record); r.id.PID == pid {
			return r.id, true
		}
	}
	return flow.ProcessID{}, false
}

var errNoEvents = errors.New("the kernel tells of no file events")
