package process

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// watch is a group of the kernel's file events.
type watch struct {
	fd     int
	waker  int
	marked map[uint32]bool // file systems
	buf    []byte
}

func newWatch() (*watch, error) {
	fd, err := unix.FanotifyInit(unix.FAN_CLASS_NOTIF|unix.FAN_CLOEXEC|unix.FAN_NONBLOCK, unix.O_RDONLY|unix.O_LARGEFILE|unix.O_CLOEXEC|unix.O_NOATIME)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoEvents, err)
	}
	waker, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return &watch{fd: fd, waker: waker, marked: map[uint32]bool{}, buf: make([]byte, 256*unsafe.Sizeof(unix.FanotifyEventMetadata{}))}, nil
}

func (w *watch) close() {
	unix.Close(w.fd)
	unix.Close(w.waker)
}

// wake makes wait return.
func (w *watch) wake() {
	//nolint:errcheck // it can only fail when it is awake already
	unix.Write(w.waker, []byte{1, 0, 0, 0, 0, 0, 0, 0})
}

// wait waits for events, for a change of mounts, or for wake.
func (w *watch) wait(mounts int) (events, changed bool, err error) {
	fds := []unix.PollFd{
		{Fd: int32(w.fd), Events: unix.POLLIN}, {Fd: int32(mounts), Events: unix.POLLPRI}, {Fd: int32(w.waker), Events: unix.POLLIN},
	}
	for {
		_, err = unix.Poll(fds, -1)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	return fds[0].Revents != 0, fds[1].Revents&(unix.POLLPRI|unix.POLLERR) != 0, err
}

// writtenTo are the kinds of file system that users' programs are written to. What only
// shows others (overlay), can't be written to or is no place for files is not among them,
// nor are servers' disks.
var writtenTo = []string{
	"ext2", "ext3", "ext4", "xfs", "btrfs", "bcachefs", "f2fs", "zfs", "jfs", "reiserfs", "nilfs2", "tmpfs", "ramfs",
	"vfat", "exfat", "ntfs3", "ntfs", "fuseblk", "udf", "hfsplus",
}

// markAll marks the file systems that are mounted now; one that can't be is left out.
func (w *watch) markAll(mountinfo *os.File) {
	if _, err := mountinfo.Seek(0, io.SeekStart); err != nil {
		return
	}
	here := map[uint32]bool{}
	for _, m := range parseMounts(mountinfo) {
		if !slices.Contains(writtenTo, m.kind) {
			continue
		}
		if here[m.device] = true; !w.marked[m.device] && w.mark(m.point) == nil {
			w.marked[m.device] = true
		}
	}
	for device := range w.marked {
		if !here[device] {
			delete(w.marked, device) // its number may come again
		}
	}
}

// mark asks for events of the whole file system that a path is in, by whatever mount.
func (w *watch) mark(path string) error {
	return unix.FanotifyMark(w.fd, unix.FAN_MARK_ADD|unix.FAN_MARK_FILESYSTEM, unix.FAN_CLOSE_WRITE, unix.AT_FDCWD, path)
}

// read takes in all events that are there.
func (w *watch) read(closed func(fd int, pid uint32), lost *atomic.Uint64) error {
	self := int32(os.Getpid())
	for {
		n, err := unix.Read(w.fd, w.buf)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return nil
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM), errors.Is(err, unix.EMFILE),
			errors.Is(err, unix.ENFILE), errors.Is(err, unix.ETXTBSY), errors.Is(err, unix.ENOENT), errors.Is(err, unix.ESTALE), errors.Is(err, unix.ENXIO), errors.Is(err, unix.EIO):
			lost.Add(1) // that file can't be opened
			if errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) {
				return nil
			}
			continue
		case err != nil:
			return err
		}
		for b := w.buf[:n]; len(b) >= int(unsafe.Sizeof(unix.FanotifyEventMetadata{})); {
			e := *(*unix.FanotifyEventMetadata)(unsafe.Pointer(&b[0]))
			if e.Event_len < 24 || int(e.Event_len) > len(b) || e.Vers != unix.FANOTIFY_METADATA_VERSION {
				return errNoEvents
			}
			b = b[e.Event_len:]
			if e.Mask&unix.FAN_Q_OVERFLOW != 0 {
				lost.Add(1)
			}
			if e.Fd < 0 {
				continue
			}
			if e.Pid != self && e.Pid > 0 {
				closed(int(e.Fd), uint32(e.Pid))
			}
			unix.Close(int(e.Fd))
		}
	}
}
