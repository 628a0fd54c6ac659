package bpf

import (
	"slices"
	"testing"

	"sekisho/app/flow"
)

// Sweep is told of few protocols, and of one network namespace: what it can't see it must
// not take to be gone, or whatever comes to that socket would pass.
func TestSweepLeavesWhatTellsItsEnd(t *testing.T) {
	k := load(t)
	in := func(p flow.Protocol) kernelConversation {
		return kernelConversation{Direction: uint8(kernelDirectionIN), Protocol: uint8(p), Port: 1}
	}
	used := uint32(kernelSocketFlagSOCKET_USED)
	sockets := map[uint64]kernelSocketState{
		1: {Flags: used, First: in(flow.UDP)},
		2: {Flags: used, First: in(flow.UDPLite)},
		3: {Flags: used, First: in(flow.TCP)}, // nobody accepted it
		4: {Flags: used},
		5: {Flags: used | uint32(kernelSocketFlagSOCKET_RELEASED), First: kernelConversation{Protocol: uint8(flow.TCP)}},
		6: {Flags: used | uint32(kernelSocketFlagSOCKET_INNER)},
	}
	for cookie, s := range sockets {
		if err := k.objs.Sockets.Put(cookie, &s); err != nil {
			t.Fatal(err)
		}
	}
	var gone []uint64
	err := k.Sweep(func(uint64) bool { return false }, func(c Closed) { gone = append(gone, c.Cookie) })
	slices.Sort(gone)
	if err != nil || !slices.Equal(gone, []uint64{3, 5, 6}) {
		t.Errorf("forgot %v, %v", gone, err)
	}
	for _, cookie := range []uint64{1, 2, 4} {
		if _, there := k.OwnerOfSocket(cookie); !there {
			t.Errorf("socket %d is forgotten", cookie)
		}
	}
}
