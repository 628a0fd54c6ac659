package daemon

import (
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Who flushes our table in a namespace of his own and tries in a loop has it put back only
// now and then.
func TestQuarrelElsewhereIsPaced(t *testing.T) {
	var a attempts
	now := time.Now()
	done := 0
	for range 1000 { // a second
		if now = now.Add(time.Millisecond); a.may(now) {
			done++
		}
	}
	if done < repairsAtOnce || done > repairsAtOnce+6 {
		t.Errorf("%d times in a second", done)
	}
	now = now.Add(quietFor + time.Second)
	for range 2 {
		if !a.may(now) {
			t.Error("not at once after a while")
		}
	}
}

// One user's namespaces leave room for the others'.
func TestNamespacesOfOneUser(t *testing.T) {
	n := newNamespaces(nil)
	for i := range uint64(maxOfUser) {
		n.held[i] = &heldNamespace{user: 1000}
	}
	if n.room(1000) == nil || n.room(1001) != nil || n.room(0) != nil {
		t.Errorf("of 1000: %v, 1001: %v, root: %v", n.room(1000), n.room(1001), n.room(0))
	}
	for i := range uint64(maxNamespaces) {
		n.held[i] = &heldNamespace{}
	}
	if n.room(0) == nil || n.room(1001) == nil {
		t.Error("without bound")
	}
}

// Whose a namespace is, also one within another.
func TestUserOfNetns(t *testing.T) {
	for _, c := range []struct {
		name string
		args []string
		uid  uint32
		want uint32
	}{
		{"root's", []string{"unshare", "-n", "cat"}, 0, 0},
		{"a user's", []string{"unshare", "-Urn", "cat"}, 4711, 4711},
		{"within", []string{"unshare", "-Ur", "unshare", "-Urn", "cat"}, 4711, 4711},
		{"root's own user namespace", []string{"unshare", "-Urn", "cat"}, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := exec.Command(c.args[0], c.args[1:]...)
			k.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: c.uid, Gid: c.uid}, Pdeathsig: syscall.SIGKILL}
			in, err := k.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := k.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = in.Close(); _ = k.Wait() }()
			until := time.Now().Add(10 * time.Second)
			for comm := ""; comm != "cat\n"; time.Sleep(time.Millisecond) {
				b, err := os.ReadFile("/proc/" + strconv.Itoa(k.Process.Pid) + "/comm")
				if err != nil || time.Now().After(until) {
					t.Fatalf("it is %q, %v", b, err)
				}
				comm = string(b)
			}
			fd, err := unix.Open("/proc/"+strconv.Itoa(k.Process.Pid)+"/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(fd)
			if user, err := userOfNetns(fd); err != nil || user != c.want {
				t.Errorf("user %d, %v, want %d", user, err, c.want)
			}
		})
	}
}
