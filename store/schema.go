package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"slices"

	"go.etcd.io/bbolt"
)

// The buckets.
const (
	metaBucket      = "meta"
	rulesBucket     = "rules"     // id -> ruleRecord
	documentsBucket = "documents" // name -> what the caller saved
	missedBucket    = "missed"    // prompt id -> promptRecord
	historyBucket   = "history"   // historyKey -> flowRecord
)

var recordBuckets = []string{rulesBucket, documentsBucket, missedBucket, historyBucket}

// schemaKey, in the meta bucket, holds the version of the whole file. Its own format
// never changes: four bytes, big-endian, and their CRC-32C.
var schemaKey = []byte("schema")

// migrations lead from one schema to the next: the step at index i makes version i+2
// out of version i+1. A step that was released is never edited.
var migrations = []func(*bbolt.Tx) error{
	migrateTo2,
}

func currentSchema() uint32 { return uint32(len(migrations)) + 1 }

func parseSchema(b []byte) (uint32, error) {
	if len(b) != 8 || crc32.Checksum(b[:4], castagnoli) != binary.BigEndian.Uint32(b[4:]) {
		return 0, fmt.Errorf("%w: version of the file", errDamaged)
	}
	return binary.BigEndian.Uint32(b), nil
}

func putSchema(tx *bbolt.Tx, version uint32) error {
	b, err := tx.CreateBucketIfNotExists([]byte(metaBucket))
	if err != nil {
		return err
	}
	v := binary.BigEndian.AppendUint32(nil, version)
	return b.Put(schemaKey, binary.BigEndian.AppendUint32(v, crc32.Checksum(v, castagnoli)))
}

// migrate brings an inspected file from its version to the current one, all steps in
// one transaction: it is either done or it did not happen.
func migrate(db *bbolt.DB, from uint32) error {
	if from == currentSchema() {
		return nil
	}
	var stepErr error
	err := guard(func() error {
		return db.Update(func(tx *bbolt.Tx) error {
			for v := from; v < currentSchema(); v++ {
				if stepErr = migrations[v-1](tx); stepErr != nil {
					stepErr = fmt.Errorf("migrate to version %d: %w", v+1, stepErr)
					return stepErr
				}
			}
			return putSchema(tx, currentSchema())
		})
	})
	if err != nil && stepErr == nil {
		return fmt.Errorf("migrate: %w: %w", ErrNotSaved, err)
	}
	return err
}

// record names one record.
type record struct {
	bucket string
	key    []byte
}

// contents is what an inspection found in a file.
type contents struct {
	root    boltMeta
	schema  uint32
	history int
	volume  int64    // of the history's records, in bytes
	open    []record // flows that were open when they were written
	// damaged lists the records of history and inbox whose checksum is wrong: worth
	// less than the rules beside them, they don't make the file unusable.
	damaged []record
}

// inspect reads the whole file at path, without bbolt, and says whether it can be
// used. The error is fs.ErrNotExist, ErrNewer, errDamaged, or that of the system.
func inspect(path string) (contents, error) {
	f, err := os.Open(path)
	if err != nil {
		return contents{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return contents{}, err
	}
	if !info.Mode().IsRegular() {
		return contents{}, fmt.Errorf("%w: not a file", errDamaged)
	}
	return inspectReader(f, info.Size())
}

func inspectReader(r io.ReaderAt, size int64) (contents, error) {
	root, err := readMeta(r, size)
	if err != nil {
		return contents{}, err
	}
	c := contents{root: root}
	buckets, err := walk(r, root, metaBucket, func(bucket string, key, value []byte) (err error) {
		if bucket == metaBucket {
			if string(key) == string(schemaKey) {
				c.schema, err = parseSchema(value)
			}
			if c.schema > currentSchema() {
				return ErrNewer
			}
			return err
		}
		return c.judge(bucket, key, value)
	})
	if err != nil {
		return c, err
	}
	if c.schema == 0 {
		return c, fmt.Errorf("%w: not a database of Sekisho", errDamaged)
	}
	for _, b := range recordBuckets {
		if c.schema >= 2 && !slices.Contains(buckets, b) {
			return c, fmt.Errorf("%w: no bucket %q", errDamaged, b)
		}
	}
	return c, nil
}

// judge looks at one record. Records of version 1 have no checksum; their migration
// reads them.
func (c *contents) judge(bucket string, key, value []byte) error {
	if c.schema < 2 {
		return nil
	}
	body, err := unseal(key, value)
	switch bucket {
	case historyBucket:
		c.history++
		c.volume += int64(len(value))
		if err == nil && isOpen(body) {
			c.open = append(c.open, record{bucket, bytes.Clone(key)})
		}
		fallthrough
	case missedBucket:
		if err != nil {
			c.damaged = append(c.damaged, record{bucket, append([]byte(nil), key...)})
		}
		return nil
	}
	return err
}
