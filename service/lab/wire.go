package lab

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Wire records every IP packet on a host's link, in both directions. On Remote it
// proves what did, and what did not, leave Home. Its methods may be called from any
// goroutine.
type Wire struct {
	file *os.File
	raw  syscall.RawConn

	mu      sync.Mutex
	buffer  []byte
	packets []Packet
	lost    int
	changed chan struct{} // closed and replaced when packets come
}

// Wire starts to record. It ends with the lab.
func (h *Host) Wire() *Wire {
	h.lab.t.Helper()
	var fd int
	err := h.Do(func() (err error) {
		fd, err = openPacketSocket()
		return err
	})
	if err != nil {
		h.lab.t.Fatalf("record %s: %v", h.Name, err)
	}
	w := &Wire{file: os.NewFile(uintptr(fd), "wire of "+h.Name), buffer: make([]byte, 1<<17), changed: make(chan struct{})}
	if w.raw, err = w.file.SyscallConn(); err != nil {
		h.lab.t.Fatalf("record %s: %v", h.Name, err)
	}
	var running sync.WaitGroup
	running.Go(w.record)
	h.lab.onClose(func() error {
		err := w.file.Close()
		running.Wait()
		return err
	})
	return w
}

func openPacketSocket() (int, error) {
	link, err := net.InterfaceByName(LinkName)
	if err != nil {
		return 0, err
	}
	all := binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, unix.ETH_P_ALL))
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return 0, fmt.Errorf("open packet socket: %w", err)
	}
	err = errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 32<<20),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1),
		unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: link.Index}))
	if err != nil {
		_ = unix.Close(fd)
		return 0, fmt.Errorf("set packet socket up: %w", err)
	}
	return fd, nil
}

func (w *Wire) record() {
	// Read calls back whenever there are packets, until the file is closed.
	_ = w.raw.Read(func(fd uintptr) bool {
		w.drain(int(fd))
		return false
	})
}

// drain takes over all packets that the kernel has.
func (w *Wire) drain(fd int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	before := len(w.packets)
	control := make([]byte, 128)
	for {
		n, m, _, from, err := unix.Recvmsg(fd, w.buffer, control, 0)
		if err != nil {
			break
		}
		// The packet keeps a part of its frame.
		p, ok := parsePacket(append([]byte(nil), w.buffer[:n]...))
		if !ok {
			continue
		}
		p.Time = timestamp(control[:m])
		if ll, ok := from.(*unix.SockaddrLinklayer); ok {
			p.Leaving = ll.Pkttype == unix.PACKET_OUTGOING
		}
		w.packets = append(w.packets, p)
	}
	if s, err := unix.GetsockoptTpacketStats(fd, unix.SOL_PACKET, unix.PACKET_STATISTICS); err == nil {
		w.lost += int(s.Drops)
	}
	if len(w.packets) > before {
		close(w.changed)
		w.changed = make(chan struct{})
	}
}

func timestamp(control []byte) time.Time {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return time.Now()
	}
	for _, m := range messages {
		if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SO_TIMESTAMPNS && len(m.Data) >= 16 {
			return time.Unix(int64(binary.NativeEndian.Uint64(m.Data)), int64(binary.NativeEndian.Uint64(m.Data[8:])))
		}
	}
	return time.Now()
}

// Packets lists the packets until now that match, in order; nil matches all.
func (w *Wire) Packets(match Match) []Packet {
	_ = w.raw.Control(func(fd uintptr) { w.drain(int(fd)) })
	w.mu.Lock()
	defer w.mu.Unlock()
	var found []Packet
	for _, p := range w.packets {
		if match == nil || match(p) {
			found = append(found, p)
		}
	}
	return found
}

// Saw reports whether a packet that matches came until now.
func (w *Wire) Saw(match Match) bool { return len(w.Packets(match)) > 0 }

// Await returns the first packet that matches, which may have come already.
func (w *Wire) Await(ctx context.Context, match Match) (Packet, error) {
	for {
		w.mu.Lock()
		changed := w.changed
		w.mu.Unlock()
		if p := w.Packets(match); len(p) > 0 {
			return p[0], nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return Packet{}, fmt.Errorf("await packet: %w", ctx.Err())
		}
	}
}

// Forget drops what was recorded until now.
func (w *Wire) Forget() {
	_ = w.raw.Control(func(fd uintptr) { w.drain(int(fd)) })
	w.mu.Lock()
	defer w.mu.Unlock()
	w.packets = nil
}

// Lost is the number of packets that came too fast to be recorded; a proof that
// nothing came needs it to be 0.
func (w *Wire) Lost() int {
	_ = w.raw.Control(func(fd uintptr) { w.drain(int(fd)) })
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lost
}
