package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
)

// benchmark is one result of go test -bench.
type benchmark struct {
	Package string             `json:"package"`
	Name    string             `json:"name"` // without "Benchmark" and the number of processors
	Times   int                `json:"times"`
	Figures map[string]float64 `json:"figures"` // by unit, such as ns/op
}

var processors = regexp.MustCompile(`-\d+$`)

// readBenchmarks reads what go test -bench printed. Lines that are no results are left
// out; a failed package is an error, and so is no result at all.
func readBenchmarks(in io.Reader) ([]benchmark, error) {
	var all []benchmark
	pkg := ""
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		line := lines.Text()
		if p, ok := strings.CutPrefix(line, "pkg: "); ok {
			pkg = p
			continue
		}
		if strings.HasPrefix(line, "FAIL") || strings.HasPrefix(line, "--- FAIL") {
			return nil, fmt.Errorf("a benchmark failed: %s", line)
		}
		b, ok, err := parseBenchmark(line)
		if err != nil {
			return nil, err
		}
		if ok {
			b.Package = pkg
			all = append(all, b)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, errors.New("no benchmark in it")
	}
	return all, nil
}

// parseBenchmark reads a line: the name, how often it ran, and pairs of number and unit.
func parseBenchmark(line string) (benchmark, bool, error) {
	name, ok := strings.CutPrefix(line, "Benchmark")
	field := strings.Fields(name)
	if !ok || len(field) < 4 || len(field)%2 != 0 {
		return benchmark{}, false, nil // a name alone precedes what the benchmark logs
	}
	b := benchmark{Name: processors.ReplaceAllString(field[0], ""), Figures: map[string]float64{}}
	var err error
	if b.Times, err = strconv.Atoi(field[1]); err != nil {
		return b, false, fmt.Errorf("read %q: %w", line, err)
	}
	for i := 2; i < len(field); i += 2 {
		if b.Figures[field[i+1]], err = strconv.ParseFloat(field[i], 64); err != nil {
			return b, false, fmt.Errorf("read %q: %w", line, err)
		}
	}
	return b, true, nil
}
