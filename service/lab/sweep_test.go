package lab

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// holdEnv makes TestHold, in a process of its own, open a lab and wait to be ended.
const holdEnv = "SEKISHO_LAB_HOLD"

func TestHold(t *testing.T) {
	how := os.Getenv(holdEnv)
	if how == "" {
		return // what the tests below start
	}
	l := New(t)
	if err := l.Home.Command(t.Context(), "sleep", "300").Filtered().Start(); err != nil {
		t.Fatal(err)
	}
	fmt.Printf("\nlab %s %s\n", l.cgroup, l.Dir)
	switch how {
	case "fail":
		t.Fatal("as told")
	case "panic":
		panic("as told")
	}
	time.Sleep(5 * time.Minute)
}

// hold starts TestHold and returns once its lab is open.
func hold(t *testing.T, how string) (c *exec.Cmd, cgroup, dir string) {
	c = exec.Command(os.Args[0], "-test.run=^TestHold$", "-test.v")
	c.Env = append(os.Environ(), holdEnv+"="+how)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
		if err := Sweep(); err != nil {
			t.Error(err)
		}
	})
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if n, _ := fmt.Sscanf(lines.Text(), "lab %s %s", &cgroup, &dir); n == 2 {
			go func() {
				for lines.Scan() {
					continue // so that it never blocks on what it prints
				}
			}()
			return c, cgroup, dir
		}
	}
	t.Fatal("the lab did not open")
	return nil, "", ""
}

func TestNothingRemains(t *testing.T) {
	for _, c := range []struct {
		how    string
		signal syscall.Signal
	}{{"fail", 0}, {"panic", 0}, {"interrupt", syscall.SIGINT}, {"terminate", syscall.SIGTERM}} {
		t.Run(c.how, func(t *testing.T) {
			process, cgroup, dir := hold(t, c.how)
			if c.signal != 0 {
				if err := process.Process.Signal(c.signal); err != nil {
					t.Fatal(err)
				}
			}
			if err := process.Wait(); err == nil {
				t.Error("it ended without an error")
			}
			checkGone(t, cgroup, dir)
		})
	}
}

func TestSweepRemovesWhatAKilledRunLeft(t *testing.T) {
	killed, cgroup, dir := hold(t, "kill")
	_, livingCgroup, livingDir := hold(t, "live")
	if err := killed.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = killed.Wait()
	if _, err := os.Stat(cgroup); err != nil {
		t.Fatalf("the killed run left nothing to sweep: %v", err)
	}
	if err := Sweep(); err != nil {
		t.Fatal(err)
	}
	checkGone(t, cgroup, dir)
	for _, path := range []string{livingCgroup, livingDir} {
		if _, err := os.Stat(path); err != nil {
			t.Errorf("Sweep took a living lab's: %v", err)
		}
	}
	if procs, err := os.ReadFile(filepath.Join(livingCgroup, "filtered", "cgroup.procs")); err != nil || len(procs) == 0 {
		t.Errorf("Sweep ended a living lab's program: %q, %v", procs, err)
	}
}

func checkGone(t *testing.T, paths ...string) {
	t.Helper()
	for _, path := range paths {
		if _, err := os.Stat(path); !os.IsNotExist(err) {
			t.Errorf("%s remains (%v)", path, err)
		}
	}
	// Network namespaces have no name to look for; no mount of the lab's may remain.
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(mounts), prefix) {
		t.Errorf("mounts remain:\n%s", mounts)
	}
}

func TestNamesOfLeftovers(t *testing.T) {
	own := ownName(1)
	pid, start := os.Getpid(), strings.Split(own, ".")[2]
	for name, want := range map[string]bool{
		own:                                      false,
		fmt.Sprintf("%s%d.1.1", prefix, pid):     true, // another process had the number
		prefix + "4194305.7.1":                   true, // beyond the largest number there is
		fmt.Sprintf("other.%d.%s.1", pid, start): false,
		prefix + "x.y.z":                         false,
		prefix + "1":                             false,
	} {
		if got := isLeftover(name); got != want {
			t.Errorf("isLeftover(%q) = %v, want %v", name, got, want)
		}
	}
}
