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
func TestLoad(t *testing.T) {
	tag := fmt.Sprintf("test-%d", os.Getpid())
	k, err := Load(tag, slog.Default())
	t.Cleanup(func() {
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
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
}
