package capture

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/florianl/go-nfqueue/v2"
	"golang.org/x/sys/unix"

	"sekisho/service/bpf"
)

// Length is how many packets the kernel holds for us; more are dropped and counted.
// There is no fail-open: a program could flood its way out.
const Length = 4096

const (
	headBytes = 256   // enough for every header that is looked at
	allBytes  = 65535 // answers to name lookups are read whole
)

// ErrQueueInUse means that another program listens on the queue.
var ErrQueueInUse = errors.New("the queue is in use by another program")

// Queue is one NFQUEUE of the network namespace that it was opened in.
type Queue struct {
	q      *nfqueue.Nfqueue
	num    uint16
	kernel *bpf.Kernel
	log    *slog.Logger
}

// Open takes the queue of undecided packets.
func Open(num uint16, kernel *bpf.Kernel, log *slog.Logger) (*Queue, error) {
	return open(nfqueue.Config{
		NfQueue: num, MaxPacketLen: headBytes, MaxQueueLen: Length,
		Flags: nfqueue.NfQaCfgFlagGSO, // one packet, one verdict: not cut up before we see it
	}, kernel, log)
}

// OpenAnswers takes the queue of answers to name lookups. When it is full, answers pass
// unread: a name that isn't known is better than one that isn't found.
func OpenAnswers(num uint16, kernel *bpf.Kernel, log *slog.Logger) (*Queue, error) {
	return open(nfqueue.Config{NfQueue: num, MaxPacketLen: allBytes, MaxQueueLen: Length, Flags: nfqueue.NfQaCfgFlagFailOpen}, kernel, log)
}

func open(c nfqueue.Config, kernel *bpf.Kernel, log *slog.Logger) (*Queue, error) {
	c.Copymode = nfqueue.NfQnlCopyPacket
	q, err := nfqueue.Open(&c)
	if err != nil {
		return nil, fmt.Errorf("open queue %d: %w", c.NfQueue, err)
	}
	// A burst of packets must not be lost between the kernel and us; FORCE needs CAP_NET_ADMIN.
	if raw, err := q.Con.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) {
			_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 8<<20)
			_ = unix.SetsockoptInt(int(fd), unix.SOL_NETLINK, unix.NETLINK_NO_ENOBUFS, 1)
		})
	}
	return &Queue{q: q, num: c.NfQueue, kernel: kernel, log: log}, nil
}

// Run calls f for each packet, from one goroutine, until ctx is done. It reports that it
// listens by closing ready.
func (q *Queue) Run(ctx context.Context, ready chan<- struct{}, f func(*Packet)) error {
	failed := make(chan error, 1)
	err := q.listen(ctx, func(a nfqueue.Attribute) int {
		if a.PacketID != nil && a.Payload != nil {
			f(q.packet(a))
		}
		return 0
	}, func(err error) int {
		if ctx.Err() != nil {
			return 1
		}
		if errors.Is(err, unix.ENOBUFS) || errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
			return 0 // packets were lost on the way to us: the kernel drops and counts them
		}
		if errors.Is(err, unix.ENOENT) {
			return 0 // a verdict on a packet that is gone: its chain was flushed meanwhile
		}
		failed <- err
		return 1
	})
	if errors.Is(err, unix.EBUSY) || errors.Is(err, unix.EPERM) {
		return fmt.Errorf("listen on queue %d: %w", q.num, ErrQueueInUse)
	}
	if err != nil {
		return fmt.Errorf("listen on queue %d: %w", q.num, err)
	}
	close(ready)
	defer q.q.Close()
	select {
	case <-ctx.Done():
		// The reader wakes up at its next message or when its socket closes.
		_ = q.q.Con.SetReadDeadline(time.Unix(1, 0))
		return nil
	case err := <-failed:
		return fmt.Errorf("read queue %d: %w", q.num, err)
	}
}

// Dropped is how many packets the kernel dropped because the queue was full or we were
// too slow, since the queue was opened.
func (q *Queue) Dropped() (uint64, error) { return dropped(q.num) }
