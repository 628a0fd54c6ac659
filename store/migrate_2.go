package store

import (
	"encoding/json"
	"errors"
	"fmt"

	"go.etcd.io/bbolt"
)

// migrateTo2 gives every record a checksum and every rule an origin, and makes room
// for history and missed prompts. In version 1 a record was the byte 1 and JSON, and
// rules and documents were all there was. Rules didn't say how they were made;
// "editor" is what is true of everything that people can edit.
func migrateTo2(tx *bbolt.Tx) error {
	for _, name := range []string{"rules", "documents", "missed", "history"} {
		if _, err := tx.CreateBucketIfNotExists([]byte(name)); err != nil {
			return err
		}
	}
	for _, name := range []string{"rules", "documents"} {
		b := tx.Bucket([]byte(name))
		sealed := map[string][]byte{}
		err := b.ForEach(func(key, old []byte) error {
			body, err := body1(old)
			if err == nil && name == "rules" {
				body, err = withOrigin(body)
			}
			if err != nil {
				return fmt.Errorf("%w: %s %q: %w", errDamaged, name, key, err)
			}
			sealed[string(key)] = seal(2, key, body)
			return nil
		})
		if err != nil {
			return err
		}
		for key, value := range sealed {
			if err := b.Put([]byte(key), value); err != nil {
				return err
			}
		}
	}
	return nil
}

// body1 is the JSON of a record of version 1.
func body1(record []byte) ([]byte, error) {
	if len(record) < 2 || record[0] != 1 || !json.Valid(record[1:]) {
		return nil, errors.New("not a record of version 1")
	}
	return record[1:], nil
}

func withOrigin(body []byte) ([]byte, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil {
		return nil, err
	}
	if fields == nil {
		return nil, errors.New("no rule")
	}
	fields["origin"] = json.RawMessage(`"editor"`)
	return json.Marshal(fields)
}
