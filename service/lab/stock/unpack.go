package stock

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// folders are those of a kernel's modules in which all is that the guest may load; the
// rest, hundreds of megabytes of drivers, is not kept.
var folders = []string{"/kernel/net/", "/kernel/lib/", "/kernel/crypto/", "/kernel/arch/x86/crypto/", "/kernel/arch/x86/lib/", "/kernel/drivers/net/veth"}

// unpack keeps of a kernel's packages the image (vmlinuz), the names of what is built
// into it (modules.builtin) and the modules of some folders, all in one folder.
func unpack(dir string, debs []string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	for _, deb := range debs {
		if err := unpackOne(dir, deb); err != nil {
			return fmt.Errorf("unpack %s: %w", filepath.Base(deb), err)
		}
	}
	for _, f := range []string{"vmlinuz", "modules.builtin"} {
		if _, err := os.Stat(filepath.Join(dir, f)); err != nil {
			return fmt.Errorf("no %s in %d packages", f, len(debs))
		}
	}
	return nil
}

func unpackOne(dir, deb string) error {
	c := exec.Command("dpkg-deb", "--fsys-tarfile", deb)
	out, err := c.StdoutPipe()
	if err != nil {
		return err
	}
	c.Stderr = os.Stderr
	if err := c.Start(); err != nil {
		return err
	}
	err = unpackFiles(dir, tar.NewReader(out))
	_, _ = io.Copy(io.Discard, out) // it would end with an error if nobody read to the end
	return errors.Join(err, c.Wait())
}

func unpackFiles(dir string, files *tar.Reader) error {
	for {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if h.Typeflag != tar.TypeReg || !wanted(h.Name) {
			continue
		}
		name, _, _ := strings.Cut(filepath.Base(h.Name), "-") // vmlinuz-RELEASE
		if name != "vmlinuz" {
			name = filepath.Base(h.Name)
		}
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		_, err = io.Copy(f, files)
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
}

func wanted(name string) bool {
	base := filepath.Base(name)
	if strings.HasPrefix(base, "vmlinuz") || base == "modules.builtin" {
		return true
	}
	if !strings.Contains(base, ".ko") {
		return false
	}
	for _, f := range folders {
		if strings.Contains(name, f) {
			return true
		}
	}
	return false
}

// giveBack makes what root made in a folder the property of the person behind sudo, who
// must be able to remove it.
func giveBack(folder string) {
	uid, err := strconv.Atoi(os.Getenv("SUDO_UID"))
	if err != nil || os.Geteuid() != 0 {
		return
	}
	_ = filepath.WalkDir(folder, func(path string, _ fs.DirEntry, err error) error {
		if err == nil {
			err = os.Lchown(path, uid, -1)
		}
		return err
	})
}
