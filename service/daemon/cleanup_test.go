package daemon_test

import (
	"os/exec"
	"testing"

	"github.com/google/nftables"

	"sekisho/service/bpf"
	"sekisho/service/lab"
)

// --cleanup finds what a service left in another network namespace.
func TestCleanupFromElsewhere(t *testing.T) {
	s := newScene(t)
	s.service.Kill()
	tables := func() (n int) {
		t.Helper()
		err := s.Home.Do(func() error {
			c, err := nftables.New()
			if err != nil {
				return err
			}
			list, err := c.ListTables()
			for _, l := range list {
				if l.Name == "sekisho_"+bpf.Tag(s.service.State) {
					n++
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if tables() != 1 {
		t.Fatal("the killed service left no table: nothing is shown by this")
	}
	for range 2 { // it may be repeated
		out, err := exec.CommandContext(t.Context(), lab.Build(t, "app/sekishod"), "--cleanup", "--state", s.service.State).CombinedOutput()
		if err != nil || len(out) > 0 {
			t.Fatalf("%s, %v", out, err)
		}
	}
	if n := tables(); n != 0 {
		t.Errorf("%d tables are left", n)
	}
}
