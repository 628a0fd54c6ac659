package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
)

// Command is a program on a host: an exec.Cmd that starts in the host's network
// namespace, with the host's files in /etc, in one of the lab's control groups. It is
// killed when the lab is closed.
//
// Set the fields of exec.Cmd before it starts. One goroutine starts it and waits for
// it.
type Command struct {
	*exec.Cmd

	host   *Host
	cgroup string
	once   sync.Once
	err    error
	done   chan struct{}
}

// Command prepares a program that no firewall looks at.
func (h *Host) Command(ctx context.Context, args ...string) *Command {
	c := &Command{Cmd: exec.CommandContext(ctx, args[0], args[1:]...), host: h, cgroup: h.lab.Others, done: make(chan struct{})}
	// Should this process be killed, its programs are too.
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return c
}

// Filtered puts the program into the lab's filtered control group.
func (c *Command) Filtered() *Command { return c.In(c.host.lab.Filtered) }

// In puts the program into another control group, by its directory.
func (c *Command) In(cgroup string) *Command {
	c.cgroup = cgroup
	return c
}

// As runs the program as another user, without further groups.
func (c *Command) As(uid, gid uint32) *Command {
	c.SysProcAttr.Credential = &syscall.Credential{Uid: uid, Gid: gid}
	return c
}

// Start starts the program.
func (c *Command) Start() error {
	dir, err := os.Open(c.cgroup)
	if err != nil {
		return fmt.Errorf("start %s: %w", c.Path, err)
	}
	defer dir.Close()
	c.SysProcAttr.UseCgroupFD, c.SysProcAttr.CgroupFD = true, int(dir.Fd())
	if err := c.host.ns.do(c.Cmd.Start); err != nil {
		return fmt.Errorf("start %s: %w", c.Path, err)
	}
	l := c.host.lab
	l.mu.Lock()
	l.commands = append(l.commands, c)
	l.mu.Unlock()
	return nil
}

// Wait waits for the program's end, as exec.Cmd.Wait does. It may be called more than
// once and from any goroutine.
func (c *Command) Wait() error {
	c.once.Do(func() {
		c.err = c.Cmd.Wait()
		close(c.done)
	})
	<-c.done
	return c.err
}

// Done is closed when somebody's Wait has returned.
func (c *Command) Done() <-chan struct{} { return c.done }

// Run starts the program and waits for it.
func (c *Command) Run() error {
	if err := c.Start(); err != nil {
		return err
	}
	return c.Wait()
}

// Output runs the program and returns what it printed. The error of a program that
// failed holds what it wrote to its standard error.
func (c *Command) Output() ([]byte, error) {
	var out, complaint bytes.Buffer
	c.Stdout = &out
	if c.Stderr == nil {
		c.Stderr = &complaint
	}
	err := c.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		exit.Stderr = complaint.Bytes()
		err = fmt.Errorf("%s: %w: %s", c.Path, err, bytes.TrimSpace(complaint.Bytes()))
	}
	return out.Bytes(), err
}

// CombinedOutput runs the program and returns all that it printed.
func (c *Command) CombinedOutput() ([]byte, error) {
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	err := c.Run()
	return out.Bytes(), err
}

// end kills the program if it still runs, and reaps it.
func (c *Command) end() {
	_ = c.Process.Kill()
	_ = c.Wait()
}
