package process

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"sekisho/app/flow"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// tracker is one that names nothing from this machine's menus.
func tracker(t testing.TB, c Config) *Tracker {
	t.Helper()
	if c.Desktop == nil {
		c.Desktop = NewDesktop(t.TempDir())
	}
	return New(c)
}

// executable is the identity of a file, as the kernel would give it.
func executable(t testing.TB, path string) flow.Executable {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	return flow.Executable{Inode: st.Ino, Ctime: st.Ctim.Sec, CtimeNano: uint32(st.Ctim.Nsec), Device: 1}
}

// idOf is a living process's name, its start as /proc has it plus some nanoseconds
// that /proc does not know.
func idOf(t testing.TB, pid int) flow.ProcessID {
	t.Helper()
	st, ok := procfs("/proc").stat(uint32(pid))
	if !ok {
		t.Fatalf("process %d is gone", pid)
	}
	return flow.ProcessID{PID: uint32(pid), Start: st.start*tick + 4_567_890}
}

// begin starts a real program that lives until its input is closed, once it has
// executed.
func begin(t testing.TB, dir, path string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(path, args...)
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		cmd.Process.Kill()
		cmd.Wait()
	})
	// Start returns while the kernel still lays out the arguments.
	for {
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", cmd.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		if len(line) > 0 {
			return cmd
		}
		time.Sleep(time.Millisecond)
	}
}

// which is the real file of a program of this machine.
func which(t testing.TB, name string) string {
	t.Helper()
	for _, folder := range []string{"/usr/bin", "/bin"} {
		if path, err := filepath.EvalSymlinks(filepath.Join(folder, name)); err == nil {
			return path
		}
	}
	t.Fatalf("no %s on this machine", name)
	return ""
}

func write(t testing.TB, path, content string, mode os.FileMode) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func pid(n uint32) flow.ProcessID { return flow.ProcessID{PID: 4_000_000 + n, Start: uint64(n) + 1} }

func path(p *flow.Process, ok bool) string {
	if !ok {
		return "-"
	}
	return p.Path
}

func chain(p *flow.Process) string {
	var s []string
	for _, a := range p.Parents {
		s = append(s, fmt.Sprintf("%s %s", a.Path, a.Name))
	}
	return strings.Join(s, ", ")
}
