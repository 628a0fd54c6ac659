package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
)

// A backup is the magic with the container's version, the lengths of the main file and of
// the history in bytes (8 each, big-endian), the SHA-256 of all else, and the two files.
// In version 1, which is still read, there is one length and one file, with the history.
const (
	backupMagic  = "SEKISHO BACKUP 2"
	backupMagic1 = "SEKISHO BACKUP 1"

	// MaxBackup bounds the files in a backup, in bytes.
	MaxBackup = 512 << 20
)

// backupHead is what a backup of files of these sizes begins with, and its sum so far.
func backupHead(magic string, sizes ...int64) ([]byte, hash.Hash) {
	head := []byte(magic)
	for _, size := range sizes {
		head = binary.BigEndian.AppendUint64(head, uint64(size))
	}
	h := sha256.New()
	h.Write(head)
	return head, h
}

// Backup writes everything that is remembered to w: the rules and settings as they are at
// one moment, and the history as it is a moment later. It needs room for a copy beside the
// files while it runs, and w may be slow.
func (s *Store) Backup(w io.Writer) error {
	if err := s.backup(w); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	return nil
}

func (s *Store) backup(w io.Writer) error {
	if _, err := s.OpenHistory(); err != nil {
		return err
	}
	f, err := os.CreateTemp(s.dir, "sekisho.db.backup-*")
	if err != nil {
		return err
	}
	defer f.Close()
	if err := os.Remove(f.Name()); err != nil { // the open file is all that is needed
		return err
	}
	main, err := s.writeSnapshot(f)
	if err != nil {
		return err
	}
	past, err := s.past.writeSnapshot(f)
	if err != nil {
		return err
	}
	head, sum := backupHead(backupMagic, main, past)
	if _, err := io.Copy(sum, io.NewSectionReader(f, 0, main+past)); err != nil {
		return err
	}
	if _, err := w.Write(sum.Sum(head)); err != nil {
		return err
	}
	_, err = io.Copy(w, io.NewSectionReader(f, 0, main+past))
	return err
}

// unpack copies the files in a backup to main and history and checks that they are whole.
// A backup of version 1 has only the first.
func unpack(r io.Reader, main, history io.Writer) error {
	magic := make([]byte, len(backupMagic))
	if _, err := io.ReadFull(r, magic); err != nil {
		return fmt.Errorf("%w: %w", ErrBadBackup, short(err))
	}
	files := []io.Writer{main, history}
	switch {
	case string(magic) == backupMagic1:
		files = files[:1]
	case !bytes.HasPrefix(magic, []byte(backupMagic[:len(backupMagic)-1])):
		return fmt.Errorf("%w: it was not made by Sekisho", ErrBadBackup)
	case string(magic) != backupMagic:
		return fmt.Errorf("%w: %w", ErrBadBackup, ErrNewer)
	}
	rest := make([]byte, 8*len(files)+sha256.Size)
	if _, err := io.ReadFull(r, rest); err != nil {
		return fmt.Errorf("%w: %w", ErrBadBackup, short(err))
	}
	sizes, all := make([]int64, len(files)), uint64(0)
	for i := range files {
		size := binary.BigEndian.Uint64(rest[8*i:])
		if size > MaxBackup || all+size > MaxBackup {
			return fmt.Errorf("%w: its files have more than %d bytes", ErrBadBackup, int64(MaxBackup))
		}
		sizes[i], all = int64(size), all+size
	}
	_, sum := backupHead(string(magic), sizes...)
	for i, w := range files {
		if err := unpackFile(r, w, sizes[i], sum); err != nil {
			return err
		}
	}
	if !bytes.Equal(sum.Sum(nil), rest[8*len(files):]) {
		return fmt.Errorf("%w: its checksum is wrong", ErrBadBackup)
	}
	if n, _ := io.ReadFull(r, make([]byte, 1)); n > 0 {
		return fmt.Errorf("%w: something follows its end", ErrBadBackup)
	}
	return nil
}

func unpackFile(r io.Reader, w io.Writer, size int64, sum hash.Hash) error {
	_, err := io.CopyN(writerFunc(func(b []byte) (int, error) {
		sum.Write(b)
		n, err := w.Write(b)
		if err != nil {
			err = fmt.Errorf("%w: %w", ErrNotSaved, err)
		}
		return n, err
	}), r, size)
	if err != nil && !errors.Is(err, ErrNotSaved) {
		err = fmt.Errorf("%w: %w", ErrBadBackup, short(err))
	}
	return err
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// short says that a file ended too early where io says EOF.
func short(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("its end is missing")
	}
	return err
}
