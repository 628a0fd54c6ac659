package process

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"sekisho/app/flow"
)

func sha(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

func TestSum(t *testing.T) {
	dir := t.TempDir()
	file := write(t, filepath.Join(dir, "prog"), "one", 0o755)
	exe := executable(t, file)
	tr := tracker(t, Config{})
	for range 2 {
		if got, err := tr.Sum(file, exe); err != nil || got != sha([]byte("one")) {
			t.Fatalf("%s, %v", got, err)
		}
	}
	// Remembered by identity, not by path.
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if got, err := tr.Sum(file, exe); err != nil || got != sha([]byte("one")) {
		t.Errorf("%s, %v", got, err)
	}
	write(t, file, "two", 0o755)
	other := exe
	other.Ctime--
	if got, err := tr.Sum(file, other); !errors.Is(err, ErrReplaced) {
		t.Errorf("a replaced file gives %s, %v", got, err)
	}
	now := executable(t, file)
	now.CtimeNano |= 1 << 31 // as kernels from 6.13 on have it
	if got, err := tr.Sum(file, now); err != nil || got != sha([]byte("two")) {
		t.Errorf("%s, %v", got, err)
	}
	if _, err := tr.Sum(file, flow.Executable{}); err == nil {
		t.Error("a file of unknown identity has a sum")
	}
	big := filepath.Join(dir, "big")
	if err := os.WriteFile(big, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(big, MaxSum+1); err != nil {
		t.Fatal(err)
	}
	if _, err := tr.Sum(big, executable(t, big)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("error %v, want %v", err, ErrTooLarge)
	}
	if _, err := tr.Sum("/dev/zero", executable(t, "/dev/zero")); !errors.Is(err, ErrReplaced) {
		t.Errorf("a device: error %v", err)
	}
	if _, err := tr.Sum(filepath.Join(dir, "none"), flow.Executable{Inode: 9}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: error %v", err)
	}
}

// A program that was replaced while it runs is read through the process. Removing a
// name of it changes its change time.
func TestSumOfAReplacedProgram(t *testing.T) {
	dir := t.TempDir()
	b, err := os.ReadFile(which(t, "cat"))
	if err != nil {
		t.Fatal(err)
	}
	file := write(t, filepath.Join(dir, "prog"), string(b), 0o755)
	cmd := begin(t, dir, file)
	exe, id := executable(t, file), idOf(t, cmd.Process.Pid)
	tr := tracker(t, Config{})
	tr.Exec(Exec{ID: id, Path: file, Executable: exe})
	next := write(t, filepath.Join(dir, "next"), "evil", 0o755)
	if err := os.Rename(next, file); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if got, err := tr.Sum(file, exe); err != nil || got != sha(b) {
				t.Errorf("%s, %v, want %s", got, err, sha(b))
			}
		})
	}
	wg.Wait()
	// The number now belongs to a process of another program.
	fake := flow.Executable{Inode: 1, Ctime: 1}
	tr.Exec(Exec{ID: id, Path: file, Executable: fake})
	if got, err := tr.Sum(file, fake); !errors.Is(err, ErrReplaced) {
		t.Errorf("another program's sum is %s, %v", got, err)
	}
}

func TestSumsAreBounded(t *testing.T) {
	var s sums
	first := s.get(flow.Executable{Inode: 1})
	for i := range uint64(maxSums + 10) {
		s.get(flow.Executable{Inode: 2 + i})
		s.get(flow.Executable{Inode: 1})
	}
	if len(s.known) != maxSums || s.used.Len() != maxSums || s.get(flow.Executable{Inode: 1}) != first {
		t.Errorf("%d sums", len(s.known))
	}
}
