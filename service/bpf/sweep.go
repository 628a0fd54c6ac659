package bpf

import (
	"errors"

	"github.com/cilium/ebpf"

	"sekisho/app/flow"
)

// Sweep forgets the sockets that are gone without having told: a TCP connection that its
// program closed and that then died without a last segment, one that ended before its
// program accepted it, or one that the kernel made for itself or for MPTCP. Of the rest the
// kernel tells the end. open reports whether a socket still exists, by its cookie.
func (k *Kernel) Sweep(open func(cookie uint64) bool, closed func(Closed)) error {
	var gone []Closed
	ports := map[uint64]kernelListenerKey{} // by cookie
	err := walk(k.objs.Sockets, func(cookie *uint64, s *kernelSocketState) {
		if !endsQuietly(s) || open(*cookie) {
			return
		}
		if s.Port != 0 {
			ports[*cookie] = kernelListenerKey{Port: s.Port, Protocol: s.Protocol}
		}
		t := fromConversation(&s.First)
		gone = append(gone, Closed{Cookie: *cookie, Bytes: t.Bytes, Packets: t.Packets, Several: s.Flags&uint32(kernelSocketFlagSOCKET_SEVERAL) != 0})
	})
	for _, c := range gone {
		if k.objs.Sockets.Delete(c.Cookie) != nil {
			continue // its end was told meanwhile
		}
		closed(c)
		var l kernelListener
		p, listens := ports[c.Cookie]
		if !listens || k.objs.Listeners.Lookup(&p, &l) != nil {
			continue
		}
		if l.Count--; l.Count == 0 {
			_ = k.objs.Listeners.Delete(&p)
		} else {
			_ = k.objs.Listeners.Put(&p, &l)
		}
	}
	return errors.Join(err, k.sweepConversations())
}

// endsQuietly reports whether no hook may see the socket's end. Who forgets one that is
// there lets everything in to it.
func endsQuietly(s *kernelSocketState) bool {
	const quiet = uint32(kernelSocketFlagSOCKET_RELEASED | kernelSocketFlagSOCKET_INNER)
	accepted := s.First.Direction == uint8(kernelDirectionIN) && flow.Protocol(s.First.Protocol) == flow.TCP
	return accepted || s.Flags&quiet != 0
}

// sweepConversations forgets those of sockets that are gone, which nobody was told of.
func (k *Kernel) sweepConversations() error {
	var gone []kernelConversationKey
	err := walk(k.objs.Conversations, func(key *kernelConversationKey, _ *kernelConversation) {
		if _, there := k.OwnerOfSocket(key.Cookie); !there {
			gone = append(gone, *key)
		}
	})
	errs := []error{err}
	for _, key := range gone {
		if err := k.objs.Conversations.Delete(&key); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
