package bpf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"sekisho/app/flow"
)

// Owner is who used a socket last, as the kernel saw it at the moment of the call.
type Owner struct {
	Process    flow.ProcessID
	Executable flow.Executable
	ExecID     uint32 // which of its executions, for Subjects and process.Exec
	UID        uint32
	Cookie     uint64
	Mismatch   bool // what runs is not what was recorded at exec
	Unknown    bool // nothing was recorded at exec
	Foreign    bool // in another network namespace
	Missing    bool // the socket has no owner that we know
	Kernel     bool // the kernel itself: no program
	Forwarded  bool // another machine or namespace, through this one
}

func fromOwner(o *kernelOwner) Owner {
	f := kernelOwnerFlag(o.Flags)
	return Owner{
		Process: flow.ProcessID{PID: o.Tgid, Start: o.Start}, Executable: fromExecutable(o.Exe),
		ExecID: o.ExecId, UID: o.Uid, Cookie: o.Cookie,
		Mismatch: f&kernelOwnerFlagOWNER_MISMATCH != 0, Unknown: f&kernelOwnerFlagOWNER_UNKNOWN != 0,
		Foreign: f&kernelOwnerFlagOWNER_FOREIGN != 0, Missing: f&kernelOwnerFlagOWNER_MISSING != 0,
		Kernel: f&kernelOwnerFlagOWNER_KERNEL != 0, Forwarded: f&kernelOwnerFlagOWNER_FORWARDED != 0,
	}
}

// OwnerOfPacket finds who sent a held packet, given from its network header on: the
// classifier left the owner under the packet's own first bytes.
func (k *Kernel) OwnerOfPacket(packet []byte) (Owner, bool) {
	h := head(packet)
	var held kernelHeldPacket
	if err := k.objs.Held.Lookup(&h, &held); err != nil {
		return Owner{}, false
	}
	// Packets come in the order in which they were held.
	if err := k.objs.ReadUntil.Put(uint32(0), held.When); err != nil {
		return Owner{}, false
	}
	return fromOwner(&held.Owner), true
}

// OwnerOfSocket finds whose the socket with this cookie is; false if it is not under our eye.
func (k *Kernel) OwnerOfSocket(cookie uint64) (Owner, bool) {
	var s kernelSocketState
	if err := k.objs.Sockets.Lookup(cookie, &s); err != nil {
		return Owner{}, false
	}
	return fromOwner(&s.Owner), true
}

// Traffic is what went between the socket with this cookie and a peer so far, by the
// remote end's port; false if the socket is gone and no such conversation is left of it.
func (k *Kernel) Traffic(cookie uint64, p Peer) (flow.Traffic, bool) {
	key := conversationKey(cookie, p)
	var s kernelSocketState
	open := k.objs.Sockets.Lookup(cookie, &s) == nil
	if open && s.First.Address == key.Address && s.First.Port == key.Port && s.First.Protocol == key.Protocol {
		return fromConversation(&s.First), true
	}
	var c kernelConversation
	if (!open || s.Flags&uint32(kernelSocketFlagSOCKET_SEVERAL) != 0) && k.objs.Conversations.Lookup(&key, &c) == nil {
		return fromConversation(&c), true
	}
	return flow.Traffic{}, open
}

// letGoFor is how long a packet may take from its verdict to its socket or out.
const letGoFor = time.Second

// LetGo tells the kernel that a packet of this socket that is about to leave the queue may
// go its way, even if nothing else is known of it there.
func (k *Kernel) LetGo(cookie uint64, p Peer) error {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
		return err
	}
	key := conversationKey(cookie, p)
	if err := k.objs.LetGo.Put(&key, uint64(now.Nano())+uint64(letGoFor)); err != nil {
		return fmt.Errorf("let a packet go: %w", err)
	}
	return nil
}

// LetThrough tells the kernel that a TCP connection between others may begin: once, as
// somebody answered, or else as long as decisions say so.
func (k *Kernel) LetThrough(from, to netip.AddrPort, once bool) error {
	key := kernelPassageKey{
		Address: to.Addr().As16(), Source: from.Addr().As16(), Port: to.Port(), SourcePort: from.Port(),
		Protocol: uint8(flow.TCP), Verdict: uint8(Allow),
	}
	if once {
		key.Verdict = uint8(Ask)
	}
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
		return err
	}
	if err := k.objs.Passages.Put(&key, uint64(now.Nano())); err != nil {
		return fmt.Errorf("let a connection through: %w", err)
	}
	return nil
}

