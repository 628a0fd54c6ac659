package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"sekisho/app/api"
)

// The exit codes that scripts rely on.
const (
	exitDone         = 0
	exitFailed       = 1
	exitUsage        = 2
	exitNoService    = 3
	exitNotPermitted = 4
	exitNoCommand    = 127 // of try, as a shell has it
)

// ctl is one run of the program.
type ctl struct {
	socket string
	json   bool
	in     io.Reader
	out    io.Writer
	err    io.Writer
	client *api.Client
}

// usageError is a command line that makes no sense.
type usageError struct{ message string }

func (e *usageError) Error() string { return e.message }

func usagef(format string, args ...any) error {
	return &usageError{message: fmt.Sprintf(format, args...)}
}

// exitError ends the program with a code and without a word: all has been said.
type exitError struct{ code int }

func (e *exitError) Error() string { return fmt.Sprintf("exit %d", e.code) }

// run is the whole program but for the process around it.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := context.WithCancelCause(context.Background())
	defer stop(nil)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	go func() {
		select {
		case s := <-signals:
			stop(&exitError{128 + int(s.(syscall.Signal))})
			signal.Stop(signals) // a second one ends the process
		case <-ctx.Done():
		}
	}()
	c := &ctl{in: stdin, out: stdout, err: stderr}
	defer c.close()
	root := c.root()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	command, err := root.ExecuteContextC(ctx)
	return c.exit(ctx, command, err)
}

// exit says what went wrong and gives the exit code.
func (c *ctl) exit(ctx context.Context, command *cobra.Command, err error) int {
	var (
		silent *exitError
		usage  *usageError
	)
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &silent):
		return silent.code
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		if errors.As(context.Cause(ctx), &silent) {
			return silent.code // interrupted, which whoever did it knows; as a shell has it
		}
		return exitFailed
	case errors.As(err, &usage):
		c.complain("%s; see: %s --help", usage.message, command.CommandPath())
		return exitUsage
	}
	c.complain("%s", err.Error())
	switch api.CodeOf(err) {
	case api.BadRequest:
		return exitUsage
	case api.NoService:
		return exitNoService
	case api.NotPermitted:
		return exitNotPermitted
	}
	return exitFailed
}

// complain prints one line on stderr.
func (c *ctl) complain(format string, args ...any) {
	message := strings.ReplaceAll(fmt.Sprintf(format, args...), "\n", "; ")
	fmt.Fprintf(c.err, "sekishoctl: %s\n", safe(message))
}

// service is the client of the service at --socket.
func (c *ctl) service() *api.Client {
	if c.client == nil {
		c.client = api.Dial(c.socket)
	}
	return c.client
}

func (c *ctl) close() {
	if c.client != nil {
		_ = c.client.Close() // the process ends
	}
}

func (c *ctl) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "sekishoctl",
		Short: "Ask and tell the Sekisho firewall",
		Long: `Sekisho stands between the programs on this computer and the network. Whenever a
program wants to connect and no rule says whether it may, the connection waits and
you are asked. This command shows what waits, answers, and keeps the rules.

Start with:
  sekishoctl status        is the firewall working?
  sekishoctl ask           answer here, in this terminal, what waits
  sekishoctl rule list     what was decided for good
  sekishoctl activity      what was allowed and blocked, and why`,
		Version:           version,
		SilenceErrors:     true,
		SilenceUsage:      true,
		DisableAutoGenTag: true,
		Args:              cobra.ArbitraryArgs,
		RunE:              c.helpOr("sekishoctl"),
	}
	root.SuggestionsMinimumDistance = 2
	root.SetVersionTemplate("sekishoctl {{.Version}}\n")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usagef("%v", oneLine(err)) })
	root.PersistentFlags().StringVar(&c.socket, "socket", api.DefaultSocket, "where the service listens")
	root.PersistentFlags().BoolVar(&c.json, "json", false, "print JSON for scripts: one value, or one object a line for streams")
	root.AddCommand(
		c.status(), c.mode(), c.rule(), c.prompts(), c.answer(), c.ask(), c.connections(), c.activity(), c.programs(),
		c.explain(), c.settings(), c.presets(), c.trust(), c.networks(), c.learn(), c.lists(), c.backup(), c.restore(), c.doctor(), c.try(), c.version(),
	)
	return root
}

// helpOr shows the help of a command that only holds others, and tells an unknown one.
func (c *ctl) helpOr(name string) func(*cobra.Command, []string) error {
	return func(command *cobra.Command, args []string) error {
		if len(args) == 0 {
			return command.Help()
		}
		known := ""
		if near := command.SuggestionsFor(args[0]); len(near) > 0 {
			known = "; did you mean " + strings.Join(near, " or ") + "?"
		}
		return usagef("%s has no command %q%s", name, args[0], known)
	}
}

// takes makes the check that a command gets these arguments; a name in brackets may be
// left out.
func takes(names ...string) cobra.PositionalArgs {
	least := 0
	for _, n := range names {
		if !strings.HasPrefix(n, "[") {
			least++
		}
	}
	return func(command *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return usagef("%s needs %s", command.CommandPath(), names[len(args)])
		case len(args) > len(names) && len(names) == 0:
			return usagef("%s takes no arguments, and %q is one", command.CommandPath(), args[0])
		case len(args) > len(names):
			return usagef("%s does not know what to do with %q", command.CommandPath(), args[len(names)])
		}
		return nil
	}
}

func oneLine(err error) string {
	return strings.Join(strings.Fields(err.Error()), " ")
}

func (c *ctl) version() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version of this program",
		Example: "  sekishoctl version\n  sekishoctl version --json",
		Args:    takes(),
		RunE: func(*cobra.Command, []string) error {
			if c.json {
				return c.printJSON(map[string]string{"version": version})
			}
			c.printf("sekishoctl %s\n", version)
			return nil
		},
	}
}
