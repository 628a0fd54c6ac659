package bpf

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"testing"

	"github.com/cilium/ebpf"
)

// Every program passes the verifier of the kernel that runs the test.
func TestLoad(t *testing.T) { load(t) }

// load loads the programs and maps for a test, under a tag of its own.
func load(t *testing.T) *Kernel {
	t.Helper()
	tag := fmt.Sprintf("test-%s-%d", t.Name(), os.Getpid())
	k, err := Load(tag, slog.Default())
	t.Cleanup(func() {
		if k != nil {
			if err := k.Close(); err != nil {
				t.Error(err)
			}
		}
		if err := RemovePins(tag); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		var v *ebpf.VerifierError
		if errors.As(err, &v) {
			t.Fatalf("%+v", v)
		}
		t.Fatal(err)
	}
	return k
}