// ForgetPeers clears the conversations of a socket that is gone.
func (k *Kernel) ForgetPeers(cookie uint64, peers []Peer) error {
	for _, p := range peers {
		key := conversationKey(cookie, p)
		if err := k.objs.Conversations.Delete(&key); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("forget a conversation: %w", err)
		}
	}
	return nil
}

func conversationKey(cookie uint64, p Peer) kernelConversationKey {
	k := kernelConversationKey{Cookie: cookie, Port: p.Port, Protocol: uint8(p.Protocol)}
	if p.Addr.IsValid() {
		k.Address = p.Addr.As16()
	}
	return k
}

func fromConversation(c *kernelConversation) flow.Traffic {
	return flow.Traffic{
		Bytes:   flow.Bytes{Sent: c.Sent, Received: c.Received},
		Packets: flow.Packets{Sent: c.PacketsSent, Received: c.PacketsReceived},
	}
}

// Asker is who looks a name up.
type Asker struct {
	Owner
	Seq uint32 // of TCP: the sequence number with which it began
}

// AskerOver finds who sent the name lookup over UDP that an answer with this id belongs to.
func (k *Kernel) AskerOver(client, server netip.AddrPort, id uint16) (Asker, bool) {
	// The id is kept as it is on the wire.
	return k.asker(flow.UDP, client, server, binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, id)))
}

// AskerBehind finds who made a connection to a name server.
func (k *Kernel) AskerBehind(client, server netip.AddrPort) (Asker, bool) {
	return k.asker(flow.TCP, client, server, 0)
}

func (k *Kernel) asker(p flow.Protocol, client, server netip.AddrPort, id uint16) (Asker, bool) {
	q := kernelQuery{Server: server.Addr().As16(), Client: client.Addr().As16(), ClientPort: client.Port(), Protocol: uint8(p), Id: id}
	var a kernelAsker
	if err := k.objs.Queries.Lookup(&q, &a); err != nil {
		return Asker{}, false
	}
	return Asker{fromOwner(&a.Owner), a.Seq}, true
}

// head makes the key under which the classifier keeps a packet's owner: its first 64
// bytes without the transport checksum, as in c/classifier.h.
func head(p []byte) kernelHead {
	var h kernelHead
	n := copy(h.Bytes[:], p)
	if n < 20 {
		return h
	}
	proto, off := Transport(p)
	sum := 0
	switch proto {
	case flow.TCP:
		sum = off + 16
	case flow.UDP, flow.UDPLite:
		sum = off + 6
	}
	if off > 0 && sum > 0 && sum < len(h.Bytes)-1 {
		h.Bytes[sum], h.Bytes[sum+1] = 0, 0
	}
	return h
}

// Transport finds the protocol of an IP packet and the offset of its transport header; 0
// where there is none. It reads the same extension headers as c/packet.h.
func Transport(p []byte) (flow.Protocol, int) {
	if len(p) < 20 {
		return 0, 0
	}
	if p[0]>>4 == 4 {
		if binary.BigEndian.Uint16(p[6:])&0x1fff != 0 {
			return flow.Protocol(p[9]), 0
		}
		return flow.Protocol(p[9]), int(p[0]&15) * 4
	}
	if len(p) < 40 {
		return 0, 0
	}
	next, off := p[6], 40
	for range 8 {
		if next != 0 && next != 43 && next != 44 && next != 51 && next != 60 || off+4 > len(p) {
			break
		}
		size := (int(p[off+1]) + 1) * 8
		switch next {
		case 44:
			if binary.BigEndian.Uint16(p[off+2:])&0xfff8 != 0 {
				return flow.Protocol(p[off]), 0
			}
			size = 8
		case 51:
			size = (int(p[off+1]) + 2) * 4
		}
		next, off = p[off], off+size
	}
	return flow.Protocol(next), off
}
