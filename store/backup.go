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

// A backup is the magic with the container's version, the length of the database in
// bytes (8, big-endian), the SHA-256 of both and of the database, and the database.
const (
	backupMagic = "SEKISHO BACKUP 1"

	// MaxBackup bounds the database in a backup, in bytes.
	MaxBackup = 512 << 20
)

const backupHeader = len(backupMagic) + 8 + sha256.Size

// backupHash is the sum that a backup of size bytes begins with, before those bytes.
func backupHash(size int64) hash.Hash {
	h := sha256.New()
	h.Write([]byte(backupMagic))
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(size)))
	return h
}

// Backup writes everything that is remembered, as it is at one moment, to w. It needs
// room for a copy beside the database while it runs, and w may be slow.
func (s *Store) Backup(w io.Writer) error {
	if err := s.backup(w); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	return nil
}

func (s *Store) backup(w io.Writer) error {
	f, err := os.CreateTemp(s.dir, "sekisho.db.backup-*")
	if err != nil {
		return err
	}
	defer f.Close()
	if err := os.Remove(f.Name()); err != nil { // the open file is all that is needed
		return err
	}
	size, err := s.writeSnapshot(f)
	if err != nil {
		return err
	}
	sum := backupHash(size)
	if _, err := io.Copy(sum, io.NewSectionReader(f, 0, size)); err != nil {
		return err
	}
	header := append([]byte(backupMagic), binary.BigEndian.AppendUint64(nil, uint64(size))...)
	if _, err := w.Write(sum.Sum(header)); err != nil {
		return err
	}
	_, err = io.Copy(w, io.NewSectionReader(f, 0, size))
	return err
}

// unpack copies the database in a backup to w and checks that it is whole.
func unpack(r io.Reader, w io.Writer) error {
	header := make([]byte, backupHeader)
	if _, err := io.ReadFull(r, header); err != nil {
		return fmt.Errorf("%w: %w", ErrBadBackup, short(err))
	}
	if !bytes.HasPrefix(header, []byte(backupMagic[:len(backupMagic)-1])) {
		return fmt.Errorf("%w: it was not made by Sekisho", ErrBadBackup)
	}
	if !bytes.HasPrefix(header, []byte(backupMagic)) {
		return fmt.Errorf("%w: %w", ErrBadBackup, ErrNewer)
	}
	size := binary.BigEndian.Uint64(header[len(backupMagic):])
	if size > MaxBackup {
		return fmt.Errorf("%w: %d bytes are more than %d", ErrBadBackup, size, int64(MaxBackup))
	}
	sum := backupHash(int64(size))
	if _, err := io.CopyN(writerFunc(func(b []byte) (int, error) {
		sum.Write(b)
		n, err := w.Write(b)
		if err != nil {
			err = fmt.Errorf("%w: %w", ErrNotSaved, err)
		}
		return n, err
	}), r, int64(size)); err != nil {
		if errors.Is(err, ErrNotSaved) {
			return err
		}
		return fmt.Errorf("%w: %w", ErrBadBackup, short(err))
	}
	if !bytes.Equal(sum.Sum(nil), header[len(backupMagic)+8:]) {
		return fmt.Errorf("%w: its checksum is wrong", ErrBadBackup)
	}
	if n, _ := io.ReadFull(r, make([]byte, 1)); n > 0 {
		return fmt.Errorf("%w: something follows its end", ErrBadBackup)
	}
	return nil
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
