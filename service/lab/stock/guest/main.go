// Guest is the init of a virtual machine in which the firewall is tried on some kernel
// (sekisho/service/lab/stock starts it). It mounts what a system has mounted, loads
// modules, has the real service filter the programs of a lab, prints a line for each
// thing that it checked, and switches the machine off. It must never run anywhere else:
// what it filters is the whole machine.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"sekisho/service/lab"
)

func main() {
	if os.Getpid() != 1 {
		fmt.Fprintln(os.Stderr, "guest: this is the init of a virtual machine")
		os.Exit(2)
	}
	_ = os.Setenv("PATH", "/bin")
	began := time.Now()
	if err := try(); err != nil {
		report("all of it", began, err)
	}
	fmt.Println("check:end")
	unix.Sync()
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
}

// try runs all the checks. An error is one that left nothing to go on with.
func try() error {
	if err := mounts(); err != nil {
		return err
	}
	began := time.Now()
	err := load("always")
	report("modules", began, err)
	if err != nil {
		return err
	}
	lab.TakePrograms("/bin")
	if !perform("no queue", withoutQueue) {
		return nil
	}
	for _, p := range phases {
		began := time.Now()
		err := load(p.queue)
		report(p.queue+": module", began, err)
		if err == nil {
			perform(p.queue, p.play)
		}
	}
	began = time.Now()
	report("the kernel complained of nothing", began, complaints())
	return nil
}

// mounts has the file systems that every system has.
func mounts() error {
	for _, m := range []struct{ kind, dir string }{
		{"proc", "/proc"}, {"sysfs", "/sys"}, {"devtmpfs", "/dev"}, {"cgroup2", "/sys/fs/cgroup"},
		{"tmpfs", "/tmp"}, {"tmpfs", "/run"},
	} {
		if err := unix.Mount(m.kind, m.dir, m.kind, 0, ""); err != nil && !errors.Is(err, unix.EBUSY) {
			return fmt.Errorf("mount %s: %w", m.dir, err)
		}
	}
	return nil
}

// load loads the modules of a folder, in the order of their names.
func load(folder string) error {
	files, err := os.ReadDir(filepath.Join("/modules", folder))
	if err != nil {
		return err
	}
	for _, f := range files {
		file, err := os.Open(filepath.Join("/modules", folder, f.Name()))
		if err != nil {
			return err
		}
		err = unix.FinitModule(int(file.Fd()), "", 0)
		_ = file.Close()
		if err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("load %s: %w", f.Name(), err)
		}
	}
	return nil
}

// report prints one check as sekisho/service/lab/stock reads it.
func report(name string, began time.Time, err error, says ...string) {
	result, what := "ok", line(says...)
	if err != nil {
		result, what = "FAILED", line(err.Error())
	}
	fmt.Printf("check:\t%s\t%d\t%s\t%s\n", result, time.Since(began).Milliseconds(), name, what)
}

func line(words ...string) string {
	var b bytes.Buffer
	for _, w := range words {
		for _, f := range bytes.Fields([]byte(w)) {
			if b.Len() > 0 {
				b.WriteByte(' ')
			}
			b.Write(f)
		}
	}
	return b.String()
}

// complaints are what the kernel wrote into its log that it should not have had to.
func complaints() error {
	log := make([]byte, 1<<20)
	n, err := unix.Klogctl(unix.SYSLOG_ACTION_READ_ALL, log)
	if err != nil {
		return fmt.Errorf("read the kernel's log: %w", err)
	}
	var all []string
	for l := range bytes.Lines(log[:n]) {
		if slices.ContainsFunc([]string{"WARNING:", "BUG:", "Oops", "Call Trace", "RCU stall", "blocked for more than"}, func(s string) bool { return bytes.Contains(l, []byte(s)) }) {
			all = append(all, string(bytes.TrimSpace(l)))
		}
	}
	if len(all) > 0 {
		return fmt.Errorf("%q", all)
	}
	return nil
}
