package store

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"

	"sekisho/app/flow"
	"sekisho/app/rule"
)

// writeVersion1 makes a file as version 1 did: no checksums, no origins, no history.
func writeVersion1(t testing.TB, path string, rules, documents map[string]string) {
	t.Helper()
	db := must[*bbolt.DB](t)(bbolt.Open(path, 0o600, nil))
	err := db.Update(func(tx *bbolt.Tx) error {
		for bucket, records := range map[string]map[string]string{"rules": rules, "documents": documents} {
			b, err := tx.CreateBucket([]byte(bucket))
			if err != nil {
				return err
			}
			if err := b.SetSequence(12); err != nil {
				return err
			}
			for key, body := range records {
				if err := b.Put([]byte(key), []byte("\x01"+body)); err != nil {
					return err
				}
			}
		}
		return putSchema(tx, 1)
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

var (
	rules1 = map[string]string{
		"3":  `{"action":"block","direction":"in","path":"/bin/sshd","ports":[[22,22]],"lifetime":{"kind":"always"},"created":"2026-03-04T12:00:00.123456789Z"}`,
		"12": `{"disabled":true,"action":"allow","direction":"out","path":"/bin/\u0063url","lifetime":{"kind":"until","deadline":9007199254740993},"hits":18446744073709551615}`,
	}
	documents1 = map[string]string{"mode": `"learn"`}
)

func TestVersion1IsMigrated(t *testing.T) {
	dir := t.TempDir()
	writeVersion1(t, filepath.Join(dir, "sekisho.db"), rules1, documents1)
	s := open(t, dir, Options{})
	want := []rule.Rule{{
		ID: "3", Enabled: true, Action: rule.Block, Direction: rule.In, Program: rule.Program{Path: "/bin/sshd"},
		Ports: []rule.PortRange{{From: 22, To: 22}}, Lifetime: rule.Lifetime{Kind: rule.Always}, Created: noon, Origin: rule.FromEditor,
	}, {
		ID: "12", Action: rule.Allow, Program: rule.Program{Path: "/bin/curl"},
		Lifetime: rule.Lifetime{Kind: rule.Until, Deadline: 9007199254740993}, Origin: rule.FromEditor, Hits: 1<<64 - 1,
	}}
	st := stateOf(t, s)
	if !reflect.DeepEqual(st.rules, want) || st.mode != "learn" {
		t.Errorf("got  %+v\nwant %+v", st, want)
	}
	if r := must[rule.Rule](t)(s.PutRule(simpleRule("/new"))); r.ID != "13" {
		t.Errorf("new id %s", r.ID)
	}
	usable(t, s)
	s = reopen(t, s)
	if c := must[contents](t)(inspect(s.path(""), mainFile)); c.schema != 3 {
		t.Errorf("version %d", c.schema)
	}
	if c := must[contents](t)(inspect(s.path(".good"), mainFile)); c.schema != 3 {
		t.Errorf("version of the copy %d", c.schema)
	}
}

func TestVersion1ThatCannotBeMigrated(t *testing.T) {
	for name, body := range map[string]string{"cut": `{"action":`, "null": `null`, "number": `7`} {
		dir := t.TempDir()
		path := filepath.Join(dir, "sekisho.db")
		writeVersion1(t, path, map[string]string{"1": body, "2": rules1["3"]}, nil)
		whole := must[[]byte](t)(os.ReadFile(path))
		s, r := openAnyway(t, dir, Options{})
		if r == nil || !errors.Is(r.Cause, errDamaged) {
			t.Fatalf("%s: recovery %v", name, r)
		}
		if kept := must[[]byte](t)(os.ReadFile(r.Kept)); !bytes.Equal(kept, whole) {
			t.Errorf("%s: the file was changed", name)
		}
		usable(t, s)
	}
}

// The good copy may be older than the program too.
func TestGoodCopyIsMigrated(t *testing.T) {
	dir := t.TempDir()
	writeVersion1(t, filepath.Join(dir, "sekisho.db.good"), rules1, documents1)
	s, r := openAnyway(t, dir, Options{})
	if st := stateOf(t, s); len(st.rules) != 2 || r == nil {
		t.Errorf("%v: got %+v", r, st)
	}
}

func TestNewerVersionIsLeftAlone(t *testing.T) {
	sound, dir := t.TempDir(), t.TempDir()
	fill(t, sound)
	path := filepath.Join(dir, "sekisho.db")
	if err := os.Rename(filepath.Join(sound, "sekisho.db.good"), path); err != nil {
		t.Fatal(err)
	}
	db := must[*bbolt.DB](t)(bbolt.Open(path, 0o600, nil))
	err := db.Update(func(tx *bbolt.Tx) error {
		// What a newer version may have done to the rest is its own affair.
		return errors.Join(putSchema(tx, mainFile.schema+1), tx.Bucket([]byte(rulesBucket)).Put([]byte("n"), []byte("new")))
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	before := must[[]byte](t)(os.ReadFile(path))
	if _, _, err := Open(dir, Options{}); !errors.Is(err, ErrNewer) {
		t.Fatalf("got %v", err)
	}
	if after := must[[]byte](t)(os.ReadFile(path)); !bytes.Equal(before, after) {
		t.Error("the file changed")
	}
	if now := must[[]os.DirEntry](t)(os.ReadDir(dir)); len(now) != 2 { // the lock
		t.Errorf("files: %v", now)
	}
}

// writeVersion2 makes a file as version 2 did: like version 1, but with checksums, the
// inbox, and the history in it.
func writeVersion2(t testing.TB, path string, flows []flow.Flow, more func(*bbolt.Tx) error) {
	t.Helper()
	db := must[*bbolt.DB](t)(bbolt.Open(path, 0o600, nil))
	put := func(tx *bbolt.Tx, bucket string, key []byte, v any) error {
		return tx.Bucket([]byte(bucket)).Put(key, must[[]byte](t)(encode(key, v)))
	}
	err := db.Update(func(tx *bbolt.Tx) error {
		for _, name := range []string{"rules", "documents", "missed", "history"} {
			must[*bbolt.Bucket](t)(tx.CreateBucket([]byte(name)))
		}
		err := errors.Join(tx.Bucket([]byte("rules")).SetSequence(12), put(tx, "rules", []byte("12"), must[ruleRecord](t)(newRuleRecord(fullRule()))),
			put(tx, "documents", []byte("mode"), "learn"), put(tx, "missed", []byte("1"), newPromptRecord(fullPrompt("1", noon))))
		for _, f := range flows {
			err = errors.Join(err, put(tx, "history", historyKey(f), newFlowRecord(f)))
		}
		return errors.Join(err, more(tx), putSchema(tx, 2))
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

// version2 writes 300 flows, of which one is open, and a damaged one, and returns the
// 300, the newest first.
func version2(t testing.TB, path string) []flow.Flow {
	t.Helper()
	flows := manyFlows(300)
	flows[7].State, flows[7].Ended, flows[7].Cookie = flow.Open, time.Time{}, 77
	writeVersion2(t, path, flows, func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte("history")).Put([]byte("00000000x"), []byte("damaged"))
	})
	slices.SortFunc(flows, func(a, b flow.Flow) int { return cmp.Compare(b.ID, a.ID) })
	return flows
}

// judgeVersion2 fails the test unless s holds what version2 wrote and want.
func judgeVersion2(t *testing.T, s *Store, want []flow.Flow) {
	t.Helper()
	if st := stateOf(t, s); len(st.rules) != 1 || st.mode != "learn" || st.missed != 1 {
		t.Errorf("got %+v", st)
	}
	if got := history(t, s, HistoryFilter{}); !reflect.DeepEqual(got, want) || s.past.count != len(want) {
		t.Errorf("%d flows, counted %d", len(got), s.past.count)
	}
	if r := must[rule.Rule](t)(s.PutRule(simpleRule("/new"))); r.ID != "13" {
		t.Errorf("new id %s", r.ID)
	}
}

func TestVersion2IsMigrated(t *testing.T) {
	dir := t.TempDir()
	want := version2(t, filepath.Join(dir, "sekisho.db"))
	s, r := openAnyway(t, dir, Options{})
	if r == nil || r.Cause != nil || r.Dropped != 1 {
		t.Errorf("recovery %v", r)
	}
	left, err := s.OpenFlows()
	if err != nil || len(left) != 1 || left[0].Cookie != 77 {
		t.Errorf("open: %+v, %v", left, err)
	}
	judgeVersion2(t, s, want)
	s = reopen(t, s)
	if left, err := s.OpenFlows(); err != nil || len(left) != 1 {
		t.Errorf("open the second time: %+v, %v", left, err)
	}
	if n := len(history(t, s, HistoryFilter{})); n != len(want) {
		t.Errorf("%d flows the second time", n)
	}
	if files := must[[]os.DirEntry](t)(os.ReadDir(dir)); len(files) != 4 {
		t.Errorf("files: %v", files)
	}
}

// A cut during the migration leaves half a file, or the new history beside the old file.
func TestMigrationIsCut(t *testing.T) {
	half := func(t *testing.T, dir, name string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, leave := range map[string]func(t *testing.T, dir string){
		"history half": func(t *testing.T, dir string) { half(t, dir, "sekisho.db.history.new") },
		"main half": func(t *testing.T, dir string) {
			half(t, dir, "sekisho.db.new")
			other := t.TempDir()
			version2(t, filepath.Join(other, "sekisho.db"))
			s, _ := openAnyway(t, other, Options{})
			if err := os.Rename(s.path(".history"), filepath.Join(dir, "sekisho.db.history")); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			want := version2(t, filepath.Join(dir, "sekisho.db"))
			leave(t, dir)
			s, _ := openAnyway(t, dir, Options{})
			judgeVersion2(t, s, want)
		})
	}
}

// A good copy of version 2 must not undo the history that was moved since.
func TestGoodCopyOfVersion2KeepsTheNewHistory(t *testing.T) {
	dir := t.TempDir()
	good := filepath.Join(dir, "sekisho.db.good")
	want := version2(t, good)
	s, _ := openAnyway(t, dir, Options{})
	later := fullFlow("later", noon.Add(time.Hour))
	if err := errors.Join(s.AppendFlows([]flow.Flow{later}), s.Close(), os.Remove(s.path("")), os.Remove(good)); err != nil {
		t.Fatal(err)
	}
	version2(t, good)
	s, _ = openAnyway(t, dir, Options{})
	judgeVersion2(t, s, append([]flow.Flow{later}, want...))
}

func TestRestoreOfVersion2(t *testing.T) {
	path := filepath.Join(t.TempDir(), "old")
	writeVersion2(t, path, manyFlows(20), func(*bbolt.Tx) error { return nil })
	s := open(t, t.TempDir(), Options{})
	usable(t, s)
	if err := s.Restore(bytes.NewReader(packAs(backupMagic1, must[[]byte](t)(os.ReadFile(path))))); err != nil {
		t.Fatal(err)
	}
	if st, n := stateOf(t, s), len(history(t, s, HistoryFilter{})); len(st.rules) != 1 || n != 20 || s.past.count != 20 {
		t.Errorf("got %d rules, %d flows, counted %d", len(st.rules), n, s.past.count)
	}
}

func TestVersion2OnAFullDisk(t *testing.T) {
	dir := smallDisk(t, 4096)
	want := version2(t, filepath.Join(dir, "sekisho.db"))
	for _, keep := range []int{4, 100, 250} {
		free := fillDisk(t, dir, keep)
		if _, _, err := Open(dir, Options{}); !errors.Is(err, unix.ENOSPC) || !errors.Is(err, ErrNotSaved) {
			t.Errorf("%d KiB left: %v", keep, err)
		}
		free()
	}
	s, _ := openAnyway(t, dir, Options{})
	judgeVersion2(t, s, want)
}

// The format on disk: a field may be added; another change needs a migration, not a new
// expectation.
func TestFormatOnDisk(t *testing.T) {
	for name, c := range map[string]struct {
		make func() (any, error)
		want string
	}{
		"rule": {func() (any, error) { r, err := newRuleRecord(fullRule()); return r, err },
			`{"action":"block","direction":"both","path":"\u0000L29wdC9jYWbpL2JpbgE8Jj4=","script":"/home/k/関所.py","package":"curl","app":"org.app","folder":"\u0000L29wdC//","unit":"x.service","parent":"\u0000L2Jpbi//","sha256":"00ff","user":"1000","name":"a.example","domain":"example","address":"fe80::1%eth0","prefix":"10.0.0.0/8","from":"1.1.1.1","to":"1.1.1.9","lan":true,"list":"ads","ports":[[443,443],[8000,8999]],"protocol":6,"network":"home","lifetime":{"kind":"until","boot":"b-o-o-t","deadline":5400000000000,"until":"2026-03-04T13:00:00.123456789Z","pid":7,"start":1152921504606846976},"note":"why \"not\"","created":"2026-03-04T12:00:00.123456789Z","by":"k","origin":"answer","hits":3,"last_used":"2026-03-04T12:01:00.123456789Z"}`},
		"prompt": {func() (any, error) { return newPromptRecord(fullPrompt("1", noon)), nil },
			`{"id":"1","generation":4,"flow":{"id":"f1","t":1772625540123456789,"in":true,"p":17,"o":{"pid":42,"start":99,"exe":{"inode":5,"ctime":6,"nano":7,"device":8,"generation":9},"path":"/usr/bin/python3","name":"\u0000UHn/","icon":"py","script":"/home/k/a.py","inline":true,"replaced":true,"exec":3,"package":"python3","integrity":"modified","app":"\u0000L2H/LkFwcEltYWdl","own_app":true,"container":"docker:2f1a","unit":"u.service","own_unit":true,"sha256":"ab","uid":1000,"user":"k","args":["python3","\u0000Yf4ucHk=",""],"dir":"/home/k","cgroup":"/user.slice","parents":[{"pid":1,"start":2,"path":"/sbin/init","name":"init"}],"kernel":true},"l":{"a":"192.0.2.1","p":5353,"n":"here"},"r":{"a":"2001:db8::1","p":53,"n":"dns.example"},"v":"waiting","w":[{"code":"no-name","text":"It \u003chas\u003e no name.","value":"\u0000/g=="}],"s":1,"e":2,"so":3,"si":4,"a":"closed","z":1772625541123456789},"flows":2,"deadline":1772625600123456789,"state":"missed","warnings":[{"code":"fresh","text":"It is new.","value":"\u0000L3RtcC//"}],"scopes":[{"kind":"host-port","to":"dns.example","port":53}],"predecessors":["\u0000L29wdC/+"]}`},
	} {
		v, err := c.make()
		if err != nil {
			t.Fatal(err)
		}
		if got := must[[]byte](t)(json.Marshal(v)); string(got) != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, c.want)
		}
	}
	if got := seal(2, []byte("k"), []byte(`{"a":1}`)); string(got) != "\x02\xac\xc2\x20\xdd"+`{"a":1}` {
		t.Errorf("sealed: %q", got)
	}
}
