package main

import (
	"bufio"
	"context"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"sekisho/app/flow"
	"sekisho/app/prompt"
	"sekisho/app/rule"
)

func (c *ctl) ask() *cobra.Command {
	var missed bool
	cmd := &cobra.Command{
		Use:   "ask",
		Short: "Answer what waits, here in this terminal",
		Long: `Shows each connection that waits, in plain words, and reads your answer. It goes on
until you type q, press Ctrl-C, or the input ends. What you may type:

` + askHelp,
		Example: `  sekishoctl ask
  sudo sekishoctl ask            system programs too
  echo 'a always' | sekishoctl ask`,
		Args: takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			a := asker{service: c.service(), in: newTyped(c.in), out: c.out, missed: missed}
			if c.json {
				a.out = c.err // stdout is for the answers
			}
			a.given = func(p prompt.Prompt, answer prompt.Answer, r *rule.Rule) {
				if !c.json {
					c.printf("%s\n", given(p.Flow, answer, r))
					return
				}
				_ = c.printJSON(struct { // a closed pipe ends the program by its signal
					Answered string       `json:"answered"`
					Verdict  flow.Verdict `json:"verdict"`
					Rule     *rule.Rule   `json:"rule,omitempty"`
				}{p.ID, verdictOf(answer.Action), r})
			}
			if isTerminal(c.in) {
				c.complain("waiting for questions; q or Ctrl-C ends")
			}
			return a.run(cmd.Context())
		},
	}
	cmd.Flags().BoolVar(&missed, "missed", false, "ask about what was missed too; the answer is for the next time")
	return cmd
}

// typed is stdin: lines that a person types, or that a script pipes in. Its goroutine
// ends with the input or with the process, because a read of a terminal cannot be
// called back.
type typed struct {
	in    io.Reader
	wants chan struct{} // asks for a line
	next  chan string
	done  chan struct{}
	asked bool
	tty   bool
}

func newTyped(in io.Reader) *typed {
	t := &typed{in: in, wants: make(chan struct{}, 1), next: make(chan string), done: make(chan struct{}), tty: isTerminal(in)}
	go t.read()
	return t
}

func (t *typed) read() {
	defer close(t.done)
	s := bufio.NewScanner(t.in)
	for {
		// A script's end has to be seen while nothing is asked; a person's line must
		// not be read before the question is there.
		if t.tty {
			<-t.wants
		}
		if !s.Scan() {
			return
		}
		t.next <- s.Text()
	}
}

// take forgets what was typed before the question was there.
func (t *typed) take() (func(), error) {
	if f, ok := t.in.(*os.File); ok && t.tty {
		_ = unix.IoctlSetInt(int(f.Fd()), unix.TCFLSH, unix.TCIFLUSH) // at worst an old line is taken
	}
	return func() {}, nil
}

func (t *typed) line(ctx context.Context) (string, error) {
	if t.tty && !t.asked {
		t.asked = true
		t.wants <- struct{}{}
	}
	select {
	case s := <-t.next:
		t.asked = false
		return s, nil
	case <-t.done:
		return "", io.EOF
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

func (t *typed) over() <-chan struct{} { return t.done }

func isTerminal(r any) bool {
	f, ok := r.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
