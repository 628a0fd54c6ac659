// Fetch is a program for tests: it fetches a file over HTTP and saves it, as browsers and
// downloaders do, and prints what became of that as connect does.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// result is the part of connect's output that fits.
type result struct {
	PID   int    `json:"pid"`
	OK    bool   `json:"ok"`
	Stage string `json:"stage,omitempty"` // where it failed: receive, save
	Error string `json:"error,omitempty"`
}

func main() {
	timeout := flag.Duration("timeout", 150*time.Second, "give up after this long")
	flag.Parse()
	if flag.NArg() != 2 {
		fmt.Fprintln(os.Stderr, "usage: fetch [-timeout SPAN] URL FILE")
		os.Exit(2)
	}
	r := result{PID: os.Getpid()}
	body, err := receive(flag.Arg(0), *timeout)
	if err != nil {
		r.Stage, r.Error = "receive", err.Error()
	} else if err := os.WriteFile(flag.Arg(1), body, 0o755); err != nil {
		r.Stage, r.Error = "save", err.Error()
	}
	r.OK = r.Stage == ""
	if err := json.NewEncoder(os.Stdout).Encode(r); err != nil || !r.OK {
		os.Exit(1)
	}
}

func receive(url string, timeout time.Duration) ([]byte, error) {
	client := http.Client{Timeout: timeout, Transport: &http.Transport{}} // no proxy
	reply, err := client.Get(url)
	if err != nil {
		return nil, err
	}
	defer reply.Body.Close()
	if reply.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", url, reply.Status)
	}
	return io.ReadAll(io.LimitReader(reply.Body, 64<<20))
}
