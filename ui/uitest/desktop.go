// Package uitest is a desktop for tests and the demo: a virtual display, a session bus,
// a window manager and a panel with a tray, all started by it and stopped by it, and
// hands and eyes in it: clicks, keys, windows, screenshots, the tray menu.
//
// It needs Xvfb, dbus-daemon, xfwm4, xfce4-panel, xdotool and ImageMagick's import, and
// is never linked into a program that is installed. A Desktop may be used from several
// goroutines; Close must be the last call.
package uitest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/godbus/dbus/v5"
)

// Width and Height are the size of the display in pixels.
const (
	Width  = 1280
	Height = 960
)

// Desktop is a running virtual desktop.
type Desktop struct {
	Display    string // as in DISPLAY: ":99"
	BusAddress string // as in DBUS_SESSION_BUS_ADDRESS
	Dir        string // logs, settings and runtime folder

	mu      sync.Mutex // guards running
	running []*exec.Cmd
}

// New starts a desktop that keeps its files in dir, and waits until its tray is there.
// On failure nothing is left running.
func New(ctx context.Context, dir string) (*Desktop, error) {
	for _, p := range []string{"Xvfb", "dbus-daemon", "xfwm4", "xfce4-panel", "xdotool", "import"} {
		if _, err := exec.LookPath(p); err != nil {
			return nil, fmt.Errorf("start a desktop: %w (apt install xvfb dbus xfwm4 xfce4-panel xdotool imagemagick)", err)
		}
	}
	d := &Desktop{Dir: dir}
	if err := d.start(ctx); err != nil {
		d.Close()
		return nil, fmt.Errorf("start a desktop: %w", err)
	}
	return d, nil
}

func (d *Desktop) start(ctx context.Context) error {
	for _, sub := range []string{"run", "config", "cache", "home"} {
		if err := os.MkdirAll(filepath.Join(d.Dir, sub), 0o700); err != nil {
			return err
		}
	}
	number, err := d.startAnnounced("Xvfb", "-displayfd", "3", "-screen", "0", fmt.Sprintf("%dx%dx24", Width, Height),
		"-nolisten", "tcp", "+extension", "GLX")
	if err != nil {
		return err
	}
	d.Display = ":" + number
	if d.BusAddress, err = d.startAnnounced("dbus-daemon", "--session", "--nofork", "--nopidfile", "--print-address=3"); err != nil {
		return err
	}
	if err := d.writePanel(); err != nil {
		return err
	}
	for _, args := range [][]string{{"xfwm4", "--compositor=off"}, {"xfce4-panel", "--disable-wm-check"}} {
		if err := d.Start(ctx, exec.Command(args[0], args[1:]...)); err != nil {
			return err
		}
	}
	return d.waitTray(ctx)
}

// Env is the environment for programs that are to run in the desktop.
func (d *Desktop) Env() []string {
	var env []string
	for _, v := range os.Environ() {
		name, _, _ := strings.Cut(v, "=")
		switch name {
		case "DISPLAY", "WAYLAND_DISPLAY", "DBUS_SESSION_BUS_ADDRESS", "XAUTHORITY", "HOME", "LANGUAGE", "LC_ALL", "LANG", "FYNE_SCALE",
			"XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME":
			continue
		}
		env = append(env, v)
	}
	env = append(env, "XDG_RUNTIME_DIR="+filepath.Join(d.Dir, "run"), "XDG_CONFIG_HOME="+filepath.Join(d.Dir, "config"),
		"XDG_CACHE_HOME="+filepath.Join(d.Dir, "cache"), "HOME="+filepath.Join(d.Dir, "home"),
		"LC_ALL=C.UTF-8", "FYNE_SCALE=1", "LIBGL_ALWAYS_SOFTWARE=1", "GALLIUM_DRIVER=llvmpipe", "NO_AT_BRIDGE=1")
	if d.Display != "" {
		env = append(env, "DISPLAY="+d.Display)
	}
	if d.BusAddress != "" {
		env = append(env, "DBUS_SESSION_BUS_ADDRESS="+d.BusAddress)
	}
	return env
}

