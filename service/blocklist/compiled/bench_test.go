package compiled

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"testing"

	"sekisho/service/blocklist/format"
)

const million = 1_000_000

// millionName gives the i-th of names as long as those of real lists.
func millionName(i int) string {
	r := rand.New(rand.NewPCG(uint64(i), 1))
	b := make([]byte, 6+r.IntN(10))
	for j := range b {
		b[j] = "abcdefghijklmnopqrstuvwxyz"[r.IntN(26)]
	}
	return fmt.Sprintf("%s%d.%s", b, i, []string{"com", "net", "example.org", "co.uk", "top"}[r.IntN(5)])
}

// millionNetwork gives the i-th network: three of four IPv4, some nested.
func millionNetwork(i int) netip.Prefix {
	r := rand.New(rand.NewPCG(uint64(i), 2))
	if i%4 == 3 {
		a := [16]byte{0x2a, byte(r.IntN(16))}
		for j := 2; j < 8; j++ {
			a[j] = byte(r.Uint32())
		}
		return netip.PrefixFrom(netip.AddrFrom16(a), 32+r.IntN(33)).Masked()
	}
	u := r.Uint32()
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(u >> 24), byte(u >> 16), byte(u >> 8), byte(u)}), []int{32, 32, 32, 24, 20}[r.IntN(5)]).Masked()
}

func buildMillion(b *testing.B, path string) {
	w := NewBuilder(path)
	defer w.Close()
	if err := w.List("names"); err != nil {
		b.Fatal(err)
	}
	for i := range million {
		if err := w.Add(format.Entry{Name: millionName(i), Exact: true, Below: true}); err != nil {
			b.Fatal(err)
		}
	}
	if err := w.List("networks"); err != nil {
		b.Fatal(err)
	}
	for i := range million {
		if err := w.Add(format.Entry{Network: millionNetwork(i)}); err != nil {
			b.Fatal(err)
		}
	}
	if err := w.Build(context.Background(), [32]byte{}); err != nil {
		b.Fatal(err)
	}
}

// memory gives the resident set and its highest value so far, in MiB.
func memory(b *testing.B) (now, peak float64) {
	debug.FreeOSMemory()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Fatal(err)
	}
	field := func(name string) float64 {
		_, rest, _ := bytes.Cut(text, []byte(name+":"))
		f := bytes.Fields(rest)
		n, err := strconv.Atoi(string(f[0]))
		if err != nil {
			b.Fatal(err)
		}
		return float64(n) / 1024
	}
	return field("VmRSS"), field("VmHWM")
}

// BenchmarkMillion compiles a million names and a million networks, opens the file and
// looks all of it up, so that every page of it is mapped. rss-MiB is what the process
// grew by, peak-MiB by how much at most.
func BenchmarkMillion(b *testing.B) {
	path := filepath.Join(b.TempDir(), "compiled")
	before, _ := memory(b)
	b.Run("Compile", func(b *testing.B) {
		for b.Loop() {
			buildMillion(b, path)
		}
		_, peak := memory(b)
		b.ReportMetric(peak-before, "peak-MiB")
	})
	f, err := Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Release()
	b.Run("Open", func(b *testing.B) {
		for b.Loop() {
			g, err := Open(path)
			if err != nil {
				b.Fatal(err)
			}
			g.Release()
		}
	})
	for i := range million {
		if len(f.AppendName(nil, millionName(i))) != 1 || len(f.AppendAddr(nil, millionNetwork(i).Addr())) != 1 {
			b.Fatalf("%s or %s isn't found", millionName(i), millionNetwork(i))
		}
	}
	b.Run("RSS", func(b *testing.B) { // its time means nothing
		after, _ := memory(b)
		info, err := os.Stat(path)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(after-before, "rss-MiB")
		b.ReportMetric(float64(info.Size())/(1<<20), "file-MiB")
	})
	lookups(b, f)
}

func lookups(b *testing.B, f *File) {
	const n = 1 << 16
	var hits, misses []string
	var inside, outside []netip.Addr
	for i := range n {
		hits = append(hits, "www."+millionName(i*15))
		misses = append(misses, "www.cdn"+millionName(i+2*million))
		inside = append(inside, millionNetwork(i*15).Addr())
		for j := i + 2*million; ; j += n {
			if a := millionNetwork(j).Addr(); len(f.AppendAddr(nil, a)) == 0 {
				outside = append(outside, a)
				break
			}
		}
	}
	var buf [8]Match
	for _, c := range []struct {
		name string
		want int
		ask  func(i int) []Match
	}{
		{"NameMiss", 0, func(i int) []Match { return f.AppendName(buf[:0], misses[i]) }},
		{"NameHit", 1, func(i int) []Match { return f.AppendName(buf[:0], hits[i]) }},
		{"AddrMiss", 0, func(i int) []Match { return f.AppendAddr(buf[:0], outside[i]) }},
		{"AddrHit", 1, func(i int) []Match { return f.AppendAddr(buf[:0], inside[i]) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if len(c.ask(i%n)) != c.want {
					b.Fatal(i)
				}
			}
		})
	}
}
