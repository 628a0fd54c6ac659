package store

import (
	"bytes"
	"encoding/binary"
	"errors"
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

	// In the history's file.
	historyBucket = "history" // historyKey -> flowRecord
	openBucket    = "open"    // the historyKeys of flows that went on when they were written -> nothing
)

// kind is one of the two kinds of files.
type kind struct {
	schema  uint32   // the current one; the upper half tells the kinds apart
	sealed  uint32   // the first whose records have checksums
	buckets []string // what the current one holds
}

var (
	mainFile    = kind{schema: 3, sealed: 2, buckets: []string{rulesBucket, documentsBucket, missedBucket}}
	historyFile = kind{schema: 1<<16 + 1, sealed: 1<<16 + 1, buckets: []string{historyBucket, openBucket}}
)

// schemaKey, in the meta bucket, holds the version of the whole file. Its own format
// never changes: four bytes, big-endian, and their CRC-32C.
var schemaKey = []byte("schema")

// migrations lead from one schema of the main file to the next: the step at index i makes
// version i+2 out of version i+1, wholly or not at all. It gets the open file, the path
// of the history's, and returns the open file of the next version. A step that was
// released is never edited.
var migrations = []func(db *bbolt.DB, history string) (*bbolt.DB, error){
	inPlace(2, migrateTo2),
	migrateTo3,
}

// inPlace is a migration in one transaction.
func inPlace(to uint32, step func(*bbolt.Tx) error) func(*bbolt.DB, string) (*bbolt.DB, error) {
	return func(db *bbolt.DB, _ string) (*bbolt.DB, error) {
		var stepErr error
		err := guard(func() error {
			return db.Update(func(tx *bbolt.Tx) error {
				if stepErr = step(tx); stepErr != nil {
					return stepErr
				}
				return putSchema(tx, to)
			})
		})
		if err != nil && stepErr == nil {
			err = fmt.Errorf("%w: %w", ErrNotSaved, err)
		}
		return db, err
	}
}

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

// migrate brings an inspected main file from its version to the current one. On an
// error the file is closed.
func migrate(db *bbolt.DB, history string, from uint32) (*bbolt.DB, error) {
	for v := from; v < mainFile.schema; v++ {
		next, err := migrations[v-1](db, history)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("migrate to version %d: %w", v+1, err), db.Close())
		}
		db = next
	}
	return db, nil
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
	volume  int64 // of the history's records, in bytes
	// damaged lists the records of history and inbox whose checksum is wrong: worth
	// less than the rules beside them, they don't make the file unusable.
	damaged []record
}

// inspect reads the whole file at path, without bbolt, and says whether it can be
// used. The error is fs.ErrNotExist, ErrNewer, errDamaged, or that of the system.
func inspect(path string, k kind) (contents, error) {
	f, size, err := openFile(path)
	if err != nil {
		return contents{}, err
	}
	defer f.Close()
	return inspectReader(f, size, k)
}

// openFile opens a file to inspect it; see inspect for the errors.
func openFile(path string) (*os.File, int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%w: not a file", errDamaged)
	}
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, info.Size(), nil
}

func inspectReader(r io.ReaderAt, size int64, k kind) (contents, error) {
	root, err := readMeta(r, size)
	if err != nil {
		return contents{}, err
	}
	c := contents{root: root}
	buckets, err := walk(r, root, metaBucket, func(bucket string, key, value []byte) (err error) {
		if bucket == metaBucket {
			if string(key) == string(schemaKey) {
				c.schema, err = k.parse(value)
			}
			return err
		}
		if c.schema < k.sealed { // its migration reads them
			return nil
		}
		return c.judge(bucket, key, value)
	})
	if err != nil {
		return c, err
	}
	if c.schema == 0 {
		return c, fmt.Errorf("%w: not a database of Sekisho", errDamaged)
	}
	for _, b := range k.buckets {
		if c.schema >= k.sealed && !slices.Contains(buckets, b) {
			return c, fmt.Errorf("%w: no bucket %q", errDamaged, b)
		}
	}
	return c, nil
}

// parse is parseSchema for a file of this kind.
func (k kind) parse(value []byte) (uint32, error) {
	schema, err := parseSchema(value)
	switch {
	case err != nil:
	case schema>>16 != k.schema>>16:
		err = fmt.Errorf("%w: another kind of file", errDamaged)
	case schema > k.schema:
		err = ErrNewer
	}
	return schema, err
}

// judge looks at one record.
func (c *contents) judge(bucket string, key, value []byte) error {
	if bucket == openBucket {
		return nil // keys alone, which are looked up
	}
	_, err := unseal(key, value)
	switch bucket {
	case historyBucket:
		c.history++
		c.volume += int64(len(value))
	case missedBucket:
		if err == nil { // a few, and another bucket's records have checksums too
			_, err = decodePrompt(key, value)
		}
	}
	switch bucket {
	case historyBucket, missedBucket:
		if err != nil {
			c.damaged = append(c.damaged, record{bucket, bytes.Clone(key)})
		}
		return nil
	}
	return err
}
