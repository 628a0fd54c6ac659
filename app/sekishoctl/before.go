package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// sure asks a person at the terminal whether to go on; scripts know what they do.
func (c *ctl) sure(ctx context.Context, question string) error {
	if !isTerminal(c.in) {
		return nil
	}
	in := newLines(c.in)
	if _, err := in.take(); err != nil {
		return err
	}
	fmt.Fprintf(c.err, "%s [y/N] ", question)
	text, err := in.line(ctx)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	switch strings.ToLower(strings.TrimSpace(text)) {
	case "y", "yes":
		return nil
	}
	fmt.Fprintln(c.err, "Nothing was changed.")
	return &exitError{exitFailed}
}

// keepBefore writes what is about to be replaced to a new file beside the one that
// replaces it, or among the temporary ones if that folder takes none, and gives its path.
func keepBefore(file, suffix string, write func(*os.File) error) (string, error) {
	dir := "."
	if file != "-" {
		dir = filepath.Dir(file)
	}
	if unix.Access(dir, unix.W_OK) != nil {
		dir = os.TempDir()
	}
	stem := filepath.Join(dir, "sekisho-before-"+time.Now().Format("20060102-150405"))
	path := stem + suffix
	for n := 2; ; n++ {
		if _, err := os.Lstat(path); err != nil {
			break
		}
		path = fmt.Sprintf("%s-%d%s", stem, n, suffix)
	}
	return path, writeWhole(path, write)
}
