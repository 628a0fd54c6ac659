package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
)

// Reply is what sekishoctl answered.
type Reply struct {
	Out, Err string
	Code     int // exit code
}

// Ctl runs sekishoctl as root. The error is nil whenever it ran, whatever its exit
// code. It may be called from any goroutine.
func (s *Service) Ctl(ctx context.Context, args ...string) (Reply, error) {
	return s.ctlOf(ctx, s.ctl, nil, args)
}

// CtlAs runs sekishoctl as another user.
func (s *Service) CtlAs(ctx context.Context, uid, gid uint32, args ...string) (Reply, error) {
	// The checkout may be in a folder that nobody else can look into.
	file := s.host.lab.file("sekishoctl")
	if err := copyFile(file, s.ctl); err != nil {
		return Reply{Code: -1}, err
	}
	return s.ctlOf(ctx, file, &syscall.Credential{Uid: uid, Gid: gid}, args)
}

func (s *Service) ctlOf(ctx context.Context, ctl string, who *syscall.Credential, args []string) (Reply, error) {
	// Its socket is a file: it need not run on the host.
	c := exec.CommandContext(ctx, ctl, append([]string{"--socket", s.Socket}, args...)...)
	var out, complaint bytes.Buffer
	c.Stdout, c.Stderr = &out, &complaint
	c.SysProcAttr = &syscall.SysProcAttr{Credential: who}
	err := c.Run()
	r := Reply{Out: out.String(), Err: complaint.String(), Code: c.ProcessState.ExitCode()}
	var exit *exec.ExitError
	if errors.As(err, &exit) && r.Code >= 0 {
		err = nil
	}
	if err != nil {
		return r, fmt.Errorf("sekishoctl %s: %w", strings.Join(args, " "), err)
	}
	return r, nil
}

// CtlJSON runs sekishoctl --json as root and reads its one value into v. An exit code
// other than 0 is an error.
func (s *Service) CtlJSON(ctx context.Context, v any, args ...string) error {
	r, err := s.Ctl(ctx, append([]string{"--json"}, args...)...)
	if err != nil {
		return err
	}
	if r.Code != 0 {
		return fmt.Errorf("sekishoctl %s: exit %d: %s", strings.Join(args, " "), r.Code, strings.TrimSpace(r.Err))
	}
	if err := json.Unmarshal([]byte(r.Out), v); err != nil {
		return fmt.Errorf("sekishoctl %s: %w", strings.Join(args, " "), err)
	}
	return nil
}
