package stock

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Kernel is one that a distribution ships, unpacked.
type Kernel struct {
	Release string // what uname calls it
	Image   string // file to boot
	dir     string // with the image and the modules
}

// imageName is what the packages of kernels for ordinary machines are called, on Debian
// (amd64) and on Ubuntu (generic).
var imageName = regexp.MustCompile(`^linux-image-([0-9][0-9a-z.+~]*(?:-[0-9]+)?-(amd64|generic))$`)

// Kernels names those to try: what Find takes. On Debian and what comes from it they are
// of the two releases that most people have, with all also those that are to come; on
// Ubuntu, whose package sources have no kernels of Debian, its own two of its release.
func Kernels(all bool) ([]string, error) {
	if runtime.GOARCH != "amd64" {
		return nil, fmt.Errorf("kernels are tried on amd64 only, not on %s", runtime.GOARCH)
	}
	for _, p := range []string{"qemu-system-x86_64", "apt-get", "dpkg-deb", "xz", "zstd"} {
		if _, err := exec.LookPath(p); err != nil {
			return nil, fmt.Errorf("%w: run .ci/install kernels", err)
		}
	}
	release, err := osRelease()
	switch {
	case err != nil:
		return nil, err
	case release["ID"] == "ubuntu":
		return []string{"linux-image-generic", "linux-image-generic-hwe-" + release["VERSION_ID"]}, nil
	case all:
		return []string{"6.1", "6.12", "6.18", "7"}, nil
	}
	return []string{"6.1", "6.12"}, nil
}

// osRelease reads what the system says that it is (os-release(5)).
func osRelease() (map[string]string, error) {
	b, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return nil, fmt.Errorf("which distribution is this? %w", err)
	}
	all := map[string]string{}
	for l := range strings.Lines(string(b)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(l), "="); ok {
			all[name] = strings.Trim(value, `"'`)
		}
	}
	return all, nil
}

// Find returns the newest kernel of a series, such as "6.12", or "7" for all of 7.x, or
// the one that a package such as linux-image-generic stands for. It looks into the
// machine's own lists of packages, and for a series then into those of Debian's other
// suites. What it finds is kept in a folder: what is there already is not downloaded
// again, and what cannot be looked up any more is taken from there.
func Find(folder, series string) (*Kernel, error) {
	folder, err := filepath.Abs(folder)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, err
	}
	defer giveBack(folder)
	lock, err := os.OpenFile(filepath.Join(folder, ".lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return nil, fmt.Errorf("lock %s: %w", lock.Name(), err)
	}
	k, err := find(folder, series)
	if err != nil {
		if kept := newest(keptIn(folder), series); kept != "" {
			return kernelIn(folder, kept)
		}
		return nil, fmt.Errorf("find a kernel %s: %w", series, err)
	}
	return k, nil
}

func find(folder, series string) (*Kernel, error) {
	k, ownErr := own.find(folder, series)
	if ownErr == nil {
		return k, nil
	}
	if strings.HasPrefix(series, "linux-") {
		return nil, ownErr
	}
	other, err := private(filepath.Join(folder, "apt"))
	if err == nil {
		err = other.update()
	}
	if err == nil {
		k, err = other.find(folder, series)
	}
	if err != nil {
		return nil, errors.Join(ownErr, err)
	}
	return k, nil
}

// find takes the newest kernel of a series in the lists.
func (l lists) find(folder, series string) (*Kernel, error) {
	names, err := l.kernels()
	if err != nil {
		return nil, err
	}
	release, err := l.release(names, series)
	if err != nil {
		return nil, err
	}
	if k, err := kernelIn(folder, release); err == nil {
		return k, nil
	}
	if err := l.fetch(folder, release, names); err != nil {
		// The lists may be older than what the mirror still has.
		if updateErr := l.update(); updateErr != nil {
			return nil, errors.Join(err, updateErr)
		}
		if names, err = l.kernels(); err != nil {
			return nil, err
		}
		if release, err = l.release(names, series); err != nil {
			return nil, err
		}
		if err := l.fetch(folder, release, names); err != nil {
			return nil, err
		}
	}
	return kernelIn(folder, release)
}

// release is the one of the kernel that is meant.
func (l lists) release(names []string, series string) (string, error) {
	if strings.HasPrefix(series, "linux-") {
		needed, err := l.needed(series)
		if err != nil {
			return "", err
		}
		names, series = needed, ""
	}
	if r := newest(releases(names), series); r != "" {
		return r, nil
	}
	return "", fmt.Errorf("%s have none", l.name)
}

// fetch downloads a kernel and keeps of it what is needed.
func (l lists) fetch(folder, release string, names []string) error {
	var packages []string
	for _, part := range []string{"image", "binary", "base", "modules", "modules-extra"} {
		if name := "linux-" + part + "-" + release; slices.Contains(names, name) {
			packages = append(packages, name)
		}
	}
	fresh, err := os.MkdirTemp(folder, ".fresh-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(fresh) }()
	debs, err := l.download(fresh, packages)
	if err != nil {
		return err
	}
	kept := filepath.Join(fresh, "kernel")
	if err := unpack(kept, debs); err != nil {
		return err
	}
	return os.Rename(kept, filepath.Join(folder, release))
}

func kernelIn(folder, release string) (*Kernel, error) {
	k := &Kernel{Release: release, dir: filepath.Join(folder, release)}
	k.Image = filepath.Join(k.dir, "vmlinuz")
	_, err := os.Stat(k.Image)
	return k, err
}

func keptIn(folder string) []string {
	images, err := filepath.Glob(filepath.Join(folder, "*", "vmlinuz"))
	if err != nil {
		return nil
	}
	var all []string
	for _, i := range images {
		all = append(all, filepath.Base(filepath.Dir(i)))
	}
	return all
}

// releases are those of the kernels among packages.
func releases(packages []string) []string {
	var all []string
	for _, p := range packages {
		if m := imageName.FindStringSubmatch(p); m != nil {
			all = append(all, m[1])
		}
	}
	return all
}

// newest is the newest of the releases that are of a series ("": of any); "" if none is.
func newest(releases []string, series string) string {
	best := ""
	for _, r := range releases {
		rest, ok := strings.CutPrefix(r, series)
		if ok && (series == "" || rest == "" || rest[0] == '.') && (best == "" || slices.Compare(numbers(best), numbers(r)) < 0) {
			best = r
		}
	}
	return best
}

// numbers are those in a release, in order: enough to compare two.
func numbers(release string) []int {
	var all []int
	for _, w := range strings.FieldsFunc(release, func(r rune) bool { return r < '0' || r > '9' }) {
		if n, err := strconv.Atoi(w); err == nil {
			all = append(all, n)
		}
	}
	return all
}
