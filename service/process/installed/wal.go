package installed

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// wal is a database's write-ahead log: newer pages, of which those count that a
// transaction's end follows.
type wal struct {
	file   *os.File
	frames map[uint32]int64 // where the newest of each page is
	pages  uint32           // of the database, after the last transaction
}

const walHeader, walFrame = 32, 24

// openWAL reads which pages the log has; nil if there is none, or nothing that counts.
func openWAL(path string, pageSize int) (*wal, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	w := &wal{file: f, frames: map[uint32]int64{}}
	w.scan(pageSize)
	if w.pages == 0 {
		f.Close()
		return nil, nil
	}
	return w, nil
}

func (w *wal) close() {
	if w != nil {
		w.file.Close()
	}
}

// scan reads frame after frame up to the first that is of an older round or broken.
func (w *wal) scan(pageSize int) {
	var head [walHeader]byte
	if readAt(w.file, head[:], 0) != nil || int(binary.BigEndian.Uint32(head[8:])) != pageSize {
		return
	}
	var order binary.ByteOrder
	switch binary.BigEndian.Uint32(head[:]) {
	case 0x377f0682:
		order = binary.LittleEndian
	case 0x377f0683:
		order = binary.BigEndian
	default:
		return
	}
	sum := walSum(order, [2]uint32{}, head[:24])
	if !walSumIs(sum, head[24:]) {
		return
	}
	frame := make([]byte, walFrame+pageSize)
	pending := map[uint32]int64{}
	for at := int64(walHeader); readAt(w.file, frame, at) == nil; at += int64(len(frame)) {
		sum = walSum(order, walSum(order, sum, frame[:8]), frame[walFrame:])
		if string(frame[8:16]) != string(head[16:24]) || !walSumIs(sum, frame[16:]) {
			return
		}
		pending[binary.BigEndian.Uint32(frame)] = at + walFrame
		if pages := binary.BigEndian.Uint32(frame[4:]); pages > 0 {
			w.pages = pages
			for n, off := range pending {
				w.frames[n] = off
			}
			clear(pending)
		}
	}
}

func walSum(order binary.ByteOrder, sum [2]uint32, b []byte) [2]uint32 {
	for ; len(b) >= 8; b = b[8:] {
		sum[0] += order.Uint32(b) + sum[1]
		sum[1] += order.Uint32(b[4:]) + sum[0]
	}
	return sum
}

func walSumIs(sum [2]uint32, b []byte) bool {
	return sum[0] == binary.BigEndian.Uint32(b) && sum[1] == binary.BigEndian.Uint32(b[4:])
}
