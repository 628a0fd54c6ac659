package main

import (
	"bytes"
	"context"
	"fmt"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sekisho/service/lab"
	"sekisho/ui/uitest"
)

// buildAll builds the demo and the three programs, and returns their folder.
func buildAll(t *testing.T) string {
	for _, pkg := range []string{"app/sekishod", "app/sekishoctl", "app/sekisho"} {
		lab.Build(t, pkg)
	}
	return filepath.Dir(lab.Build(t, "service/lab/demo"))
}

func TestPlaysByItself(t *testing.T) {
	programs, pictures := buildAll(t), t.TempDir()
	out, err := exec.Command(filepath.Join(programs, "demo"), "-play", "-programs", programs, "-pictures", pictures).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("\n%s", out)
	for _, name := range []string{"prompt.png", "window.png"} {
		f, err := os.Open(filepath.Join(pictures, name))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := png.Decode(f); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		f.Close()
	}
}

// terminal is a person at a terminal: what was shown, and the keyboard.
type terminal struct {
	keys *os.File
	mu   sync.Mutex
	seen bytes.Buffer
}

// openTerminal makes a pseudoterminal; other is the program's side.
func openTerminal(t *testing.T) (term *terminal, other *os.File) {
	keys, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { keys.Close() })
	number, err := unix.IoctlGetInt(int(keys.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(keys.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	if other, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	term = &terminal{keys: keys}
	go term.watch()
	return term, other
}

func (m *terminal) watch() {
	b := make([]byte, 4096)
	for {
		n, err := m.keys.Read(b)
		m.mu.Lock()
		m.seen.Write(b[:n])
		m.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (m *terminal) text() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.seen.String()
}

func (m *terminal) await(t *testing.T, words string) {
	t.Helper()
	err := uitest.Until(t.Context(), 30*time.Second, func() error {
		if !strings.Contains(m.text(), words) {
			return fmt.Errorf("%q was not shown", words)
		}
		return nil
	})
	if err != nil {
		t.Fatalf("%v; what was:\n%s", err, m.text())
	}
}

func (m *terminal) enter(t *testing.T, line string) {
	t.Helper()
	if _, err := m.keys.WriteString(line + "\n"); err != nil {
		t.Fatal(err)
	}
}

// The shell runs on a host of a lab, which is the machine as far as it can see.
func TestShellOnADisplay(t *testing.T) {
	programs := buildAll(t)
	l := lab.New(t)
	l.DNS.Set(site, l.Remote.AddAddress(siteAddr))
	web := l.Remote.ServeWeb(80)
	desktop, err := uitest.New(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	l.Cleanup(desktop.Close)

	term, other := openTerminal(t)
	demo := l.Home.Command(context.Background(), filepath.Join(programs, "demo"), "-programs", programs)
	demo.Stdin, demo.Stdout, demo.Stderr = other, other, other
	demo.SysProcAttr.Setsid, demo.SysProcAttr.Setctty = true, true
	demo.Env = append(desktop.Env(), "SHELL=/bin/bash", "TERM=dumb")
	if err := demo.Start(); err != nil {
		t.Fatal(err)
	}
	other.Close()
	term.await(t, "Leave it with exit")

	// What the terminal says of an interrupt is for the shell alone.
	term.enter(t, "sleep 100")
	time.Sleep(300 * time.Millisecond)
	if _, err := term.keys.Write([]byte{3}); err != nil {
		t.Fatal(err)
	}
	term.enter(t, "echo un''harmed")
	term.await(t, "unharmed")

	term.enter(t, "curl -sS http://"+site+"/")
	w, err := desktop.WaitWindow(t.Context(), promptTitle, 20*time.Second)
	if err != nil {
		t.Fatalf("%v\n%s", err, term.text())
	}
	time.Sleep(buttonsWait)
	if err := desktop.ClickIn(t.Context(), w, uitest.PromptAllowX, uitest.PromptButtonsUp); err != nil {
		t.Fatal(err)
	}
	term.await(t, strings.TrimSpace(web.Page))
	term.enter(t, "exit")
	if err := demo.Wait(); err != nil {
		t.Errorf("%v\n%s", err, term.text())
	}
	term.await(t, "Nothing of it is left")
}
