// Spawn is a program for tests: it starts many short-lived programs, each with a
// source port of its own, and prints which process had which port, one JSON object a
// line. The words {port} in the program's arguments stand for that port.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
)

// child is a line of output.
type child struct {
	PID    int  `json:"pid"`
	Port   int  `json:"port"`
	Exited bool `json:"exited"` // with 0
}

func main() {
	count := flag.Int("count", 1, "how many programs")
	parallel := flag.Int("parallel", 8, "how many at once")
	base := flag.Int("base", 20000, "source port of the first; the next has the next")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: spawn [flags] PROGRAM [ARGUMENT…]")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() == 0 || *parallel < 1 {
		flag.Usage()
		os.Exit(2)
	}
	children, err := spawn(flag.Args(), *count, *parallel, *base)
	out := json.NewEncoder(os.Stdout)
	for _, c := range children {
		if err := out.Encode(c); err != nil {
			os.Exit(1)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "spawn:", err)
		os.Exit(1)
	}
}

// spawn starts the programs, at most parallel at a time, and waits for all of them.
func spawn(args []string, count, parallel, base int) ([]child, error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	children := make([]child, count)
	turns := make(chan struct{}, parallel)
	var running sync.WaitGroup
	for i := range children {
		turns <- struct{}{}
		port := base + i
		own := make([]string, len(args))
		for k, a := range args {
			own[k] = strings.ReplaceAll(a, "{port}", strconv.Itoa(port))
		}
		p, startErr := os.StartProcess(own[0], own, &os.ProcAttr{Files: []*os.File{null, null, os.Stderr}})
		if startErr != nil {
			err = startErr
			<-turns
			continue
		}
		children[i] = child{PID: p.Pid, Port: port}
		running.Go(func() {
			state, waitErr := p.Wait()
			children[i].Exited = waitErr == nil && state.Success()
			<-turns
		})
	}
	running.Wait()
	return children, err
}
