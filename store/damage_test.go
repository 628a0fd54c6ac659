package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"sekisho/app/flow"
	"sekisho/app/rule"
)

// state is what tests compare: everything that a store remembers but the history.
type state struct {
	rules  []rule.Rule
	mode   string
	missed int
}

func stateOf(t testing.TB, s *Store) state {
	t.Helper()
	var st state
	st.rules = must[[]rule.Rule](t)(s.Rules())
	if _, err := s.Load("mode", &st.mode); err != nil {
		t.Fatal(err)
	}
	missed, err := s.Missed()
	if err != nil {
		t.Fatal(err)
	}
	st.missed = len(missed)
	return st
}

// fill makes a store of some hundred pages in dir, with branches, overflow and free
// pages, and closes it, so that there is a good copy. The last write added a rule.
func fill(t testing.TB, dir string) (before, after state) {
	t.Helper()
	s := open(t, dir, Options{})
	rules := make([]rule.Rule, 300)
	for i := range rules {
		rules[i] = simpleRule(fmt.Sprintf("/usr/bin/program-%d", i))
	}
	must[[]rule.Rule](t)(s.PutRules(rules))
	for i := range 5 {
		var flows []flow.Flow
		for j := range 40 {
			flows = append(flows, fullFlow(fmt.Sprint(i*60+j), noon.Add(time.Duration(i*60+j)*time.Second)))
		}
		if err := errors.Join(s.AppendFlows(flows), s.PutMissed(fullPrompt(fmt.Sprint(i), noon)),
			s.Save("mode", "ask"), s.Save("long", strings.Repeat("long ", 3000))); err != nil {
			t.Fatal(err)
		}
	}
	before = stateOf(t, s)
	must[rule.Rule](t)(s.PutRule(simpleRule("/the/last")))
	after = stateOf(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return before, after
}

// usable fails the test unless s can be written and read.
func usable(t testing.TB, s *Store) {
	t.Helper()
	r := must[rule.Rule](t)(s.PutRule(simpleRule("/probe")))
	if err := s.AppendFlows([]flow.Flow{fullFlow("probe", noon.Add(24*time.Hour))}); err != nil {
		t.Error(err)
	}
	rules := must[[]rule.Rule](t)(s.Rules())
	for _, got := range rules {
		if got.ID == r.ID && got.Program.Path == "/probe" {
			return
		}
	}
	t.Error("a rule that was saved is not there")
}

// damageCase opens a copy of the store in dir whose database is damaged.
func damageCase(t *testing.T, whole, good []byte, damage func([]byte) []byte, judge func(*Store, *Recovery)) {
	t.Helper()
	dir := t.TempDir()
	for name, b := range map[string][]byte{"sekisho.db": damage(bytes.Clone(whole)), "sekisho.db.good": good} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, recovery, err := Open(dir, Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	judge(s, recovery)
	usable(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	check(t, filepath.Join(dir, "sekisho.db"))
	check(t, filepath.Join(dir, "sekisho.db.good"))
	if recovery != nil && recovery.Cause != nil {
		if kept := must[[]byte](t)(os.ReadFile(recovery.Kept)); !bytes.Equal(kept, damage(bytes.Clone(whole))) {
			t.Error("the damaged file was not kept as it was")
		}
	}
	os.RemoveAll(dir)
}

// Whatever happens to the main file, there is a store afterwards, and what it says is what
// was once saved: never a rule that was changed by the damage.
func TestDamage(t *testing.T) {
	dir := t.TempDir()
	before, after := fill(t, dir)
	whole := must[[]byte](t)(os.ReadFile(filepath.Join(dir, "sekisho.db")))
	good := must[[]byte](t)(os.ReadFile(filepath.Join(dir, "sekisho.db.good")))
	recovered, dropped, unharmed := 0, 0, 0
	judge := func(what string) func(*Store, *Recovery) {
		return func(s *Store, r *Recovery) {
			got := stateOf(t, s)
			switch {
			case r == nil:
				unharmed++
			case r.Cause != nil:
				recovered++
			default:
				dropped++
				after := after
				after.missed = got.missed
				if !reflect.DeepEqual(got, after) {
					t.Errorf("%s: %s, and rules changed", what, r)
				}
				return
			}
			// A root that is not whole is what a power cut leaves of a write that nobody was
			// told is done: the one before counts.
			if !reflect.DeepEqual(got, after) && (r != nil || !reflect.DeepEqual(got, before)) {
				t.Errorf("%s: recovery %v, got %d rules, mode %q, %d missed", what, r, len(got.rules), got.mode, got.missed)
			}
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	high := len(good) // the pages that were ever used
	for i := range 100 {
		at, bit := random.IntN(high), byte(1)<<random.IntN(8)
		if i < 50 { // the headers and elements of pages, where a structure is
			at = random.IntN(high/4096)*4096 + random.IntN(128)
		}
		damageCase(t, whole, good, func(b []byte) []byte { b[at] ^= bit; return b }, judge(fmt.Sprintf("bit %#x at %d", bit, at)))
	}
	for range 20 {
		at, n := random.IntN(high), 1+random.IntN(3*4096)
		damageCase(t, whole, good, func(b []byte) []byte { clear := b[at:min(at+n, len(b))]; copy(clear, make([]byte, n)); return b },
			judge(fmt.Sprintf("%d zeros at %d", n, at)))
	}
	for _, size := range []int{0, 1, 100, 4095, 4096, 8192, 12288, 16384, 20000, high / 2, high - 4096, high - 1} {
		damageCase(t, whole, good, func(b []byte) []byte { return b[:size] }, judge(fmt.Sprint("cut to ", size)))
	}
	for _, b := range [][]byte{[]byte("not a database"), bytes.Repeat([]byte{0xff}, 1<<16), make([]byte, 1<<16)} {
		damageCase(t, whole, good, func([]byte) []byte { return b }, judge("something else"))
	}
	t.Logf("%d recovered, %d lost of the inbox only, %d unharmed", recovered, dropped, unharmed)
	if recovered < 50 || dropped < 1 {
		t.Error("the damage did little")
	}
}

// Whatever happens to the history's file, rules stay what they were, nobody hears of it
// before the history is opened, and what it says then is what was once saved.
func TestDamagedHistory(t *testing.T) {
	dir := t.TempDir()
	_, after := fill(t, dir)
	main := must[[]byte](t)(os.ReadFile(filepath.Join(dir, "sekisho.db")))
	whole := must[[]byte](t)(os.ReadFile(filepath.Join(dir, "sekisho.db.history")))
	high := int(must[boltMeta](t)(readMeta(bytes.NewReader(whole), int64(len(whole)))).high) * 4096
	all := map[string]flow.Flow{}
	s := open(t, dir, Options{})
	for _, f := range history(t, s, HistoryFilter{}) {
		all[f.ID] = f
	}
	salvaged, dropped, unharmed, kept := 0, 0, 0, 0
	hurt := func(what string, damage func([]byte) []byte) {
		dir := t.TempDir()
		damaged := damage(bytes.Clone(whole))
		for name, b := range map[string][]byte{"sekisho.db": main, "sekisho.db.good": main, "sekisho.db.history": damaged} {
			if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		s := open(t, dir, Options{})
		if got := stateOf(t, s); !reflect.DeepEqual(got, after) {
			t.Errorf("%s: got %d rules", what, len(got.rules))
		}
		r, err := s.OpenHistory()
		if err != nil {
			t.Fatal(what, err)
		}
		n := 0
		if err := s.History(HistoryFilter{}, func(f flow.Flow) bool {
			if n++; !reflect.DeepEqual(f, all[f.ID]) {
				t.Errorf("%s: %v, got %+v", what, r, f)
			}
			return true
		}); err != nil || n != s.past.count {
			t.Errorf("%s: %d flows, counted %d: %v", what, n, s.past.count, err)
		}
		switch {
		case r == nil:
			unharmed++
		case r.Cause == nil:
			dropped++
			if n+r.Dropped != len(all) {
				t.Errorf("%s: %d flows, and %d dropped", what, n, r.Dropped)
			}
		default:
			salvaged++
			kept += n
			if b := must[[]byte](t)(os.ReadFile(r.Kept)); r.Saved != n || !bytes.Equal(b, damaged) {
				t.Errorf("%s: %v, %d flows, %d bytes kept", what, r, n, len(b))
			}
		}
		usable(t, s)
		s = reopen(t, s)
		if again, err := s.OpenHistory(); again != nil || err != nil {
			t.Errorf("%s: the second time: %v, %v", what, again, err)
		}
	}
	random := rand.New(rand.NewPCG(7, 8))
	for i := range 60 {
		at, bit := random.IntN(high), byte(1)<<random.IntN(8)
		if i < 40 {
			at = random.IntN(high/4096)*4096 + random.IntN(128)
		}
		hurt(fmt.Sprintf("bit %#x at %d", bit, at), func(b []byte) []byte { b[at] ^= bit; return b })
	}
	for range 10 {
		at, n := random.IntN(high), 1+random.IntN(3*4096)
		hurt(fmt.Sprintf("%d zeros at %d", n, at), func(b []byte) []byte { copy(b[at:], make([]byte, n)); return b })
	}
	for _, size := range []int{0, 1, 4096, 8192, 16384, high / 2, high - 1} {
		hurt(fmt.Sprint("cut to ", size), func(b []byte) []byte { return b[:size] })
	}
	hurt("something else", func([]byte) []byte { return []byte("not a database") })
	t.Logf("%d salvaged with %d flows of %d each, %d lost a record, %d unharmed", salvaged, kept, len(all), dropped, unharmed)
	if salvaged < 20 || dropped < 3 || kept < salvaged*len(all)/2 {
		t.Error("the damage did little, or too much")
	}
}

func TestMissingHistory(t *testing.T) {
	dir := t.TempDir()
	_, after := fill(t, dir)
	if err := os.Remove(filepath.Join(dir, "sekisho.db.history")); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir, Options{})
	usable(t, s)
	if r, err := s.OpenHistory(); err != nil || r == nil || !strings.Contains(r.String(), "history was missing") {
		t.Errorf("%v, %v", r, err)
	}
	s = reopen(t, s)
	if r, err := s.OpenHistory(); err != nil || r != nil || len(history(t, s, HistoryFilter{})) != 1 {
		t.Errorf("the second time: %v, %v", r, err)
	}
	if got := must[[]rule.Rule](t)(s.Rules()); len(got) != len(after.rules)+1 {
		t.Errorf("%d rules", len(got))
	}
}

// The main file may be lost for good; the history isn't.
func TestHistoryOutlivesTheMainFile(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir)
	for _, suffix := range []string{"", ".good"} {
		if err := os.Truncate(filepath.Join(dir, "sekisho.db"+suffix), 5000); err != nil {
			t.Fatal(err)
		}
	}
	s, r := openAnyway(t, dir, Options{})
	if r == nil || len(history(t, s, HistoryFilter{})) != 200 {
		t.Errorf("recovery %v, %d flows", r, s.past.count)
	}
}

func TestNewerHistoryIsLeftAlone(t *testing.T) {
	main, past := sound(t)
	dir := t.TempDir()
	newer := alter(t, past, func(tx *bbolt.Tx) error { return putSchema(tx, historyFile.schema+1) })
	for name, b := range map[string][]byte{"sekisho.db": main, "sekisho.db.history": newer} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := Open(dir, Options{}); !errors.Is(err, ErrNewer) {
		t.Errorf("got %v", err)
	}
	if now := must[[]byte](t)(os.ReadFile(filepath.Join(dir, "sekisho.db.history"))); !bytes.Equal(now, newer) {
		t.Error("it was changed")
	}
}

// A page that was written to the wrong place is whole by itself. One that was there in
// earlier times cannot be told from the right one, so things may be missing, but what
// is there is right, and no page is followed in a circle.
func TestPagesInTheWrongPlace(t *testing.T) {
	dir := t.TempDir()
	_, after := fill(t, dir)
	whole := must[[]byte](t)(os.ReadFile(filepath.Join(dir, "sekisho.db")))
	good := must[[]byte](t)(os.ReadFile(filepath.Join(dir, "sekisho.db.good")))
	random := rand.New(rand.NewPCG(3, 4))
	pages := len(good) / 4096
	rules := map[string]rule.Rule{}
	for _, r := range after.rules {
		rules[r.ID] = r
	}
	for range 40 {
		from, to := random.IntN(pages), 2+random.IntN(pages-2)
		damageCase(t, whole, good, func(b []byte) []byte {
			copy(b[to*4096:][:4096], b[from*4096:][:4096])
			native.PutUint64(b[to*4096:], uint64(to)) // its own number, else that is noticed first
			return b
		}, func(s *Store, r *Recovery) {
			got := stateOf(t, s)
			if r != nil && r.Cause != nil && !reflect.DeepEqual(got, after) {
				t.Errorf("page %d at %d: recovery %v, %d rules", from, to, r, len(got.rules))
			}
			for _, rule := range got.rules {
				if want, ok := rules[rule.ID]; !ok || !reflect.DeepEqual(rule, want) {
					t.Errorf("page %d at %d: recovery %v, rule %+v", from, to, r, rule)
				}
			}
		})
	}
}

func TestNoGoodCopy(t *testing.T) {
	for name, good := range map[string][]byte{"none": nil, "damaged": []byte("nothing")} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			fill(t, dir)
			if err := os.Truncate(filepath.Join(dir, "sekisho.db"), 9000); err != nil {
				t.Fatal(err)
			}
			os.Remove(filepath.Join(dir, "sekisho.db.good"))
			if good != nil {
				if err := os.WriteFile(filepath.Join(dir, "sekisho.db.good"), good, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			s, r := openAnyway(t, dir, Options{})
			if r == nil || !r.Restored.IsZero() || !strings.Contains(r.String(), "start empty") || !strings.Contains(r.String(), r.Kept) {
				t.Fatalf("recovery %v", r)
			}
			if got := stateOf(t, s); len(got.rules) != 0 || got.missed != 0 {
				t.Errorf("got %+v", got)
			}
			usable(t, s)
		})
	}
}

func TestMissingDatabaseIsNotANewInstallation(t *testing.T) {
	dir := t.TempDir()
	_, after := fill(t, dir)
	if err := os.Remove(filepath.Join(dir, "sekisho.db")); err != nil {
		t.Fatal(err)
	}
	s, r := openAnyway(t, dir, Options{})
	if r == nil || r.Restored.IsZero() || !strings.Contains(r.String(), "missing") {
		t.Errorf("recovery %v", r)
	}
	if got := stateOf(t, s); !reflect.DeepEqual(got, after) {
		t.Errorf("%d rules", len(got.rules))
	}
	if s := reopen(t, s); !reflect.DeepEqual(stateOf(t, s), after) {
		t.Error("the second start differs")
	}
}

func TestFolderInTheWay(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "sekisho.db", "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	s, r := openAnyway(t, dir, Options{})
	if r == nil || r.Kept == "" {
		t.Errorf("recovery %v", r)
	}
	usable(t, s)
}

func TestAnotherProgramsDatabase(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "sekisho.db")
	db := must[*bbolt.DB](t)(bbolt.Open(path, 0o600, nil))
	err := db.Update(func(tx *bbolt.Tx) error { _, err := tx.CreateBucket([]byte("theirs")); return err })
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	s, r := openAnyway(t, dir, Options{})
	if r == nil || !strings.Contains(r.String(), "not a database of Sekisho") {
		t.Errorf("recovery %v", r)
	}
	usable(t, s)
}

func TestFileThatMayNotBeReadIsNotDamaged(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "sekisho.db")
	if err := os.Symlink(path, path); err != nil { // ELOOP: an error of the system, for root too
		t.Fatal(err)
	}
	if _, _, err := Open(dir, Options{}); err == nil || errors.Is(err, errDamaged) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Lstat(path); err != nil {
		t.Error("it was moved:", err)
	}
}

func TestBrokenFilesAreBounded(t *testing.T) {
	dir := t.TempDir()
	for range keptBroken + 3 {
		if err := os.WriteFile(filepath.Join(dir, "sekisho.db"), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		s, r := openAnyway(t, dir, Options{})
		if _, err := os.Stat(r.Kept); err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if broken := must[[]string](t)(filepath.Glob(filepath.Join(dir, "*.broken-*"))); len(broken) != keptBroken {
		t.Errorf("kept %v", broken)
	}
}

// An interrupted start leaves files that the next one must not trip over.
func TestLeftoversAreRemoved(t *testing.T) {
	dir := t.TempDir()
	for _, suffix := range []string{".new", ".good.new", ".restore", ".backup-123"} {
		if err := os.WriteFile(filepath.Join(dir, "sekisho.db"+suffix), []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := open(t, dir, Options{})
	usable(t, s)
	for _, suffix := range []string{".new", ".good.new", ".restore", ".backup-123"} {
		if _, err := os.Stat(s.path(suffix)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", suffix, err)
		}
	}
}

// A copy of a database that was damaged while it was open must not replace the copy
// from before.
func TestDamageDoesNotReachTheGoodCopy(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir)
	good := must[[]byte](t)(os.ReadFile(filepath.Join(dir, "sekisho.db.good")))
	s := must2(t)(Open(dir, Options{Log: slog.New(slog.DiscardHandler)}))
	f := must[*os.File](t)(os.OpenFile(s.path(""), os.O_RDWR, 0))
	var page [8]byte
	must[int](t)(f.ReadAt(page[:], 4096+16+16)) // the root's page, from one of the metas
	root := int64(binary.NativeEndian.Uint64(page[:]))
	s.uncopied.Store(true)
	must[int](t)(f.WriteAt(bytes.Repeat([]byte{0xee}, 4096), root*4096))
	must[int](t)(f.ReadAt(page[:], 16+16))
	root = int64(binary.NativeEndian.Uint64(page[:]))
	must[int](t)(f.WriteAt(bytes.Repeat([]byte{0xee}, 4096), root*4096))
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Rules(); err == nil {
		t.Error("rules were read from a damaged file")
	}
	if err := s.Close(); err == nil {
		t.Error("the copy was refreshed from a damaged file")
	}
	if now := must[[]byte](t)(os.ReadFile(s.path(".good"))); !bytes.Equal(now, good) {
		t.Error("the good copy changed")
	}
	_, r := openAnyway(t, dir, Options{})
	if r == nil || r.Restored.IsZero() {
		t.Errorf("recovery %v", r)
	}
}

func must2(t testing.TB) func(*Store, *Recovery, error) *Store {
	return func(s *Store, r *Recovery, err error) *Store {
		t.Helper()
		if err != nil || r != nil {
			t.Fatal(r, err)
		}
		return s
	}
}

// A file that is cut while it is open faults where bbolt reads it. That must end
// neither the process nor the waiting for a lock that nobody gives back.
func TestFileCutWhileOpen(t *testing.T) {
	dir := t.TempDir()
	_, after := fill(t, dir)
	s := must2(t)(Open(dir, Options{Log: slog.New(slog.DiscardHandler)}))
	if err := os.Truncate(s.path(""), 3*4096); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Rules(); err == nil {
		t.Error("rules were read from nothing")
	}
	for range 2 {
		if _, err := s.PutRule(simpleRule("/a")); !errors.Is(err, ErrNotSaved) {
			t.Errorf("got %v", err)
		}
	}
	s.Close() // its errors are those of the damage
	s, r := openAnyway(t, dir, Options{})
	if r == nil || !reflect.DeepEqual(stateOf(t, s), after) {
		t.Errorf("recovery %v", r)
	}
}
