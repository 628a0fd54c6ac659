package bpf

import (
	"testing"
	"unsafe"

	"sekisho/app/flow"
)

// counter counts what it is handed.
type counter struct{ n int }

func (c *counter) Exec(Exec)           { c.n++ }
func (c *counter) Fork(Fork)           { c.n++ }
func (c *counter) Exit(flow.ProcessID) { c.n++ }
func (c *counter) Flow(Flow)           { c.n++ }
func (c *counter) Accepted(Accepted)   { c.n++ }
func (c *counter) Closed(Closed)       { c.n++ }

func raw[T any](v *T, n int) []byte {
	return append([]byte(nil), unsafe.Slice((*byte)(unsafe.Pointer(v)), unsafe.Sizeof(*v))[:n]...)
}

// What an event costs from the ring to those whom it concerns.
func BenchmarkEvent(b *testing.B) {
	f := kernelFlowEvent{Port: 443, Protocol: 6, Verdict: uint8(Allow)}
	f.Head.Kind, f.Head.Tgid = uint32(kernelEventKindEVENT_FLOW), 7
	c := kernelCloseEvent{Cookie: 9}
	c.Head.Kind = uint32(kernelEventKindEVENT_CLOSE)
	x := kernelExecEvent{}
	x.Head.Kind, x.PathLen, x.DirLen, x.NameLen = uint32(kernelEventKindEVENT_EXEC), 13, 18, 12
	for i, s := range "curl\x00bin\x00usr\x00home\x00/usr/bin/curl" {
		x.Names[i] = uint8(s)
	}
	for _, e := range []struct {
		name string
		b    []byte
	}{
		{"flow", raw(&f, int(unsafe.Sizeof(f)))},
		{"close", raw(&c, int(unsafe.Sizeof(c)))},
		{"exec", raw(&x, int(unsafe.Offsetof(x.Names))+30)},
	} {
		b.Run(e.name, func(b *testing.B) {
			var d decoder
			var to counter
			b.ReportAllocs()
			for b.Loop() {
				d.event(e.b, &to)
			}
			if to.n < b.N {
				b.Fatalf("%d of %d events", to.n, b.N)
			}
		})
	}
}
