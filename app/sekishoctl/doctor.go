package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"sekisho/app/api"
)

// finding is one thing that doctor looked at.
type finding struct {
	What  string   `json:"what"`
	State string   `json:"state"` // "ok", "note" or "wrong"
	Why   string   `json:"why"`
	Do    string   `json:"do,omitempty"`
	Lines []string `json:"lines,omitempty"` // what another program printed

	noService bool
}

const (
	fine  = "ok"
	note  = "note"
	wrong = "wrong"
)

func (c *ctl) doctor() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Check the kernel and the installation, and say what to do",
		Long: `Looks at everything that the firewall needs: the kernel, the service, its socket, your
permissions, the tray app. Exits with 1 if something is wrong, with
3 if there is no service.`,
		Example: "  sudo sekishoctl doctor\n  sekishoctl doctor --json",
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			findings := c.examine(cmd.Context())
			ok := !slices.ContainsFunc(findings, func(f finding) bool { return f.State == wrong })
			if c.json {
				if err := c.printJSON(map[string]any{"ok": ok, "checks": findings}); err != nil {
					return err
				}
			} else {
				c.showFindings(findings, ok)
			}
			if !ok {
				if slices.ContainsFunc(findings, func(f finding) bool { return f.noService }) {
					return &exitError{exitNoService}
				}
				return &exitError{exitFailed}
			}
			return nil
		},
	}
}

func (c *ctl) showFindings(findings []finding, ok bool) {
	for _, f := range findings {
		c.printf("%-5s  %s: %s\n", f.State, f.What, word(f.Why))
		for _, l := range f.Lines {
			c.printf("         %s\n", word(l))
		}
		if f.Do != "" {
			c.printf("       What to do: %s\n", word(f.Do))
		}
	}
	if ok {
		c.printf("\nAll is well.\n")
	} else {
		c.printf("\nSomething is wrong; see above.\n")
	}
}

func (c *ctl) examine(ctx context.Context) []finding {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return []finding{
		checkKernel(ctx),
		checkSocket(c.socket),
		c.checkService(ctx),
		checkPermissions(os.Geteuid()),
		checkTray(),
	}
}

// beside finds another of our programs: next to this one, else in PATH.
func beside(name string) (string, error) {
	if self, err := os.Executable(); err == nil {
		path := filepath.Join(filepath.Dir(self), name)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return path, nil
		}
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", api.Errorf(api.Failed, "%s is not installed: it is neither beside this program nor in PATH", name)
	}
	return path, nil
}

func checkKernel(ctx context.Context) finding {
	f := finding{What: "kernel"}
	path, err := beside("sekishod")
	if err != nil {
		f.State, f.Why, f.Do = wrong, err.Error(), "install the package sekisho again"
		return f
	}
	var out bytes.Buffer
	check := exec.CommandContext(ctx, path, "--check")
	check.Stdout, check.Stderr, check.WaitDelay = &out, &out, time.Second
	err = check.Run()
	for _, l := range strings.Split(out.String(), "\n") {
		if l = strings.TrimRight(l, " "); l != "" {
			f.Lines = append(f.Lines, l)
		}
	}
	switch {
	case err == nil:
		f.State, f.Why = fine, "this kernel can do everything that the firewall needs"
	case os.Geteuid() != 0:
		f.State, f.Why, f.Do = note, "only root can find out fully what this kernel can do", "sudo sekishoctl doctor"
	default:
		f.State, f.Why, f.Do = wrong, "this kernel lacks something: "+path+" --check says what ("+err.Error()+")", "see the lines above; a newer kernel may help"
	}
	return f
}

