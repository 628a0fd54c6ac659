package store

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"sekisho/app/flow"
	"sekisho/app/rule"
)

// pack makes a backup of any bytes, as Backup would.
func pack(main, history []byte) []byte {
	return packAs(backupMagic, main, history)
}

func packAs(magic string, files ...[]byte) []byte {
	var sizes []int64
	for _, f := range files {
		sizes = append(sizes, int64(len(f)))
	}
	head, sum := backupHead(magic, sizes...)
	all := bytes.Join(files, nil)
	sum.Write(all)
	return append(sum.Sum(head), all...)
}

func TestBackupAndRestore(t *testing.T) {
	dir := t.TempDir()
	_, want := fill(t, dir)
	from := open(t, dir, Options{})
	var backup safeBuffer
	if err := from.Backup(&backup); err != nil {
		t.Fatal(err)
	}
	wantHistory := history(t, from, HistoryFilter{})

	s := open(t, t.TempDir(), Options{History: 400})
	usable(t, s)
	if err := s.Restore(backup.reader()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if got := stateOf(t, s); !reflect.DeepEqual(got, want) {
			t.Errorf("got %d rules", len(got.rules))
		}
		if got := history(t, s, HistoryFilter{}); !reflect.DeepEqual(got, wantHistory) || s.past.count != len(got) {
			t.Errorf("got %d flows, counted %d", len(got), s.past.count)
		}
		s = reopen(t, s)
	}
	check(t, s.path(".good"))
	usable(t, s)
	if entries := must[[]os.DirEntry](t)(os.ReadDir(s.dir)); len(entries) != 4 {
		t.Errorf("files left: %v", entries)
	}
}

// A backup that was restored is what the next damage goes back to, not what was
// there before.
func TestRestoreRefreshesTheGoodCopy(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	must[rule.Rule](t)(s.PutRule(simpleRule("/kept")))
	var backup safeBuffer
	if err := s.Backup(&backup); err != nil {
		t.Fatal(err)
	}
	must[rule.Rule](t)(s.PutRule(simpleRule("/undone")))
	if err := errors.Join(s.refreshCopy(), s.Restore(backup.reader())); err != nil {
		t.Fatal(err)
	}
	other := t.TempDir()
	if err := os.WriteFile(filepath.Join(other, "sekisho.db.good"), must[[]byte](t)(os.ReadFile(s.path(".good"))), 0o600); err != nil {
		t.Fatal(err)
	}
	o, _ := openAnyway(t, other, Options{})
	if got := must[[]rule.Rule](t)(o.Rules()); len(got) != 1 || got[0].Program.Path != "/kept" {
		t.Errorf("got %+v", got)
	}
}

func TestRestoreOfAnOldVersion(t *testing.T) {
	path := filepath.Join(t.TempDir(), "old")
	writeVersion1(t, path, rules1, documents1)
	s := open(t, t.TempDir(), Options{})
	if err := s.Restore(bytes.NewReader(packAs(backupMagic1, must[[]byte](t)(os.ReadFile(path))))); err != nil {
		t.Fatal(err)
	}
	if st := stateOf(t, s); len(st.rules) != 2 || st.mode != "learn" {
		t.Errorf("got %+v", st)
	}
}

// altered returns a sound backup with one thing changed in its main file.
func altered(t testing.TB, change func(*bbolt.Tx) error) []byte {
	t.Helper()
	main, past := sound(t)
	return pack(alter(t, main, change), past)
}

// alteredPast is altered for the history.
func alteredPast(t testing.TB, change func(*bbolt.Tx) error) []byte {
	t.Helper()
	main, past := sound(t)
	return pack(main, alter(t, past, change))
}

// sound is the files of a store with a rule and a flow.
func sound(t testing.TB) (main, past []byte) {
	t.Helper()
	dir := t.TempDir()
	s := open(t, dir, Options{})
	must[rule.Rule](t)(s.PutRule(simpleRule("/a")))
	if err := errors.Join(s.AppendFlows([]flow.Flow{fullFlow("1", noon)}), s.Close()); err != nil {
		t.Fatal(err)
	}
	return must[[]byte](t)(os.ReadFile(s.path(""))), must[[]byte](t)(os.ReadFile(s.path(".history")))
}

