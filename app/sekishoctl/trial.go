package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"sekisho/app/api"
)

// trial is a service of its own with a control group that it filters.
type trial struct {
	daemon  string // path of sekishod
	dir     string // holds all of its files
	state   string
	socket  string
	cgroup  string
	service *exec.Cmd
	ended   chan struct{} // closed when the service has ended
}

// startTrial makes the folders and the control group, starts the service, and waits
// until it says that it is ready. Whatever it made is removed again if that fails.
func startTrial(ctx context.Context) (_ *trial, err error) {
	t := &trial{ended: make(chan struct{})}
	if t.daemon, err = beside("sekishod"); err != nil {
		return nil, err
	}
	mount, err := cgroupMount("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	if t.dir, err = os.MkdirTemp("", "sekisho-try-"); err != nil {
		return nil, err
	}
	t.state, t.socket = filepath.Join(t.dir, "state"), filepath.Join(t.dir, "run", "sekisho.sock")
	t.cgroup = filepath.Join(mount, filepath.Base(t.dir))
	defer func() {
		if err != nil {
			err = errors.Join(err, t.stop())
		}
	}()
	if err = os.Mkdir(t.cgroup, 0o755); err != nil {
		t.cgroup = ""
		return nil, fmt.Errorf("make a control group: %w", err)
	}
	if err = os.Mkdir(t.state, 0o700); err != nil {
		return nil, err
	}
	if err = t.start(ctx); err != nil {
		return nil, err
	}
	return t, nil
}

func (t *trial) start(ctx context.Context) error {
	notify := filepath.Join(t.dir, "notify")
	ready, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: notify, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("listen for readiness: %w", err)
	}
	defer ready.Close()
	log, err := os.OpenFile(t.logFile(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	t.service = exec.Command(t.daemon, "--state", t.state, "--socket", t.socket, "--cgroup", t.cgroup)
	t.service.Stdout, t.service.Stderr = log, log
	t.service.Env = append(os.Environ(), "NOTIFY_SOCKET="+notify)
	// A group of its own: Ctrl-C is for the command.
	t.service.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := t.service.Start(); err != nil {
		t.service = nil
		return fmt.Errorf("start %s: %w", t.daemon, err)
	}
	go func() {
		_ = t.service.Wait() // lastWords says why
		close(t.ended)
	}()
	told := make(chan error, 1)
	go func() { told <- awaitReady(ready) }()
	select {
	case err := <-told:
		return err
	case <-t.ended:
		return api.Errorf(api.Failed, "the firewall of the trial could not start: %s; sudo sekishoctl doctor says more", t.lastWords())
	case <-ctx.Done():
		return ctx.Err()
	}
}

// awaitReady reads what a service says to sd_notify until it is ready.
func awaitReady(c *net.UnixConn) error {
	if err := c.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return err
	}
	b := make([]byte, 4096)
	for {
		n, err := c.Read(b)
		if err != nil {
			return api.Errorf(api.Failed, "the firewall of the trial did not get ready within 30 s")
		}
		for _, l := range strings.Split(string(b[:n]), "\n") {
			if l == "READY=1" {
				return nil
			}
		}
	}
}

func (t *trial) logFile() string { return filepath.Join(t.dir, "log") }

// lastWords is the last line of the service's log.
func (t *trial) lastWords() string {
	b, _ := os.ReadFile(t.logFile()) // what is not there says nothing
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	if last := lines[len(lines)-1]; last != "" {
		return last
	}
	return "it said nothing"
}

// stop ends what is left of the command and the service, and removes every trace.
func (t *trial) stop() error {
	var errs []error
	if t.cgroup != "" {
		errs = append(errs, t.killAll())
	}
	if t.service != nil {
		_ = t.service.Process.Signal(syscall.SIGTERM) // it may be gone already
		select {
		case <-t.ended:
		case <-time.After(10 * time.Second):
			_ = t.service.Process.Kill()
			<-t.ended
		}
		var out bytes.Buffer
		cleanup := exec.Command(t.daemon, "--cleanup", "--state", t.state)
		cleanup.Stdout, cleanup.Stderr = &out, &out
		if err := cleanup.Run(); err != nil {
			errs = append(errs, api.Errorf(api.Failed, "something may be left in the kernel (%v: %s); remove it with: %s --cleanup --state %s",
				err, strings.TrimSpace(out.String()), t.daemon, t.state))
		}
	}
	if t.cgroup != "" {
		errs = append(errs, removeCgroup(t.cgroup))
	}
	errs = append(errs, os.RemoveAll(t.dir))
	return errors.Join(errs...)
}

// killAll ends every process in the trial's control group.
func (t *trial) killAll() error {
	err := os.WriteFile(filepath.Join(t.cgroup, "cgroup.kill"), []byte("1"), 0)
	if err == nil || errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return fmt.Errorf("end what the command left running: %w", err)
}

// removeCgroup removes a group and those that the command made below it; the last
// process may take a moment to leave.
func removeCgroup(path string) error {
	var err error
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		_ = filepath.WalkDir(path, func(below string, d os.DirEntry, err error) error {
			if err == nil && d.IsDir() && below != path {
				_ = os.Remove(below) // the next round takes what is above it
			}
			return nil
		})
		err = os.Remove(path)
		if err == nil || errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("remove the control group: %w", err)
		}
	}
}

// cgroupMount finds where version 2 of control groups is mounted.
func cgroupMount(mountinfo string) (string, error) {
	f, err := os.Open(mountinfo)
	if err != nil {
		return "", err
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		// id parent major:minor root mount options optional… - type source options
		before, after, ok := strings.Cut(s.Text(), " - ")
		fields := strings.Fields(before)
		if !ok || len(fields) < 6 || fields[3] != "/" || !strings.HasPrefix(after, "cgroup2 ") {
			continue
		}
		return unescape.Replace(fields[4]), nil
	}
	return "", api.Errorf(api.Failed, "control groups (version 2) are not mounted; mount them with: sudo mount -t cgroup2 none /sys/fs/cgroup")
}

// unescape undoes what mountinfo does to paths.
var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
