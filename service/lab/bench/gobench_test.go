package main

import (
	"reflect"
	"strings"
	"testing"
)

func TestReadBenchmarks(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     []benchmark
		err      string
	}{
		{name: "two packages", in: `goos: linux
goarch: amd64
pkg: sekisho/app/rule
cpu: AMD EPYC
BenchmarkDecide/10000-2         	 1000000	       412.5 ns/op	      16 B/op	       1 allocs/op
PASS
ok  	sekisho/app/rule	1.2s
?   	sekisho/app/flow	[no test files]
pkg: sekisho/store
BenchmarkPutRule 	     100	   1200000 ns/op
BenchmarkOpen10000-2
    store_test.go:10: opened
BenchmarkOpen10000-2	       3	  34 ns/op	 7.5 rules/s
PASS
`, want: []benchmark{
			{"sekisho/app/rule", "Decide/10000", 1_000_000, map[string]float64{"ns/op": 412.5, "B/op": 16, "allocs/op": 1}},
			{"sekisho/store", "PutRule", 100, map[string]float64{"ns/op": 1.2e6}},
			{"sekisho/store", "Open10000", 3, map[string]float64{"ns/op": 34, "rules/s": 7.5}},
		}},
		{name: "nothing", in: "PASS\nok  \tsekisho/app/rule\t0.1s\n", err: "no benchmark in it"},
		{name: "failed", in: "pkg: sekisho/store\nBenchmarkA-2 1 5 ns/op\n--- FAIL: BenchmarkB\nFAIL\n", err: "a benchmark failed: --- FAIL: BenchmarkB"},
		{name: "not a count", in: "BenchmarkA-2 many 5 ns/op\n", err: "many"},
		{name: "not a figure", in: "BenchmarkA-2 5 many ns/op\n", err: "many"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := readBenchmarks(strings.NewReader(c.in))
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Fatalf("error %v, want %q", err, c.err)
				}
				return
			}
			if err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("%+v, %v; want %+v", got, err, c.want)
			}
		})
	}
}
