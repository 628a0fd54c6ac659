package main

import (
	"net/netip"
	"runtime"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Numbers of linux/io_uring.h.
const (
	opSendmsg = 9
	opConnect = 16
	opSend    = 26
	opSocket  = 45
	opSendZC  = 47

	ringPoll   = 2 // a thread of the kernel takes what is submitted
	sqeAsync   = 16
	enterWait  = 1
	enterWake  = 2
	needWakeup = 1
	offEntries = 0x10000000
)

var _ = add(map[string]call{
	"ring-tcp":           ringTCP(0, 0),
	"ring-tcp-async":     ringTCP(0, sqeAsync),
	"ring-tcp-poll":      ringTCP(ringPoll, 0),
	"ring-send":          ringUDP(opSend, 0, 0),
	"ring-send-async":    ringUDP(opSend, 0, sqeAsync),
	"ring-send-poll":     ringUDP(opSend, ringPoll, 0),
	"ring-sendmsg":       ringUDP(opSendmsg, 0, 0),
	"ring-sendmsg-async": ringUDP(opSendmsg, 0, sqeAsync),
	"ring-sendmsg-poll":  ringUDP(opSendmsg, ringPoll, 0),
	"ring-sendzc":        ringUDP(opSendZC, 0, 0),
})

// params is struct io_uring_params.
type params struct {
	sqEntries, cqEntries, flags, cpu, idle, features, workers uint32
	_                                                         [3]uint32
	sq                                                        struct{ head, tail, mask, entries, flags, dropped, array, _, _, _ uint32 }
	cq                                                        struct{ head, tail, mask, entries, overflow, cqes, flags, _, _, _ uint32 }
}

// entry is struct io_uring_sqe.
type entry struct {
	op, flags  byte
	_          uint16
	fd         int32
	off, addr  uint64
	len, extra uint32
	user       uint64
	_, _       uint16
	addrLen    uint32
	_          [2]uint64
}

type completion struct {
	user   uint64
	result int32
	flags  uint32
}

type ring struct {
	fd      int
	p       params
	shared  []byte
	entries []byte
}

func newRing(flags uint32) (*ring, error) {
	r := &ring{p: params{flags: flags, idle: 1000}}
	fd, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, 8, uintptr(unsafe.Pointer(&r.p)), 0)
	if errno != 0 {
		return nil, at("ring", errno)
	}
	r.fd = int(fd)
	size := max(r.p.sq.array+4*r.p.sqEntries, r.p.cq.cqes+16*r.p.cqEntries)
	var err error
	if r.shared, err = unix.Mmap(r.fd, 0, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE); err != nil {
		return nil, at("ring", err)
	}
	r.entries, err = unix.Mmap(r.fd, offEntries, int(64*r.p.sqEntries), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
	return r, at("ring", err)
}

func (r *ring) word(off uint32) *uint32 { return (*uint32)(unsafe.Pointer(&r.shared[off])) }

// do submits one entry, waits for it and returns its result.
func (r *ring) do(e entry) (int32, error) {
	tail := *r.word(r.p.sq.tail)
	i := tail & *r.word(r.p.sq.mask)
	*(*entry)(unsafe.Pointer(&r.entries[64*i])) = e
	*r.word(r.p.sq.array + 4*i) = i
	atomic.StoreUint32(r.word(r.p.sq.tail), tail+1)
	submit, flags := uintptr(1), uintptr(enterWait)
	if r.p.flags&ringPoll != 0 {
		submit = 0
		if atomic.LoadUint32(r.word(r.p.sq.flags))&needWakeup != 0 {
			flags |= enterWake
		}
	}
	for {
		head := *r.word(r.p.cq.head)
		if atomic.LoadUint32(r.word(r.p.cq.tail)) != head {
			c := *(*completion)(unsafe.Pointer(&r.shared[r.p.cq.cqes+16*(head&*r.word(r.p.cq.mask))]))
			atomic.StoreUint32(r.word(r.p.cq.head), head+1)
			if c.result < 0 {
				return 0, unix.Errno(-c.result)
			}
			return c.result, nil
		}
		_, _, errno := unix.Syscall6(unix.SYS_IO_URING_ENTER, uintptr(r.fd), submit, 1, flags, 0, 0)
		if errno != 0 && errno != unix.EINTR {
			return 0, errno
		}
		submit = 0
	}
}

func address(b []byte) uint64 { return uint64(uintptr(unsafe.Pointer(unsafe.SliceData(b)))) }

// ringTCP makes even the socket by the ring.
func ringTCP(setup uint32, flags byte) call {
	return func(o options, to []netip.AddrPort) error {
		return each(to, func(a netip.AddrPort) error {
			r, err := newRing(setup)
			if err != nil {
				return err
			}
			name := rawSockaddr(a)
			family := unix.AF_INET
			if a.Addr().Is6() {
				family = unix.AF_INET6
			}
			fd, err := r.do(entry{op: opSocket, flags: flags, fd: int32(family), off: unix.SOCK_STREAM})
			if err != nil {
				return at("socket", err)
			}
			if err := o.prepare(int(fd), family); err != nil {
				return at("options", err)
			}
			if _, err = r.do(entry{op: opConnect, flags: flags, fd: fd, addr: address(name), off: uint64(len(name))}); err != nil {
				return at("connect", err)
			}
			_, err = r.do(entry{op: opSend, flags: flags, fd: fd, addr: address(o.payload), len: uint32(len(o.payload)), extra: unix.MSG_NOSIGNAL})
			runtime.KeepAlive(name)
			if err != nil {
				return at("send", err)
			}
			return echoed(int(fd))
		})
	}
}

// ringUDP sends datagrams without connect().
func ringUDP(op byte, setup uint32, flags byte) call {
	return func(o options, to []netip.AddrPort) error {
		r, err := newRing(setup)
		if err != nil {
			return err
		}
		fd, err := o.open(to[0].Addr(), unix.SOCK_DGRAM, 0)
		if err != nil {
			return err
		}
		return each(to, func(a netip.AddrPort) error {
			m, name := message(o.payload, a)
			e := entry{op: op, flags: flags, fd: int32(fd), addr: address(o.payload), len: uint32(len(o.payload)), off: address(name), addrLen: uint32(len(name))}
			if op == opSendmsg {
				e = entry{op: op, flags: flags, fd: int32(fd), addr: uint64(uintptr(unsafe.Pointer(m))), len: 1}
			}
			_, err := r.do(e)
			runtime.KeepAlive(m)
			runtime.KeepAlive(name)
			return at("send", err)
		})
	}
}
