package rule

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
	"pgregory.net/rapid"
)

// cases reads testdata/<dir>: a file is a case.
func cases(t *testing.T, dir string, test func(t *testing.T, rules []byte, want string)) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", dir, "*.txtar"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases in %s: %v", dir, err)
	}
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if len(a.Files) != 2 {
				t.Fatalf("%d parts, want 2", len(a.Files))
			}
			test(t, a.Files[0].Data, string(a.Files[1].Data))
		})
	}
}

func TestReadFileRefuses(t *testing.T) {
	cases(t, "refuse", func(t *testing.T, rules []byte, want string) {
		got, err := ReadFile(rules)
		var f *FileError
		if !errors.As(err, &f) || got != nil {
			t.Fatalf("read %v, error %v", got, err)
		}
		if f.Error()+"\n" != want {
			t.Errorf("got  %s\nwant %s", f, want)
		}
		if strings.Contains(f.Error(), "\n") {
			t.Errorf("more than a line: %q", f.Error())
		}
	})
}

func TestReadFileAccepts(t *testing.T) {
	cases(t, "accept", func(t *testing.T, rules []byte, want string) {
		read, err := ReadFile(rules)
		if err != nil {
			t.Fatal(err)
		}
		got, err := WriteFile(read)
		if err != nil || string(got) != want {
			t.Errorf("wrote, %v:\n%s", err, got)
		}
	})
}

func TestReadFileBounds(t *testing.T) {
	if _, err := ReadFile(bytes.Repeat([]byte(" "), MaxFile+1)); err == nil {
		t.Error("a file beyond the bound was read")
	}
	one := `{"action":"allow"},`
	many := strings.Repeat(one, MaxRules) + `{"action":"block"}`
	if _, err := ReadFile([]byte(`{"version":1,"rules":[` + many + `]}`)); err == nil ||
		!strings.Contains(err.Error(), "more than 50000 rules") {
		t.Errorf("one rule too many: %v", err)
	}
	just := strings.Repeat(one, MaxRules-1) + `{"action":"block"}`
	if got, err := ReadFile([]byte(`{"version":1,"rules":[` + just + `]}`)); err != nil || len(got) != MaxRules {
		t.Errorf("as many as there may be: %d, %v", len(got), err)
	}
	deep := strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000)
	if _, err := ReadFile([]byte(`{"version":1,"rules":` + deep + `}`)); err == nil {
		t.Error("20,000 arrays within one another were read")
	}
	if _, err := ReadFile([]byte("{\"version\":1,\"rules\":[{\"action\":\"allow\",\"note\":\"\xff\"}]}")); err == nil ||
		!strings.Contains(err.Error(), "line 1: rule 1: not UTF-8 text") {
		t.Errorf("a byte that is no UTF-8: %v", err)
	}
}

// Whatever is a rule survives the file.
func TestFileRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules := genRules(t, 8)
		b, err := WriteFile(rules)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ReadFile(b)
		if err != nil {
			t.Fatalf("%v\n%s", err, b)
		}
		for i := range rules {
			if want := Normal(rules[i]); !reflect.DeepEqual(got[i], want) {
				t.Fatalf("got  %+v\nwant %+v", got[i], want)
			}
		}
	})
}

// Whatever is a rule survives its own JSON, as the store keeps it.
func TestRuleRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := Normal(genRule(t, 1))
		b, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got Rule
		if err := json.Unmarshal(b, &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%v\ngot  %+v\nwant %+v", err, got, want)
		}
	})
}

func TestMarshalRefusesNoAction(t *testing.T) {
	if b, err := json.Marshal(Rule{}); err == nil {
		t.Errorf("wrote %s", b)
	}
}

func TestUnmarshalKeepsRuleOnError(t *testing.T) {
	r := Rule{ID: "7", Action: Allow}
	if err := json.Unmarshal([]byte(`{"id":"8","action":"deny"}`), &r); err == nil || r.ID != "7" {
		t.Errorf("error %v, rule %+v", err, r)
	}
}

func TestMarshalListed(t *testing.T) {
	now := Clock{Boot: "b", Since: time.Hour, Wall: genStart}
	l, err := NewLifetime(Until, 90*time.Second, now, genProcesses[0])
	if err != nil {
		t.Fatal(err)
	}
	now.Since += 30 * time.Second
	b, err := MarshalListed(Rule{Action: Allow, Lifetime: l}, now)
	if want := `"left":"1m0s"`; err != nil || !strings.Contains(string(b), want) {
		t.Errorf("%s, %v; want %s", b, err, want)
	}
	b, err = MarshalListed(Rule{Action: Allow}, now)
	if err != nil || strings.Contains(string(b), "left") {
		t.Errorf("%s, %v; want nothing left", b, err)
	}
}

func ExampleWriteFile() {
	b, _ := WriteFile([]Rule{{
		ID: "1", Enabled: true, Action: Allow, Program: Program{Path: "/usr/bin/curl"},
		Remote: Remote{Name: "example.com"}, Ports: []PortRange{{443, 443}}, Note: "updates",
		Created: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), By: "alice", Origin: FromCommand,
	}})
	fmt.Printf("%s", b)
	// Output:
	// {
	//   "version": 1,
	//   "rules": [
	//     {
	//       "id": "1",
	//       "enabled": true,
	//       "action": "allow",
	//       "direction": "out",
	//       "program": {
	//         "path": "/usr/bin/curl"
	//       },
	//       "remote": {
	//         "name": "example.com"
	//       },
	//       "ports": [
	//         "443"
	//       ],
	//       "lifetime": {
	//         "kind": "always"
	//       },
	//       "note": "updates",
	//       "created": "2026-03-01T12:00:00Z",
	//       "by": "alice",
	//       "origin": "command",
	//       "hits": 0
	//     }
	//   ]
	// }
}
