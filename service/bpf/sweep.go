package bpf

// Sweep forgets the sockets that are gone without having told: a TCP connection that its
// program closed and that then died without a last segment. open reports whether a
// socket still exists, by its cookie.
func (k *Kernel) Sweep(open func(cookie uint64) bool, closed func(Closed)) error {
	var cookie uint64
	var s kernelSocketState
	var gone []Closed
	it := k.objs.Sockets.Iterate()
	for it.Next(&cookie, &s) {
		if s.Flags&uint32(kernelSocketFlagSOCKET_RELEASED) == 0 && s.First.Direction == 0 || open(cookie) {
			continue
		}
		t := fromConversation(&s.First)
		gone = append(gone, Closed{Cookie: cookie, Bytes: t.Bytes, Packets: t.Packets, Several: s.Flags&uint32(kernelSocketFlagSOCKET_SEVERAL) != 0})
	}
	for _, c := range gone {
		if k.objs.Sockets.Delete(c.Cookie) == nil {
			closed(c)
		}
	}
	return it.Err()
}
