package store

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"strings"
	"time"
	"unicode/utf8"
)

// recordVersion is the format of the records that this version writes: one byte with
// this number, four with the checksum, then JSON.
const recordVersion = 2

// maxRecord bounds the JSON of one record, in bytes.
const maxRecord = 1 << 20

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum is the CRC-32C of version, key and body: a value that turns up under
// another key is found out.
func checksum(version byte, key, body []byte) uint32 {
	sum := crc32.Checksum([]byte{version}, castagnoli)
	sum = crc32.Update(sum, castagnoli, key)
	return crc32.Update(sum, castagnoli, body)
}

// sealSize is how long what precedes a record's body is, in bytes.
const sealSize = 5

// seal makes a record of body for key.
func seal(version byte, key, body []byte) []byte {
	b := append(make([]byte, sealSize, sealSize+len(body)), body...)
	putSeal(b, version, key)
	return b
}

// putSeal fills in what precedes a record's body.
func putSeal(record []byte, version byte, key []byte) {
	record[0] = version
	binary.BigEndian.PutUint32(record[1:], checksum(version, key, record[sealSize:]))
}

// unseal returns the body of a record that is whole and of this version. It is valid
// as long as record is.
func unseal(key, record []byte) ([]byte, error) {
	switch {
	case len(record) < 5:
		return nil, fmt.Errorf("%w: record %q is too short", errDamaged, key)
	case record[0] != recordVersion:
		return nil, fmt.Errorf("%w: record %q has format %d", errDamaged, key, record[0])
	case binary.BigEndian.Uint32(record[1:]) != checksum(record[0], key, record[5:]):
		return nil, fmt.Errorf("%w: checksum of record %q", errDamaged, key)
	}
	return record[5:], nil
}

// encode makes the record of v for key.
func encode(key []byte, v any) ([]byte, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	if len(body) > maxRecord {
		return nil, fmt.Errorf("%d bytes are too many: at most %d", len(body), maxRecord)
	}
	return seal(recordVersion, key, body), nil
}

// decode reads into v what encode made.
func decode(key, record []byte, v any) error {
	body, err := unseal(key, record)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("%w: record %q: %w", errDamaged, key, err)
	}
	return nil
}

// Paths and arguments are bytes, JSON strings are not: what is not UTF-8 is written
// as a NUL, which no path has, and base64. A path that came back changed would be
// another program's.

func toText(s string) string {
	if utf8.ValidString(s) && !strings.HasPrefix(s, "\x00") {
		return s
	}
	return "\x00" + base64.StdEncoding.EncodeToString([]byte(s))
}

func fromText(s string) (string, error) {
	if !strings.HasPrefix(s, "\x00") {
		return s, nil
	}
	b, err := base64.StdEncoding.DecodeString(s[1:])
	return string(b), err
}

// texts undoes toText in place.
func texts(fields ...*string) error {
	for _, f := range fields {
		s, err := fromText(*f)
		if err != nil {
			return err
		}
		*f = s
	}
	return nil
}

// stamp is t in nanoseconds since 1970, as far as they reach (from 1970 to 2262);
// zero stays zero.
func stamp(t time.Time) int64 {
	switch {
	case t.IsZero():
		return 0
	case t.Year() < 1970:
		return 1
	case t.Year() > 2261:
		return 1<<63 - 1
	}
	return t.UnixNano()
}

func moment(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns).UTC()
}
