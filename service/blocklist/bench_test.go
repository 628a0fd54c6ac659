package blocklist

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"sekisho/app/flow"
)

// BenchmarkBook takes in a list of a million names and one of a million networks, as
// text, until both are in use, and then asks for flows to a name and an address.
func BenchmarkBook(b *testing.B) {
	var names, networks strings.Builder
	for i := range 1_000_000 {
		fmt.Fprintf(&names, "0.0.0.0 host%d.listed-%d.example.com\n", i, i*7919%1_000_003)
		u := uint32(i) * 2654435761
		fmt.Fprintf(&networks, "%d.%d.%d.%d\n", 11+u>>24%100, u>>16&255, u>>8&255, u&255)
	}
	ctx, stop := context.WithCancel(b.Context())
	book, err := Open(Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- book.Run(ctx) }()
	b.Cleanup(func() {
		stop()
		<-done
		if err := book.Close(); err != nil {
			b.Error(err)
		}
	})
	if err := book.SetLists([]List{fromFile("names"), fromFile("networks")}); err != nil {
		b.Fatal(err)
	}
	b.Run("Import", func(b *testing.B) { // networks are compiled together with the names
		for i := 0; b.Loop(); i++ {
			more := fmt.Sprintf("0.0.0.0 version%d.example.com\n", i)
			if err := book.Import(ctx, "names", strings.NewReader(names.String()+more)); err != nil {
				b.Fatal(err)
			}
			if err := book.Import(ctx, "networks", strings.NewReader(networks.String()+fmt.Sprintf("9.9.9.%d\n", i%256))); err != nil {
				b.Fatal(err)
			}
		}
	})
	miss := Query{Direction: flow.Out, Name: "www.good.example.org", Addr: netip.MustParseAddr("9.1.2.3")}
	hit := Query{Direction: flow.Out, Name: "host77.listed-609763.example.com", Addr: netip.MustParseAddr("9.1.2.3")}
	for name, q := range map[string]Query{"Miss": miss, "Hit": hit} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if f := book.Look(q); (f.Block() != nil) != (name == "Hit") {
					b.Fatalf("%+v", f)
				}
			}
		})
	}
}
