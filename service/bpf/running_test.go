package bpf

import (
	"testing"

	"sekisho/app/flow"
)

// What listens in another network namespace is not who listens here, and what came in to a
// worker came in, whichever is listed first.
func TestAdopt(t *testing.T) {
	k := load(t)
	const here, container, established = 10, 20, 1
	record := func(cookie uint64, pid uint32, p flow.Protocol, state uint8, local, remote uint16) kernelSocketRecord {
		return kernelSocketRecord{
			Owner: kernelOwner{Tgid: pid, Cookie: cookie}, Protocol: uint8(p), State: state, LocalPort: local, Port: remote,
		}
	}
	all := []kernelSocketRecord{
		record(1, here-1, flow.TCP, established, 22, 5000), // a worker with a lower number
		record(2, here, flow.TCP, tcpListen, 22, 0),
		record(3, here, flow.TCP, established, 80, 5000), // to somebody's port 5000
		record(4, container, flow.TCP, tcpListen, 80, 0),
		record(5, container, flow.UDP, 7, 53, 0),
		record(6, container, flow.TCP, established, 80, 5000),
		record(7, container, flow.TCP, established, 22, 5000),
	}
	err := k.adoptAll(all, func(pid uint32) uint64 {
		if pid == container {
			return 4711
		}
		return 0
	})
	if err != nil {
		t.Fatal(err)
	}
	for cookie, in := range map[uint64]bool{1: true, 3: false, 6: true, 7: false} {
		var s kernelSocketState
		if err := k.objs.Sockets.Lookup(cookie, &s); err != nil || (s.First.Direction == uint8(kernelDirectionIN)) != in {
			t.Errorf("socket %d came in: %v, want %v; %v", cookie, !in, in, err)
		}
	}
	for cookie := uint64(1); cookie <= 7; cookie++ {
		if o, _ := k.OwnerOfSocket(cookie); o.Foreign != (cookie > 3) {
			t.Errorf("socket %d is in another namespace: %v", cookie, o.Foreign)
		}
	}
	for key, want := range map[kernelListenerKey]bool{
		{Port: 22, Protocol: uint8(flow.TCP)}: true,
		{Port: 80, Protocol: uint8(flow.TCP)}: false,
		{Port: 53, Protocol: uint8(flow.UDP)}: false,
	} {
		var l kernelListener
		if there := k.objs.Listeners.Lookup(&key, &l) == nil; there != want {
			t.Errorf("somebody listens on port %d here: %v", key.Port, there)
		}
	}
}
