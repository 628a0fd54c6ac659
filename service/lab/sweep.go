package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Sweep removes what labs of processes that have ended left behind: their programs,
// control groups and files. Labs of living processes are left alone.
func Sweep() error {
	var all error
	if root, err := cgroupRoot(); err == nil {
		all = errors.Join(all, sweepDir(root, removeCgroup))
	}
	return errors.Join(all, sweepDir(os.TempDir(), removeFiles))
}

func sweepDir(dir string, remove func(string) error) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("sweep: %w", err)
	}
	var all error
	for _, e := range entries {
		if isLeftover(e.Name()) {
			all = errors.Join(all, remove(filepath.Join(dir, e.Name())))
		}
	}
	return all
}

// servicesFile lists, in a lab's folder, the services that ran on the machine itself: a
// line of program and state folder for each. What they left in the kernel outlives
// the process, unlike what is on the lab's own hosts.
const servicesFile = "services"

func (l *Lab) noteService(daemon, state string) error {
	if l.bridge != nil {
		return nil
	}
	f, err := os.OpenFile(filepath.Join(l.Dir, servicesFile), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "%s\t%s\n", daemon, state)
	return errors.Join(err, f.Close())
}

// removeFiles removes a lab's folder, and first what its services left on the machine.
func removeFiles(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	// Anybody may make a folder of that name; only our own says what to run.
	if owner, ok := info.Sys().(*syscall.Stat_t); !ok || !info.IsDir() || int(owner.Uid) != os.Geteuid() {
		return fmt.Errorf("sweep %s: it is somebody else's", dir)
	}
	services, err := os.ReadFile(filepath.Join(dir, servicesFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for line := range strings.Lines(string(services)) {
		daemon, state, ok := strings.Cut(strings.TrimSpace(line), "\t")
		if !ok {
			continue
		}
		if out, err := exec.Command(daemon, "--cleanup", "--state", state).CombinedOutput(); err != nil {
			return fmt.Errorf("clean up after %s: %w: %s", daemon, err, out)
		}
	}
	return os.RemoveAll(dir)
}

var swept sync.Once

func sweepOnce(t T) {
	swept.Do(func() {
		if err := Sweep(); err != nil {
			t.Logf("sweep earlier labs: %v", err)
		}
	})
}

// living holds the open labs of this process, so that an interrupt can close them.
var living struct {
	sync.Mutex
	labs    map[*Lab]bool
	signals chan os.Signal
}

func register(l *Lab) {
	living.Lock()
	defer living.Unlock()
	if living.labs == nil {
		living.labs = map[*Lab]bool{}
	}
	living.labs[l] = true
	if living.signals == nil {
		living.signals = make(chan os.Signal, 1)
		signal.Notify(living.signals, unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
		go closeOnSignal(living.signals)
	}
}

func unregister(l *Lab) {
	living.Lock()
	defer living.Unlock()
	delete(living.labs, l)
	if len(living.labs) == 0 && living.signals != nil {
		signal.Stop(living.signals)
		close(living.signals)
		living.signals = nil
	}
}

// closeOnSignal closes every lab at the first signal and then lets the signal do what
// it would have done.
func closeOnSignal(signals chan os.Signal) {
	s, ok := <-signals
	if !ok {
		return
	}
	living.Lock()
	var labs []*Lab
	for l := range living.labs {
		labs = append(labs, l)
	}
	living.Unlock()
	for _, l := range labs {
		if err := l.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "close lab:", err)
		}
	}
	signal.Reset(s)
	if number, ok := s.(unix.Signal); ok {
		_ = unix.Kill(os.Getpid(), number)
	}
}
