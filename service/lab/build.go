package lab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Build compiles a main package of this module, given by its path below the module's
// root, and returns the program's file. Programs are kept in build/lab between runs,
// where the go command sees by itself whether they are current.
func Build(t T, pkg string) string {
	t.Helper()
	file, err := build(pkg)
	if err != nil {
		t.Fatalf("build %s: %v", pkg, err)
	}
	return file
}

// built is where the programs are where nothing can be compiled.
var built string

// TakePrograms has Build take programs from a folder from now on instead of compiling
// them: a virtual machine has no compiler. It is called before there is a lab.
func TakePrograms(dir string) { built = dir }

func build(pkg string) (string, error) {
	if built != "" {
		file := filepath.Join(built, filepath.Base(pkg))
		_, err := os.Stat(file)
		return file, err
	}
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(root, "build", "lab")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	// Tests of several packages run at the same time.
	lock, err := os.OpenFile(filepath.Join(dir, ".lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return "", fmt.Errorf("lock %s: %w", lock.Name(), err)
	}
	file := filepath.Join(dir, filepath.Base(pkg))
	c := exec.Command(goCommand(), "build", "-buildvcs=false", "-o", file, "./"+pkg)
	c.Dir = root
	c.Env = append(os.Environ(), "CGO_ENABLED="+cgo(pkg), "GOFLAGS=")
	if err := asInvoker(c, dir); err != nil {
		return "", err
	}
	if out, err := c.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return file, nil
}

// asInvoker has c run as the person behind sudo, whose folders it writes to: files of
// root in their caches would break every build after this one.
func asInvoker(c *exec.Cmd, dir string) error {
	id := os.Getenv("SUDO_UID")
	if os.Geteuid() != 0 || id == "" || id == "0" {
		return nil
	}
	account, err := user.LookupId(id)
	if err != nil {
		return err
	}
	uid, uidErr := strconv.Atoi(account.Uid)
	gid, gidErr := strconv.Atoi(account.Gid)
	if err := errors.Join(uidErr, gidErr); err != nil {
		return err
	}
	for _, d := range []string{filepath.Dir(dir), dir} {
		if err := os.Chown(d, uid, gid); err != nil {
			return err
		}
	}
	c.Env = append(c.Env, "HOME="+account.HomeDir)
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	return nil
}

// cgo is "1" for the one program that has windows, else "0".
func cgo(pkg string) string {
	if pkg == "app/sekisho" {
		return "1"
	}
	return "0"
}

// goCommand is the go command that is on the path, else where it is usually put.
func goCommand() string {
	if _, err := exec.LookPath("go"); err == nil {
		return "go"
	}
	if root := os.Getenv("GOROOT"); root != "" {
		return filepath.Join(root, "bin", "go")
	}
	return "/usr/local/go/bin/go"
}

// moduleRoot is the folder of the module that the working folder is in: a test runs in
// its package's folder.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(mod), "module sekisho\n") {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("find the module %q above the working folder: no go.mod", "sekisho")
		}
		dir = filepath.Dir(dir)
	}
}
