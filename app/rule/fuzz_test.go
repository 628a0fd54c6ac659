package rule

import (
	"errors"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"sekisho/app/flow"
)

// Whatever ReadFile accepts is valid, can be decided by, and reads back the same.
func FuzzReadFile(f *testing.F) {
	for _, dir := range []string{"accept", "refuse"} {
		names, err := filepath.Glob(filepath.Join("testdata", dir, "*.txtar"))
		if err != nil || len(names) == 0 {
			f.Fatalf("no seeds in %s: %v", dir, err)
		}
		for _, name := range names {
			a, err := txtar.ParseFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(a.Files[0].Data)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		rules, err := ReadFile(b)
		if err != nil {
			if rules != nil {
				t.Fatal("a bad file gave rules")
			}
			if f := (*FileError)(nil); !errors.As(err, &f) {
				t.Fatalf("error of type %T: %v", err, err)
			}
			return
		}
		for _, r := range rules {
			if err := Validate(r); err != nil {
				t.Fatalf("read a bad rule: %v", err)
			}
		}
		NewSet(rules).Decide(Query{Process: &flow.Process{}}, Clock{})
		again, err := WriteFile(rules)
		if err != nil {
			t.Fatal(err)
		}
		same, err := ReadFile(again)
		if err != nil || len(same) != len(rules) || len(rules) > 0 && !reflect.DeepEqual(same, rules) {
			t.Fatalf("reads back as %+v, %v\nwant %+v", same, err, rules)
		}
	})
}

// Whatever ParseRemote accepts makes a valid rule and is written as it reads.
func FuzzParseRemote(f *testing.F) {
	for _, c := range remoteCases {
		f.Add(c.in)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ParseRemote(s)
		if err != nil {
			if r != (Remote{}) {
				t.Fatalf("%q gives %+v and %v", s, r, err)
			}
			return
		}
		if again, err := ParseRemote(r.String()); err != nil || again != r {
			t.Fatalf("%q is written %q, which is %+v, %v", s, r, again, err)
		}
		if err := Validate(Rule{Action: Block, Remote: r}); err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		if n := Normal(Rule{Remote: r}).Remote; n != r {
			t.Fatalf("%q is not normal: %+v, want %+v", s, r, n)
		}
	})
}
