package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"sekisho/app/api"
	"sekisho/app/prompt"
	"sekisho/app/rule"
)

func (c *ctl) try() *cobra.Command {
	return &cobra.Command{
		Use:   "try -- COMMAND…",
		Short: "Run one command under the firewall's eye, and nothing else",
		Long: `Starts a firewall of its own that sees only this command and what it starts, and asks
you in this terminal what the command may do. Nothing else on this computer is
filtered, nothing is remembered, and every trace is removed at the end. The exit code
is the command's.`,
		Example: `  sudo sekishoctl try -- curl https://example.com
  sudo sekishoctl try -- bash`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("try needs a command, as in: sekishoctl try -- curl https://example.com")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if os.Geteuid() != 0 {
				return api.Errorf(api.NotPermitted, "try has to start a firewall, which only root can do; use: sudo sekishoctl try -- %s", args[0])
			}
			code, err := c.runTrial(cmd.Context(), args)
			if err != nil {
				return err
			}
			if code != 0 {
				return &exitError{code}
			}
			return nil
		},
	}
}

// runTrial runs a command in a trial and gives its exit code.
func (c *ctl) runTrial(ctx context.Context, args []string) (code int, err error) {
	path, err := exec.LookPath(args[0])
	if err != nil {
		c.complain("there is no command %s to run", args[0])
		return exitNoCommand, nil
	}
	// Ctrl-C is the command's, as without us; what is to be tidied up is tidied up after.
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGHUP, syscall.SIGTERM)
	defer signal.Stop(signals)

	t, err := startTrial(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, t.stop()) }()

	cgroup, err := os.Open(t.cgroup)
	if err != nil {
		return 0, err
	}
	defer cgroup.Close()
	command := exec.Command(path, args[1:]...)
	command.Args[0] = args[0]
	command.Stdin, command.Stdout, command.Stderr = c.in, c.out, c.err
	command.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(cgroup.Fd())}

	asking := c.beginAsking(t.socket)
	defer asking.stop()
	select {
	case <-asking.attends: // from now on somebody is there to answer
	case <-asking.ended:
		return 0, asking.err
	case <-time.After(10 * time.Second):
		return 0, api.Errorf(api.Failed, "the firewall of the trial does not answer (%s)", t.lastWords())
	}
	if err := command.Start(); err != nil {
		return 0, api.Errorf(api.Failed, "start %s: %v", args[0], err)
	}
	asking.tty.leader(command.Process.Pid)
	return waitFor(command, signals, t)
}

// waitFor waits for the command. What the terminal sends reaches the command too; what
// was sent to this program alone is passed on.
func waitFor(command *exec.Cmd, signals <-chan os.Signal, t *trial) (int, error) {
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	var late <-chan time.Time
	for {
		select {
		case err := <-ended:
			return exitCode(command, err)
		case s := <-signals:
			if s == syscall.SIGTERM || s == syscall.SIGHUP {
				late = time.After(5 * time.Second)
			} else if isTerminal(command.Stdin) {
				continue
			}
			_ = command.Process.Signal(s) // it may be gone already
		case <-late:
			if err := t.killAll(); err != nil {
				return 0, err
			}
		case <-t.ended:
			why := api.Errorf(api.Failed, "the firewall of the trial ended (%s); the command was stopped", t.lastWords())
			if err := t.killAll(); err != nil {
				return 0, errors.Join(why, err)
			}
			if _, err := exitCode(command, <-ended); err != nil {
				return 0, errors.Join(why, err)
			}
			return 0, why
		}
	}
}

func exitCode(command *exec.Cmd, err error) (int, error) {
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return 0, fmt.Errorf("wait for the command: %w", err)
	}
	if s, ok := command.ProcessState.Sys().(syscall.WaitStatus); ok && s.Signaled() {
		return 128 + int(s.Signal()), nil
	}
	return command.ProcessState.ExitCode(), nil
}

// asking puts what the command wants to the person at the terminal.
type asking struct {
	tty     *tty // nil: there is none
	client  *api.Client
	cancel  context.CancelFunc
	attends chan struct{} // closed when the service knows of us
	ended   chan struct{} // closed when nobody asks any more
	err     error         // why, once ended is closed
}

// beginAsking starts a goroutine that asks until stop is called, or the person quits.
func (c *ctl) beginAsking(socket string) *asking {
	ctx, cancel := context.WithCancel(context.Background())
	a := &asking{tty: openTTY(), client: api.Dial(socket), cancel: cancel, attends: make(chan struct{}), ended: make(chan struct{})}
	go func() {
		defer close(a.ended)
		a.err = c.askDuring(ctx, a)
	}()
	return a
}

func (a *asking) stop() {
	a.cancel()
	<-a.ended
	a.tty.close()
	_ = a.client.Close() // nothing is under way
}

// askDuring asks on the terminal while the command runs. Without a terminal it only
// tells what waits, and the service decides by its setting.
func (c *ctl) askDuring(ctx context.Context, a *asking) error {
	service := &firstEvent{Service: a.client, attends: a.attends}
	if a.tty == nil {
		return service.Watch(ctx, func(e api.Event) {
			if e.Prompt != nil && e.Prompt.State == prompt.Waiting {
				c.complain("%s; nobody can answer here, so the setting for that decides", wants(e.Prompt.Flow))
			}
			if e.Blocked != nil {
				c.complain("blocked %s to %s", programOf(*e.Blocked), remoteOf(*e.Blocked))
			}
		})
	}
	one := asker{service: service, in: a.tty, out: a.tty, given: func(p prompt.Prompt, answer prompt.Answer, r *rule.Rule) {
		fmt.Fprintf(a.tty, "%s\n", given(p.Flow, answer, r))
	}}
	return one.run(ctx)
}

// firstEvent tells when the stream of events is there.
type firstEvent struct {
	api.Service
	attends chan struct{}
	told    bool
}

func (f *firstEvent) Attend(ctx context.Context, each func(api.Event)) error {
	return f.Service.Attend(ctx, f.tell(each))
}

func (f *firstEvent) Watch(ctx context.Context, each func(api.Event)) error {
	return f.Service.Watch(ctx, f.tell(each))
}

func (f *firstEvent) tell(each func(api.Event)) func(api.Event) {
	return func(e api.Event) {
		if !f.told {
			f.told = true
			close(f.attends)
		}
		each(e)
	}
}
