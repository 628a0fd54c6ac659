package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"sekisho/app/api"
)

// badFile says which file the service could make nothing of. The command line is right
// then, so the exit code is not that of a wrong one.
func badFile(path string, err error) error {
	if api.CodeOf(err) != api.BadRequest {
		return err
	}
	return api.Errorf(api.Failed, "%s: %s", path, strings.Replace(err.Error(), ": restore: ", ": ", 1))
}

// readFile reads a file of at most so many bytes; "-" is stdin.
func (c *ctl) readFile(path string, most int64) ([]byte, error) {
	r := c.in
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, fileError("read", path, err)
		}
		defer f.Close()
		r = f
	}
	b, err := io.ReadAll(io.LimitReader(r, most+1))
	if err != nil {
		return nil, fileError("read", path, err)
	}
	if int64(len(b)) > most {
		return nil, api.Errorf(api.BadRequest, "%s has more than %s; split it", path, fmt.Sprintf("%d MiB", most>>20))
	}
	return b, nil
}
