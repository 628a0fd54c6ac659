package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/google/nftables"
)

// traces lists what a service may leave on a host: pins in the bpf file system that
// the host's programs see, and tables of nftables.
func (h *Host) traces() ([]string, error) {
	pins, pinsErr := h.pins()
	tables, tablesErr := h.tables()
	return append(pins, tables...), errors.Join(pinsErr, tablesErr)
}

func (h *Host) pins() ([]string, error) {
	var pins []string
	err := h.ns.do(func() error {
		return filepath.WalkDir(bpfDir, func(path string, d fs.DirEntry, err error) error {
			if err == nil && path != bpfDir {
				pins = append(pins, "pin "+path)
			}
			return err
		})
	})
	return pins, err
}

func (h *Host) tables() ([]string, error) {
	c, err := nftables.New(nftables.WithNetNSFd(int(h.ns.net)))
	if err != nil {
		return nil, fmt.Errorf("list nftables: %w", err)
	}
	list, err := c.ListTables()
	if err != nil {
		return nil, fmt.Errorf("list nftables: %w", err)
	}
	var tables []string
	for _, t := range list {
		tables = append(tables, fmt.Sprintf("table %s (family %d)", t.Name, t.Family))
	}
	return tables, nil
}
