package store

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sekisho/app/flow"
	"sekisho/app/rule"
)

// smallDisk mounts a tmpfs of some kilobytes. Tests run as root.
func smallDisk(t *testing.T, kilobytes int) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%dk,mode=700", kilobytes)); err != nil {
		t.Fatal("mount:", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error("unmount:", err)
		}
	})
	return dir
}

// fillDisk leaves about keep kilobytes and returns what frees the rest.
func fillDisk(t *testing.T, dir string, keep int) (free func()) {
	t.Helper()
	path := filepath.Join(dir, "filler")
	f := must[*os.File](t)(os.Create(path))
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &st); err != nil {
		t.Fatal(err)
	}
	if n := int64(st.Bavail)*st.Bsize - int64(keep)<<10; n > 0 {
		if err := unix.Fallocate(int(f.Fd()), 0, 0, n); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.Remove(path); err != nil {
			t.Error(err)
		}
	}
}

func TestFullDisk(t *testing.T) {
	for _, keep := range []int{0, 4, 8, 12, 20, 40} {
		t.Run(fmt.Sprint(keep, " KiB left"), func(t *testing.T) {
			dir := smallDisk(t, 2048)
			s := open(t, dir, Options{})
			var want []rule.Rule
			for range 20 {
				want = append(want, must[rule.Rule](t)(s.PutRule(simpleRule("/saved"))))
			}
			var backup safeBuffer
			if err := s.Backup(&backup); err != nil {
				t.Fatal(err)
			}
			free := fillDisk(t, dir, keep)
			failed := 0
			for i := range 100 {
				r, err := s.PutRule(simpleRule(fmt.Sprint("/", strings.Repeat("long", 200), i)))
				if err == nil {
					want = append(want, r)
					continue
				}
				failed++
				if !errors.Is(err, ErrNotSaved) || !errors.Is(err, unix.ENOSPC) {
					t.Fatal(err)
				}
			}
			if failed == 0 {
				t.Fatal("the disk was not full")
			}
			for name, err := range map[string]error{
				"flows":   s.AppendFlows(manyFlows(100)),
				"restore": s.Restore(backup.reader()),
			} {
				if !errors.Is(err, ErrNotSaved) {
					t.Errorf("%s: %v", name, err)
				}
			}
			if err := s.Backup(&safeBuffer{}); err == nil {
				t.Error("a backup needs room")
			}
			if err := s.refreshCopy(); err == nil {
				t.Error("a copy needs room")
			}
			sameRules(t, s, want)
			if n := len(history(t, s, HistoryFilter{})); n != 0 || s.past.count != 0 {
				t.Errorf("%d flows, counted %d", n, s.past.count)
			}

			free()
			want = append(want, must[rule.Rule](t)(s.PutRule(simpleRule("/after"))))
			if err := s.AppendFlows(manyFlows(100)); err != nil {
				t.Error(err)
			}
			sameRules(t, s, want)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			check(t, filepath.Join(dir, "sekisho.db"))
			check(t, filepath.Join(dir, "sekisho.db.good"))
			sameRules(t, open(t, dir, Options{}), want)
		})
	}
}

func manyFlows(n int) []flow.Flow {
	var flows []flow.Flow
	for i := range n {
		flows = append(flows, fullFlow(fmt.Sprint(i), noon))
	}
	return flows
}

func sameRules(t *testing.T, s *Store, want []rule.Rule) {
	t.Helper()
	if got := must[[]rule.Rule](t)(s.Rules()); !reflect.DeepEqual(got, want) {
		t.Errorf("got %d rules, want %d", len(got), len(want))
	}
}

// A start on a full disk works for what is there, and makes nothing up for what is
// not.
func TestOpenOnAFullDisk(t *testing.T) {
	dir := smallDisk(t, 2048)
	free := fillDisk(t, dir, 8)
	if _, _, err := Open(dir, Options{}); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("first start: %v", err)
	}
	free()
	s := open(t, dir, Options{})
	want := []rule.Rule{must[rule.Rule](t)(s.PutRule(simpleRule("/saved")))}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	free = fillDisk(t, dir, 0)
	s = open(t, dir, Options{})
	sameRules(t, s, want)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	// Damaged and full: the good copy needs no room to take the place.
	if err := os.Truncate(filepath.Join(dir, "sekisho.db"), 5000); err != nil {
		t.Fatal(err)
	}
	s, r := openAnyway(t, dir, Options{})
	sameRules(t, s, want)
	if r == nil || r.Restored.IsZero() {
		t.Errorf("recovery %v", r)
	}
	free()
}

func TestOldVersionOnAFullDiskIsNotDamaged(t *testing.T) {
	dir := smallDisk(t, 2048)
	path := filepath.Join(dir, "sekisho.db")
	rules := map[string]string{}
	for i := range 100 {
		rules[fmt.Sprint(i)] = rules1["3"]
	}
	writeVersion1(t, path, rules, documents1)
	free := fillDisk(t, dir, 4)
	if _, _, err := Open(dir, Options{}); !errors.Is(err, unix.ENOSPC) || !errors.Is(err, ErrNotSaved) {
		t.Errorf("got %v", err)
	}
	free()
	if rules := must[[]rule.Rule](t)(open(t, dir, Options{}).Rules()); len(rules) != 100 {
		t.Errorf("%d rules", len(rules))
	}
}

func TestReadOnlyDisk(t *testing.T) {
	dir := smallDisk(t, 2048)
	s := open(t, dir, Options{})
	must[rule.Rule](t)(s.PutRule(simpleRule("/saved")))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Open(dir, Options{}); !errors.Is(err, unix.EROFS) {
		t.Errorf("got %v", err)
	}
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT, "size=2048k"); err != nil {
		t.Fatal(err)
	}
	if rules := must[[]rule.Rule](t)(open(t, dir, Options{}).Rules()); len(rules) != 1 {
		t.Errorf("%d rules", len(rules))
	}
}

// A damaged history on a full disk is kept as it is until there is room for what can be
// read of it; rules are saved meanwhile.
func TestDamagedHistoryOnAFullDisk(t *testing.T) {
	dir := smallDisk(t, 4096)
	fill(t, dir)
	path := filepath.Join(dir, "sekisho.db.history")
	b := must[[]byte](t)(os.ReadFile(path))
	root := must[boltMeta](t)(readMeta(bytes.NewReader(b), int64(len(b))))
	b = b[:(root.high-1)*root.pageSize]
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	free := fillDisk(t, dir, 40)
	s := open(t, dir, Options{})
	if r, err := s.OpenHistory(); r != nil || !errors.Is(err, unix.ENOSPC) {
		t.Errorf("%v, %v", r, err)
	}
	if err := s.AppendFlows(manyFlows(1)); !errors.Is(err, ErrNotSaved) {
		t.Errorf("got %v", err)
	}
	if now := must[[]byte](t)(os.ReadFile(path)); !bytes.Equal(now, b) {
		t.Error("the damaged history changed")
	}
	must[rule.Rule](t)(s.PutRule(simpleRule("/meanwhile")))
	free()
	s.past.again = time.Time{} // as after a while
	if r, err := s.OpenHistory(); err != nil || r == nil || r.Cause == nil {
		t.Errorf("%v, %v", r, err)
	}
	if err := s.AppendFlows(manyFlows(1)); err != nil {
		t.Error(err)
	}
}
