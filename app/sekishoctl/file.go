package main

import (
	"fmt"
	"io"
	"os"

	"sekisho/app/api"
)

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
