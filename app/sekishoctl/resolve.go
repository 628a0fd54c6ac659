package main

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"sekisho/app/flow"
)

// program gives the path that the kernel will know a program by: absolute and without
// symbolic links; a bare name is looked for in PATH, as a shell does. It says so when
// that is another than was given. A path where no program is (yet) is allowed, with a
// warning.
func (c *ctl) program(given string) (string, error) {
	if given == flow.KernelPath || given == flow.ForwardedPath {
		return given, nil // no file
	}
	path := given
	if !strings.Contains(path, "/") {
		var err error
		if path, err = exec.LookPath(given); err != nil {
			return "", usagef("there is no program %s in PATH; give its path, such as /usr/bin/%s or ./%s", given, given, given)
		}
	}
	path, err := c.resolve(given, path)
	if err == nil && isScript(path) {
		c.complain("warning: %s is a script, and its interpreter is the program that connects; use: --program INTERPRETER --script %s", path, path)
	}
	return path, err
}

// script is program for what an interpreter runs: a bare name is that of a file here,
// else of one in PATH.
func (c *ctl) script(given string) (string, error) {
	path := given
	if !strings.Contains(path, "/") {
		if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
			if path, err = exec.LookPath(given); err != nil {
				return "", usagef("there is no script %s here or in PATH; give its path", given)
			}
		}
	}
	return c.resolve(given, path)
}

// resolve makes path, which is what given means, absolute and free of symbolic links.
func (c *ctl) resolve(given, path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	switch real, err := filepath.EvalSymlinks(path); {
	case err == nil:
		path = real
	case errors.Is(err, fs.ErrNotExist):
		c.complain("warning: there is no %s (yet)", path)
	default:
		c.complain("warning: %v; taking %s as it is", err, path)
	}
	if found, err := os.Stat(path); err == nil && found.IsDir() {
		return "", usagef("%s is a folder; give the file of a program", path)
	}
	if path != given {
		c.complain("note: %s is %s", given, path)
	}
	return path, nil
}

// isScript reports whether the kernel would start an interpreter for the file. What
// cannot be read is taken for a program.
func isScript(path string) bool {
	found, err := os.Stat(path)
	if err != nil || !found.Mode().IsRegular() {
		return false
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	b := make([]byte, 2)
	_, err = io.ReadFull(f, b)
	return err == nil && string(b) == "#!"
}
