// Count reads what go test -json prints and shows what go test would: failures in full
// and a line for each package. It closes with the number of tests, and fails if one
// failed or, in CI, was skipped.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

type event struct {
	Action     string
	Package    string
	ImportPath string
	Test       string
	Output     string
}

type tally struct {
	passed, failed int
	skipped        []string
	output         map[string]*strings.Builder // of each test and package that is not done
	failedPackages int
}

func main() {
	t := &tally{output: map[string]*strings.Builder{}}
	lines := bufio.NewReader(os.Stdin)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			t.read(line)
		}
		if err != nil {
			break
		}
	}
	os.Exit(t.close())
}

func (t *tally) read(line string) {
	var e event
	if json.Unmarshal([]byte(line), &e) != nil {
		fmt.Print(line)
		return
	}
	name := e.Package + " " + e.Test
	switch e.Action {
	case "output":
		if e.Test == "" && (strings.HasPrefix(e.Output, "ok ") || strings.HasPrefix(e.Output, "FAIL\t") || strings.HasPrefix(e.Output, "ok\t")) {
			fmt.Print(e.Output)
			return
		}
		if t.output[name] == nil {
			t.output[name] = &strings.Builder{}
		}
		t.output[name].WriteString(e.Output)
		return
	case "build-output":
		fmt.Print(e.Output)
		return
	case "build-fail":
		return // the package's own failure follows
	case "pass":
		if e.Test != "" {
			t.passed++
		}
	case "skip":
		if e.Test != "" {
			t.skipped = append(t.skipped, name)
		}
	case "fail":
		if e.Test != "" {
			t.failed++
		} else {
			t.failedPackages++
		}
		t.show(name)
		return
	default:
		return
	}
	delete(t.output, name)
}

func (t *tally) show(name string) {
	if b := t.output[name]; b != nil {
		fmt.Print(b.String())
		delete(t.output, name)
	}
}

// close prints the counts and returns the exit code.
func (t *tally) close() int {
	// What was cut off by a crash has no last word of its own.
	for name := range t.output {
		if t.failedPackages > 0 && !strings.HasSuffix(name, " ") {
			fmt.Printf("--- not finished: %s\n", name)
			t.show(name)
		}
	}
	for _, name := range t.skipped {
		fmt.Println("skipped:", name)
	}
	fmt.Printf("%d passed, %d failed, %d skipped\n", t.passed, t.failed, len(t.skipped))
	switch {
	case t.failed > 0 || t.failedPackages > 0:
		if t.failed == 0 {
			fmt.Printf("%d packages failed\n", t.failedPackages)
		}
		return 1
	case t.passed == 0:
		fmt.Println("no test ran")
		return 1
	case len(t.skipped) > 0 && os.Getenv("CI") == "true":
		fmt.Println("a test that is skipped in CI is a failure")
		return 1
	}
	return 0
}
