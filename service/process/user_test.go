package process

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestUsers(t *testing.T) {
	file := filepath.Join(t.TempDir(), "passwd")
	u := NewUsers(file)
	if got := u.Name(0); got != "" {
		t.Errorf("without a file 0 is %q", got)
	}
	write(t, file, "# x:x:5:5:::\nroot:x:0:0:root:/root:/bin/bash\ntoor:x:0:0::/:/bin/sh\nana:x:1000:1000:Ana,,,:/home/ana:/bin/sh\n+\nbad:x:y:1:::\nhuge:x:99999999999:1:::\nshort:x:3\n", 0o644)
	for uid, want := range map[uint32]string{0: "root", 1000: "ana", 3: "", 5: "", 1001: ""} {
		if got := u.Name(uid); got != want {
			t.Errorf("%d is %q, want %q", uid, got, want)
		}
	}
	write(t, file, "bob:x:1000:1000::/:/bin/sh\n", 0o644)
	if err := os.Chtimes(file, time.Time{}, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if got := u.Name(1000); got != "bob" {
		t.Errorf("after the change 1000 is %q", got)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if got := u.Name(1000); got != "bob" {
		t.Errorf("while the file is replaced 1000 is %q", got)
	}
}
