package capture

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/florianl/go-nfqueue/v2"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Of linux/netfilter/nfnetlink.h and nfnetlink_queue.h.
const (
	messageConfig = unix.NFNL_SUBSYS_QUEUE<<8 | 2 // NFQNL_MSG_CONFIG
	configCommand = 1                             // NFQA_CFG_CMD
	commandUnbind = 2                             // NFQNL_CFG_CMD_UNBIND
)

const (
	// listenTries bounds how often it is begun anew; under a flood one in ten fails.
	listenTries = 50
	// quietAfter without a message there is none left.
	quietAfter = 5 * time.Millisecond
)

// listen begins to take packets. One that comes before the kernel has answered to all of
// the settings is in the way of that answer, and then it is begun anew: the service is
// often started while programs wait.
func (q *Queue) listen(ctx context.Context, f nfqueue.HookFunc, failed nfqueue.ErrorFunc) error {
	for range listenTries - 1 {
		err := q.q.RegisterWithErrorFunc(ctx, f, failed)
		if !crossed(err) {
			return err
		}
		if err := q.unbind(); err != nil {
			return err
		}
	}
	return q.q.RegisterWithErrorFunc(ctx, f, failed)
}

// crossed reports whether an answer was missed since a packet came first.
func crossed(err error) bool {
	var op *netlink.OpError
	return errors.As(err, &op) && op.Op == "validate" || errors.Is(err, nfqueue.ErrUnexpMsg)
}

// unbind lets go of the queue; the kernel drops what waits in it, and TCP tries again.
func (q *Queue) unbind() error {
	attrs, err := netlink.MarshalAttributes([]netlink.Attribute{{Type: configCommand, Data: []byte{commandUnbind, 0, 0, 0}}})
	if err != nil {
		return err
	}
	head := binary.BigEndian.AppendUint16([]byte{unix.AF_UNSPEC, unix.NFNETLINK_V0}, q.num)
	_, err = q.q.Con.Send(netlink.Message{
		Header: netlink.Header{Type: messageConfig, Flags: netlink.Request | netlink.Acknowledge},
		Data:   append(head, attrs...),
	})
	if err != nil {
		return fmt.Errorf("let go of queue %d: %w", q.num, err)
	}
	for {
		if err := q.q.Con.SetReadDeadline(time.Now().Add(quietAfter)); err != nil {
			return err
		}
		if _, err := q.q.Con.Receive(); errors.Is(err, os.ErrDeadlineExceeded) {
			return q.q.Con.SetReadDeadline(time.Time{})
		}
	}
}
