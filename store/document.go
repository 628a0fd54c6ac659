package store

import (
	"errors"
	"fmt"

	"go.etcd.io/bbolt"
)

// Load reads the document called name into v, as encoding/json would, and reports
// whether there is one. v's JSON is the caller's to keep readable over time.
func (s *Store) Load(name string, v any) (bool, error) {
	found := false
	err := s.view(func(tx *bbolt.Tx) error {
		value := tx.Bucket([]byte(documentsBucket)).Get([]byte(name))
		if value == nil {
			return nil
		}
		found = true
		return decode([]byte(name), value, v)
	})
	if err != nil {
		return false, fmt.Errorf("load %s: %w", name, err)
	}
	return found, nil
}

// Save writes v, at most 1 MiB of JSON, as the document called name.
func (s *Store) Save(name string, v any) error {
	if name == "" || len(name) > maxID {
		return fmt.Errorf("save %q: a document's name has 1 to %d bytes", name, maxID)
	}
	value, err := encode([]byte(name), v)
	if err == nil {
		err = s.update(func(tx *bbolt.Tx) error {
			return tx.Bucket([]byte(documentsBucket)).Put([]byte(name), value)
		})
	}
	if err != nil {
		return fmt.Errorf("save %s: %w", name, err)
	}
	return nil
}

var errNoID = errors.New("has no id, or one that is too long")