func alter(t testing.TB, file []byte, change func(*bbolt.Tx) error) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "altered")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	db := must[*bbolt.DB](t)(bbolt.Open(path, 0o600, nil))
	if err := errors.Join(db.Update(change), db.Close()); err != nil {
		t.Fatal(err)
	}
	return must[[]byte](t)(os.ReadFile(path))
}

func put(bucket, key string, value []byte) func(*bbolt.Tx) error {
	return func(tx *bbolt.Tx) error { return tx.Bucket([]byte(bucket)).Put([]byte(key), value) }
}

func sealed(bucket, key, body string) func(*bbolt.Tx) error {
	return put(bucket, key, seal(recordVersion, []byte(key), []byte(body)))
}

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, errors.New("the line was cut") }

func TestBadBackupChangesNothing(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	must[rule.Rule](t)(s.PutRule(simpleRule("/mine")))
	if err := s.refreshCopy(); err != nil {
		t.Fatal(err)
	}
	before := stateOf(t, s)
	file := must[[]byte](t)(os.ReadFile(s.path("")))

	main, past := sound(t)
	whole := pack(main, past)
	cases := map[string]io.Reader{
		"empty":             bytes.NewReader(nil),
		"line cut":          io.MultiReader(bytes.NewReader(whole[:3000]), failingReader{}),
		"text":              bytes.NewReader(bytes.Repeat([]byte("hello "), 100)),
		"newer container":   bytes.NewReader(bytes.Replace(whole, []byte("BACKUP 2"), []byte("BACKUP 3"), 1)),
		"followed":          bytes.NewReader(append(bytes.Clone(whole), 0)),
		"endless":           bytes.NewReader(append([]byte(backupMagic+"\xff\xff\xff\xff\xff\xff\xff\xff"), make([]byte, 64)...)),
		"no database":       bytes.NewReader(pack([]byte("hello"), past)),
		"nothing in it":     bytes.NewReader(pack(nil, nil)),
		"newer":             bytes.NewReader(altered(t, func(tx *bbolt.Tx) error { return putSchema(tx, 99) })),
		"no version":        bytes.NewReader(altered(t, func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte(metaBucket)) })),
		"bad version":       bytes.NewReader(altered(t, put(metaBucket, string(schemaKey), []byte("2")))),
		"version 0":         bytes.NewReader(altered(t, func(tx *bbolt.Tx) error { return putSchema(tx, 0) })),
		"no rules":          bytes.NewReader(altered(t, func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte(rulesBucket)) })),
		"no history":        bytes.NewReader(alteredPast(t, func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte(historyBucket)) })),
		"unsealed rule":     bytes.NewReader(altered(t, put(rulesBucket, "2", []byte("\x02{}")))),
		"rule without JSON": bytes.NewReader(altered(t, sealed(rulesBucket, "2", "{"))),
		"rule of nothing":   bytes.NewReader(altered(t, sealed(rulesBucket, "2", "{}"))),
		"rule of later":     bytes.NewReader(altered(t, put(rulesBucket, "2", seal(3, []byte("2"), []byte("{}"))))),
		"unsealed flow":     bytes.NewReader(alteredPast(t, put(historyBucket, "00000000x", []byte("y")))),
		"flow of nothing":   bytes.NewReader(alteredPast(t, sealed(historyBucket, "00000000x", `{}`))),
		"prompt of nothing": bytes.NewReader(altered(t, sealed(missedBucket, "x", `[]`))),
		"document":          bytes.NewReader(altered(t, sealed(documentsBucket, "x", `]`))),
		"bucket in bucket": bytes.NewReader(altered(t, func(tx *bbolt.Tx) error {
			_, err := tx.Bucket([]byte(rulesBucket)).CreateBucket([]byte("x"))
			return err
		})),
		"newer history":          bytes.NewReader(alteredPast(t, func(tx *bbolt.Tx) error { return putSchema(tx, historyFile.schema+1) })),
		"no open flows":          bytes.NewReader(alteredPast(t, func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte(openBucket)) })),
		"two histories":          bytes.NewReader(pack(past, past)),
		"two main files":         bytes.NewReader(pack(main, main)),
		"history missing":        bytes.NewReader(pack(main, nil)),
		"history of old missing": bytes.NewReader(packAs(backupMagic1, main)),
		"history no database":    bytes.NewReader(pack(main, []byte("hello"))),
	}
	const header = len(backupMagic) + 2*8 + sha256.Size
	for _, n := range []int{1, 10, header - 1, header, header + 1, len(whole) - 1} {
		cases[fmt.Sprint("cut to ", n)] = bytes.NewReader(whole[:n])
	}
	for i := 0; i < len(whole); i += 9973 {
		b := bytes.Clone(whole)
		b[i] ^= 0x10
		cases[fmt.Sprint("bit at ", i)] = bytes.NewReader(b)
	}
	for name, r := range cases {
		err := s.Restore(r)
		if !errors.Is(err, ErrBadBackup) || errors.Is(err, ErrNotSaved) {
			t.Errorf("%s: %v", name, err)
		}
		if wantNewer := strings.HasPrefix(name, "newer"); errors.Is(err, ErrNewer) != wantNewer && name != "bit at 0" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := stateOf(t, s); !reflect.DeepEqual(got, before) {
		t.Errorf("changed: %+v", got)
	}
	if now := must[[]byte](t)(os.ReadFile(s.path(""))); !bytes.Equal(now, file) {
		t.Error("the file changed")
	}
	if entries := must[[]os.DirEntry](t)(os.ReadDir(s.dir)); len(entries) != 4 {
		t.Errorf("files left: %v", entries)
	}
	if err := s.Restore(bytes.NewReader(whole)); err != nil {
		t.Errorf("the unaltered backup: %v", err)
	}
}

