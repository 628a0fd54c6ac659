package lab

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestMachineItself(t *testing.T) {
	before, err := isBPF(bpfDir)
	if err != nil {
		t.Fatal(err)
	}
	var cgroup string
	t.Run("open", func(t *testing.T) {
		l := NewOnMachine(t)
		cgroup = l.cgroup
		if mounted, err := isBPF(bpfDir); err != nil || !mounted {
			t.Errorf("no bpf file system to pin in: %v", err)
		}
		own, err := os.Readlink("/proc/self/ns/net")
		if err != nil {
			t.Fatal(err)
		}
		out, err := l.Home.Command(t.Context(), "sh", "-c", "readlink /proc/self/ns/net; cat /proc/self/cgroup").Filtered().Output()
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(string(out), own+"\n") {
			t.Errorf("it ran in another network than %s:\n%s", own, out)
		}
		if want := "0::/" + filepath.Join(l.name, "filtered") + "\n"; !strings.Contains(string(out), want) {
			t.Errorf("it ran outside %q:\n%s", want, out)
		}
	})
	checkGone(t, cgroup)
	if after, err := isBPF(bpfDir); err != nil || after != before {
		t.Errorf("bpf file system mounted: %v before, %v after (%v)", before, after, err)
	}
}