func checkSocket(path string) finding {
	f := finding{What: "socket", State: fine, Why: path}
	folder := filepath.Dir(path)
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		f.State, f.Why, f.Do = wrong, "there is none at "+path, "start the service: "+api.HowToStart
		return f
	case err != nil:
		f.State, f.Why, f.Do = wrong, err.Error(), "try again with sudo"
		return f
	case info.Mode().Type() != os.ModeSocket:
		f.State, f.Why, f.Do = wrong, path+" is no socket but something else", "move it away and restart the service: sudo systemctl restart sekishod"
		return f
	}
	if info.Mode().Perm()&0o666 != 0o666 {
		f.State, f.Why, f.Do = wrong, path+" is closed to users ("+info.Mode().Perm().String()+")", "restart the service: sudo systemctl restart sekishod"
		return f
	}
	if dir, err := os.Stat(folder); err == nil {
		owner := dir.Sys().(*syscall.Stat_t).Uid
		if owner != 0 && owner != uint32(os.Geteuid()) || dir.Mode().Perm()&0o022 != 0 {
			f.State, f.Why = wrong, fmt.Sprintf("others than root may change the folder %s", folder)
			f.Do = "sudo chown root: " + folder + " && sudo chmod 755 " + folder
		}
	}
	return f
}

func (c *ctl) checkService(ctx context.Context) finding {
	f := finding{What: "service"}
	s, err := c.service().Status(ctx)
	if err != nil {
		f.State, f.Why, f.Do = wrong, err.Error(), "start it: "+api.HowToStart+"; its log: journalctl -u sekishod"
		f.noService = api.CodeOf(err) == api.NoService
		return f
	}
	for _, p := range s.Problems {
		line := p.What
		if p.Do != "" {
			line += ": " + p.Do
		}
		f.Lines = append(f.Lines, line)
	}
	switch {
	case !s.Enforcing:
		f.State, f.Why, f.Do = wrong, "it runs, but nothing is filtered (mode "+string(s.Mode)+")", "sudo sekishoctl mode ask"
	case len(s.Problems) > 0:
		f.State, f.Why = wrong, "it runs and filters, but not all is well"
		f.Do = "see the lines above"
	default:
		f.State, f.Why = fine, fmt.Sprintf("version %s filters, mode %s, decisions in the %s, queue %s", s.Version, s.Mode, s.Kernel.Decisions, s.Kernel.Queue)
	}
	if s.Version != version {
		f.Lines = append(f.Lines, fmt.Sprintf("the service is version %s, this program %s: restart the service after an update", s.Version, version))
	}
	return f
}

// checkPermissions says what the user may do.
func checkPermissions(uid int) finding {
	f := finding{What: "permissions", State: fine}
	if uid == 0 {
		f.Why = "you are root and may do everything"
		return f
	}
	name := fmt.Sprint(uid)
	if u, err := user.LookupId(name); err == nil {
		name = u.Username
	}
	switch {
	case administers(uid):
		f.Why = name + " is an administrator of the firewall (group sekisho)"
	default:
		f.State, f.Why = note, name+" may answer for their own programs, and is no administrator of the firewall"
		f.Do = "to become one: sudo adduser " + name + " sekisho"
	}
	return f
}

// administers reports whether the service will take a user for an administrator.
func administers(uid int) bool {
	if uid == 0 {
		return true
	}
	group, err := user.LookupGroup("sekisho")
	if err != nil {
		return false
	}
	u, err := user.LookupId(fmt.Sprint(uid))
	if err != nil {
		return false
	}
	groups, _ := u.GroupIds() // without them: no administrator
	return slices.Contains(groups, group.Gid)
}

func checkTray() finding {
	f := finding{What: "tray app"}
	path, err := beside("sekisho")
	if err != nil {
		f.State, f.Why, f.Do = note, "it is not installed; questions can be answered in a terminal alone", "sekishoctl ask"
		return f
	}
	if !runs(path) {
		f.State, f.Why, f.Do = note, path+" is installed and does not run, as far as you may see", "start it from the desktop's menu, or with: "+path
		return f
	}
	f.State, f.Why = fine, path+" runs"
	return f
}

// runs reports whether a process that this user may look at runs the program.
func runs(path string) bool {
	wanted, err := os.Stat(path)
	if err != nil {
		return false
	}
	exes, _ := filepath.Glob("/proc/[0-9]*/exe") // fails for a bad pattern alone
	return slices.ContainsFunc(exes, func(exe string) bool {
		is, err := os.Stat(exe)
		return err == nil && os.SameFile(is, wanted)
	})
}