// FuzzContainer: what unpack accepts is exactly what Backup makes, or made in version 1.
func FuzzContainer(f *testing.F) {
	f.Add(pack([]byte("a database"), []byte("a history")))
	f.Add(pack(nil, nil))
	f.Add(packAs(backupMagic1, []byte("a database")))
	f.Add([]byte(backupMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		var main, past bytes.Buffer
		err := unpack(bytes.NewReader(b), &main, &past)
		again := pack(main.Bytes(), past.Bytes())
		if bytes.HasPrefix(b, []byte(backupMagic1)) {
			again = packAs(backupMagic1, main.Bytes())
		}
		switch {
		case err == nil && !bytes.Equal(again, b):
			t.Errorf("accepted %q", b)
		case err != nil && !errors.Is(err, ErrBadBackup):
			t.Error(err)
		}
		// With the right sum, whatever it holds.
		half := b[:len(b)/2]
		for _, c := range []struct{ packed, main, past []byte }{
			{pack(b, half), b, half}, {pack(half, b), half, b}, {packAs(backupMagic1, b), b, nil},
		} {
			main.Reset()
			past.Reset()
			err := unpack(bytes.NewReader(c.packed), &main, &past)
			if err != nil || !bytes.Equal(main.Bytes(), c.main) || !bytes.Equal(past.Bytes(), c.past) {
				t.Errorf("%v: got %q and %q", err, main.Bytes(), past.Bytes())
			}
		}
	})
}

// FuzzDatabase: what inspect lets pass is safe for bbolt, to read and to write, and what it
// doesn't is safe to salvage and to peek into. The fuzzer changes files of small pages,
// whose checksums are put right again where they would only be in its way.
func FuzzDatabase(f *testing.F) {
	for _, n := range []int{1, 60} {
		f.Add(tiny(f, mainFile, n))
		f.Add(tiny(f, historyFile, n))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		mendMetas(b)
		dir := t.TempDir()
		for _, name := range []string{"main", "history"} {
			if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		db, _, err := load(filepath.Join(dir, "main"), filepath.Join(dir, "none"))
		judgeFuzzed(t, db, err, rulesBucket)
		var p past
		path := filepath.Join(dir, "history")
		if _, err := peek(path); err != nil && !errors.Is(err, errDamaged) && !errors.Is(err, ErrNewer) {
			t.Error(err)
		}
		if err := readAnyway(path, &p.ending, func(key, value []byte) error { return nil }); err != nil {
			t.Error(err)
		}
		db, _, err = p.load(path)
		judgeFuzzed(t, db, err, historyBucket)
	})
}

