// Package lab makes test hosts: machines of their own in network namespaces on this
// one, joined by a bridge, with a DNS server, echo servers, a sniffer on the wire,
// programs that connect, and the real service. Tests and the demo stand on it. It is
// never part of what is installed.
//
// Nothing of a lab touches the machine. Its namespaces and links have no names and
// end with the process that made them; its control groups and files carry that
// process's number and start time, so that Sweep can remove what a killed run left.
//
// A Lab and its hosts are made and closed by the test's own goroutine: what fails
// goes to T.Fatalf. Servers and sniffers run goroutines of their own and may be asked
// from any.
package lab

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
)

// T is what a lab needs of a test. *testing.T and *testing.B are one; the demo has
// its own.
type T interface {
	Helper()
	Cleanup(func())
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	// Fatalf ends the calling goroutine.
	Fatalf(format string, args ...any)
	// Failed reports whether Errorf or Fatalf was called.
	Failed() bool
	// Context ends just before the cleanups run.
	Context() context.Context
}

// Lab is a small network of hosts and the control groups of their programs.
type Lab struct {
	// Home is the host that is protected, Remote the rest of the world: its gateway
	// and its DNS server.
	Home, Remote *Host
	// DNS answers on Remote; every host's resolv.conf names it.
	DNS *DNS
	// Filtered is the control group of the programs that the firewall looks at;
	// Others is that of everything else. Both are directories.
	Filtered, Others string
	// Dir holds the lab's files and is removed with it.
	Dir string

	t       T
	name    string
	network int
	cgroup  string
	bridge  *namespace
	hosts   []*Host

	mu       sync.Mutex
	closers  []func() error // run last first
	commands []*Command
	copies   atomic.Int64
	once     sync.Once
	err      error
}

var instances atomic.Int64

// New makes a lab with the hosts Home and Remote. It is removed when t ends, and when
// the process is interrupted. It needs root.
func New(t T) *Lab {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatalf("open lab: network namespaces need root")
	}
	sweepOnce(t)
	l, err := open(t)
	if err != nil {
		t.Fatalf("open lab: %v", err)
	}
	return l
}

func open(t T) (*Lab, error) {
	l := newLab(t)
	if err := l.makeDir(); err != nil {
		return l, err
	}
	if err := l.makeCgroups(); err != nil {
		return l, err
	}
	var err error
	if l.bridge, err = newNamespace(); err != nil {
		return l, err
	}
	l.onClose(func() error { l.bridge.close(); return nil })
	if err := makeBridge(l.bridge); err != nil {
		return l, err
	}
	if l.Home, err = l.addHost("home"); err != nil {
		return l, err
	}
	if l.Remote, err = l.addHost("remote"); err != nil {
		return l, err
	}
	if err := l.Home.routeThrough(l.Remote); err != nil {
		return l, err
	}
	l.DNS = l.Remote.ServeDNS()
	for _, h := range l.hosts {
		if err := h.resolveWith(l.Remote); err != nil {
			return l, err
		}
	}
	return l, nil
}

// newLab is a lab without anything yet, which will be closed with t.
func newLab(t T) *Lab {
	n := instances.Add(1)
	l := &Lab{t: t, name: ownName(n), network: int((int64(os.Getpid())*16 + n) % 254)}
	l.Dir = filepath.Join(os.TempDir(), l.name)
	register(l)
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Errorf("close lab: %v", err)
		}
	})
	return l
}

func (l *Lab) makeDir() error {
	if err := os.Mkdir(l.Dir, 0o755); err != nil {
		return err
	}
	l.onClose(func() error { return os.RemoveAll(l.Dir) })
	return nil
}

// AddHost adds one more host to the network.
func (l *Lab) AddHost(name string) *Host {
	l.t.Helper()
	h, err := l.addHost(name)
	if err == nil {
		err = h.resolveWith(l.Remote)
	}
	if err == nil {
		err = h.routeThrough(l.Remote)
	}
	if err != nil {
		l.t.Fatalf("add host %s: %v", name, err)
	}
	return h
}

// Close ends every program of the lab and removes it. It is called by itself when the
// test ends; more calls return what the first did. It may be called from any goroutine.
func (l *Lab) Close() error {
	l.once.Do(func() {
		l.mu.Lock()
		closers := l.closers
		commands := l.commands
		l.mu.Unlock()
		if err := l.killAll(); err != nil {
			l.err = err
		}
		for _, c := range commands {
			c.end()
		}
		for i := len(closers) - 1; i >= 0; i-- {
			if err := closers[i](); err != nil && l.err == nil {
				l.err = err
			}
		}
		unregister(l)
	})
	return l.err
}

// Cleanup has f called when the lab is closed, before anything of the lab is gone, and
// unlike a test's own cleanups also when the process is interrupted.
func (l *Lab) Cleanup(f func()) { l.onClose(func() error { f(); return nil }) }

// onClose has f called when the lab is closed, before what was there earlier.
func (l *Lab) onClose(f func() error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closers = append(l.closers, f)
}

// file names a fresh file or directory of the lab.
func (l *Lab) file(stem string) string {
	return filepath.Join(l.Dir, fmt.Sprintf("%s-%d", stem, l.copies.Add(1)))
}