// Start starts a program in the desktop: with its environment (what cmd.Env has comes
// on top), in a process group of its own, its output in a log in Dir unless cmd says
// otherwise. It ends with Stop or Close, at the latest.
func (d *Desktop) Start(ctx context.Context, cmd *exec.Cmd) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	cmd.Env = append(d.Env(), cmd.Env...)
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	log, err := os.OpenFile(d.log(cmd.Path), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close() // the program has its own copy
	if cmd.Stdout == nil {
		cmd.Stdout = log
	}
	if cmd.Stderr == nil {
		cmd.Stderr = log
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.running = append(d.running, cmd)
	return nil
}

// Stop ends a program that Start started, and what it started itself.
func (d *Desktop) Stop(cmd *exec.Cmd) {
	d.mu.Lock()
	for i, c := range d.running {
		if c == cmd {
			d.running = append(d.running[:i], d.running[i+1:]...)
			break
		}
	}
	d.mu.Unlock()
	stop(cmd)
}

// Close ends everything, the last one started first.
func (d *Desktop) Close() {
	d.mu.Lock()
	running := d.running
	d.running = nil
	d.mu.Unlock()
	for i := len(running) - 1; i >= 0; i-- {
		stop(running[i])
	}
}

// stop asks a process group to end, and makes it after two seconds.
func stop(cmd *exec.Cmd) {
	group := -cmd.Process.Pid
	_ = syscall.Kill(group, syscall.SIGTERM)
	over := make(chan struct{})
	go func() {
		_ = cmd.Wait() // how it ended doesn't matter
		close(over)
	}()
	select {
	case <-over:
	case <-time.After(2 * time.Second):
	}
	_ = syscall.Kill(group, syscall.SIGKILL)
	<-over
}

func (d *Desktop) log(program string) string {
	return filepath.Join(d.Dir, filepath.Base(program)+".log")
}

// startAnnounced starts a program that writes one line to file descriptor 3 when it is
// ready, and returns that line.
func (d *Desktop) startAnnounced(name string, args ...string) (string, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return "", err
	}
	defer r.Close()
	cmd := exec.Command(name, args...)
	cmd.ExtraFiles = []*os.File{w}
	err = d.Start(context.Background(), cmd)
	w.Close()
	if err != nil {
		return "", err
	}
	if err := r.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		return "", err
	}
	line, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("%s did not get ready: %w%s", name, err, tail(d.log(name)))
	}
	return strings.TrimSpace(line), nil
}

// waitTray waits until the panel shows tray icons.
func (d *Desktop) waitTray(ctx context.Context) error {
	bus, err := d.bus()
	if err != nil {
		return err
	}
	defer bus.Close()
	const watcher = "org.kde.StatusNotifierWatcher"
	err = Until(ctx, 30*time.Second, func() error {
		v, err := bus.Object(watcher, "/StatusNotifierWatcher").GetProperty(watcher + ".IsStatusNotifierHostRegistered")
		if err != nil {
			return err
		}
		if on, _ := v.Value().(bool); !on {
			return errors.New("no tray")
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("wait for the panel: %w%s", err, tail(d.log("xfce4-panel")))
	}
	return nil
}

func (d *Desktop) bus() (*dbus.Conn, error) {
	c, err := dbus.Connect(d.BusAddress)
	if err != nil {
		return nil, fmt.Errorf("connect to the session bus: %w", err)
	}
	return c, nil
}

// Until calls f about ten times a second until it returns nil, and returns its last
// error when the time is over.
func Until(ctx context.Context, patience time.Duration, f func() error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := f()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// tail is the end of a log, for error messages.
func tail(path string) string {
	b, err := os.ReadFile(path)
	if err != nil || len(b) == 0 {
		return ""
	}
	return "\n" + string(b[max(0, len(b)-2000):])
}