// judgeFuzzed writes into bucket of a file that passed.
func judgeFuzzed(t *testing.T, db *bbolt.DB, err error, bucket string) {
	t.Helper()
	if err != nil {
		if !errors.Is(err, errDamaged) && !errors.Is(err, ErrNewer) {
			t.Error(err)
		}
		return
	}
	defer db.Close()
	db.NoSync = true
	for range 2 { // each writes one of the roots, of which one may have been bad
		if err := db.Update(func(tx *bbolt.Tx) error {
			b := tx.Bucket([]byte(bucket))
			if bucket == historyBucket {
				return clear(b)
			}
			_, err := putRule(b, simpleRule("/probe"))
			return err
		}); err != nil {
			t.Error(err)
		}
	}
	if err := checkAll(db); err != nil && !strings.Contains(err.Error(), "record") {
		t.Error(err)
	}
}

// tiny makes a file with pages of 1 KiB that holds n rules or n flows, of which the last
// is open.
func tiny(t testing.TB, k kind, n int) []byte {
	path := filepath.Join(t.TempDir(), "tiny")
	db := must[*bbolt.DB](t)(bbolt.Open(path, 0o600, &bbolt.Options{PageSize: 1024}))
	err := db.Update(func(tx *bbolt.Tx) error {
		for _, name := range k.buckets {
			must[*bbolt.Bucket](t)(tx.CreateBucket([]byte(name)))
		}
		for i := range n {
			if b := tx.Bucket([]byte(rulesBucket)); b != nil {
				must[rule.Rule](t)(putRule(b, simpleRule("/a")))
				continue
			}
			f := fullFlow(fmt.Sprint(i), noon)
			if i == n-1 {
				f.State = flow.Open
			}
			key := historyKey(f)
			value := must[[]byte](t)(encode(key, newFlowRecord(f)))
			c := change{history: tx.Bucket([]byte(historyBucket)), open: tx.Bucket([]byte(openBucket))}
			if err := c.put(key, value, f.State == flow.Open); err != nil {
				return err
			}
		}
		return putSchema(tx, k.schema)
	})
	var b bytes.Buffer
	err = errors.Join(err, db.View(func(tx *bbolt.Tx) error { _, err := tx.WriteTo(&b); return err }), db.Close())
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// mendMetas puts the checksums of both roots right.
func mendMetas(b []byte) {
	for _, at := range []int{0, 1024} {
		if meta := b[min(at+pageHeader, len(b)):]; len(meta) >= metaLength {
			sum := fnv.New64a()
			sum.Write(meta[:56])
			native.PutUint64(meta[56:], sum.Sum64())
		}
	}
}

func FuzzRecord(f *testing.F) {
	key := []byte("k")
	for _, v := range []any{must[ruleRecord](f)(newRuleRecord(fullRule())), newFlowRecord(fullFlow("1", noon)), newPromptRecord(fullPrompt("1", noon))} {
		body := must[[]byte](f)(encode(key, v))[5:]
		f.Add(body)
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, body []byte) {
		for name, decode := range decoders {
			if err := decode(key, body); err != nil && !errors.Is(err, errDamaged) {
				t.Errorf("%s: %v", name, err)
			}
			if err := decode(key, seal(recordVersion, key, body)); err != nil && !errors.Is(err, errDamaged) {
				t.Errorf("%s: %v", name, err)
			}
		}
		// What is read as a rule can be written, and is then the same rule.
		r, err := decodeRule(key, seal(recordVersion, key, body))
		if err != nil {
			return
		}
		rec, err := newRuleRecord(r)
		if err != nil {
			t.Fatalf("%+v: %v", r, err)
		}
		again, err := decodeRule(key, must[[]byte](t)(encode(key, rec)))
		if err != nil || !reflect.DeepEqual(again, r) {
			t.Errorf("%v: got %+v, want %+v", err, again, r)
		}
	})
}
