package main

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"sekisho/service/lab"
)

// person is who started the demo: through sudo, or root.
type person struct {
	credential *syscall.Credential
	shell      string
	env        []string
}

// whoAsked finds the person behind sudo.
func whoAsked() (person, error) {
	id := os.Getenv("SUDO_UID")
	if id == "" {
		id = "0"
	}
	account, err := user.LookupId(id)
	if err != nil {
		return person{}, err
	}
	var p person
	uid, err := strconv.ParseUint(account.Uid, 10, 32)
	if err != nil {
		return person{}, err
	}
	gid, err := strconv.ParseUint(account.Gid, 10, 32)
	if err != nil {
		return person{}, err
	}
	groups, err := account.GroupIds()
	if err != nil {
		return person{}, err
	}
	p.credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	for _, g := range groups {
		if n, err := strconv.ParseUint(g, 10, 32); err == nil {
			p.credential.Groups = append(p.credential.Groups, uint32(n))
		}
	}
	p.env = append(os.Environ(), "HOME="+account.HomeDir, "USER="+account.Username, "LOGNAME="+account.Username)
	// sudo may have dropped where the session's sockets are.
	runtimeDir := filepath.Join("/run/user", account.Uid)
	if _, err := os.Stat(runtimeDir); err == nil && os.Getenv("XDG_RUNTIME_DIR") == "" {
		p.env = append(p.env, "XDG_RUNTIME_DIR="+runtimeDir)
	}
	if _, err := os.Stat(filepath.Join(runtimeDir, "bus")); err == nil && os.Getenv("DBUS_SESSION_BUS_ADDRESS") == "" {
		p.env = append(p.env, "DBUS_SESSION_BUS_ADDRESS=unix:path="+filepath.Join(runtimeDir, "bus"))
	}
	p.shell = "/bin/bash"
	if s := os.Getenv("SHELL"); s != "" {
		if _, err := exec.LookPath(s); err == nil {
			p.shell = s
		}
	}
	return p, nil
}

// shell is the demo for a person: a shell whose programs are filtered, on this very
// machine, with the tray app on the display.
func shell(s *stage, o options) {
	who, err := whoAsked()
	s.must("find out who you are", err)
	l := lab.NewOnMachine(s)
	s.step("A control group of its own: only what runs in it will be filtered.")
	service := l.Home.Service(lab.Programs(o.programs))
	s.step("The service runs.")
	startTray(s, l, o, service, who)
	s.step("The tray app runs on your display.")
	s.step("This shell, and what you start in it, is now under the firewall's eye.")
	s.say("Try:  curl -I https://example.com     and answer the prompt.")
	s.say("Then: %s/sekishoctl --socket %s rule list", o.programs, service.Socket)
	s.say("Leave it with exit; every trace is removed then.")
	runShell(s, l, o, service, who)
	fmt.Println()
	s.step("You left the shell: removing everything.")
}

// startTray starts the tray app as the person, and sees that it stays.
func startTray(s *stage, l *lab.Lab, o options, service *lab.Service, who person) {
	log, err := os.CreateTemp(l.Dir, "tray-*.log")
	s.must("start tray app", err)
	defer log.Close()
	c := l.Home.Command(s.Context(), filepath.Join(o.programs, "sekisho"), "--socket", service.Socket)
	c.SysProcAttr.Credential = who.credential
	c.Env, c.Stdout, c.Stderr = who.env, log, log
	s.must("start tray app", c.Start())
	go func() { _ = c.Wait() }()
	select {
	case <-c.Done():
		said, _ := os.ReadFile(log.Name())
		s.Fatalf("start tray app: it ended at once:\n%s", said)
	case <-time.After(time.Second):
	}
}

// runShell runs the person's shell in the terminal's foreground, so that what is typed,
// an interrupt too, is for the shell alone, and takes the terminal back afterwards.
func runShell(s *stage, l *lab.Lab, o options, service *lab.Service, who person) {
	signal.Ignore(unix.SIGTTOU) // taking the terminal back raises it
	defer signal.Reset(unix.SIGTTOU)
	c := l.Home.Command(s.Context(), who.shell).Filtered()
	c.SysProcAttr.Credential = who.credential
	c.SysProcAttr.Foreground, c.SysProcAttr.Ctty = true, 0
	c.Env = append(who.env, "PATH="+o.programs+":"+os.Getenv("PATH"), "SEKISHO_SOCKET="+service.Socket)
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	s.must("start shell", c.Start())
	_ = c.Wait() // the exit code of what the person ran last
	s.must("take the terminal back", unix.IoctlSetPointerInt(0, unix.TIOCSPGRP, unix.Getpgrp()))
}
