package stock

import (
	"bytes"
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// module is one of a kernel's, ready to load.
type module struct {
	name    string
	content []byte
	needs   []string // modules that must be loaded before
}

// modules lists those with these names and all that they need, in the order in which
// they load. What is built into the kernel is left out, and so is a name that begins
// with '?' if the kernel has no such module.
func (k *Kernel) modules(names ...string) ([]module, error) {
	builtin, err := os.ReadFile(filepath.Join(k.dir, "modules.builtin"))
	if err != nil {
		return nil, err
	}
	s := &selection{kernel: k, seen: map[string]bool{}}
	for line := range strings.Lines(string(builtin)) {
		s.seen[moduleName(strings.TrimSpace(line))] = true
	}
	for _, n := range names {
		n, optional := strings.CutPrefix(n, "?")
		if err := s.add(n, optional); err != nil {
			return nil, fmt.Errorf("kernel %s: %w", k.Release, err)
		}
	}
	return s.list, nil
}

// selection grows by what each module needs.
type selection struct {
	kernel *Kernel
	seen   map[string]bool
	list   []module
}

func (s *selection) add(name string, optional bool) error {
	if s.seen[name] {
		return nil
	}
	s.seen[name] = true
	m, err := s.kernel.module(name)
	if os.IsNotExist(err) && optional {
		return nil
	}
	if err != nil {
		return fmt.Errorf("module %s: %w", name, err)
	}
	for _, n := range m.needs {
		if err := s.add(n, false); err != nil {
			return err
		}
	}
	s.list = append(s.list, m)
	return nil
}

// module reads one, whatever it is packed with.
func (k *Kernel) module(name string) (module, error) {
	m := module{name: name}
	// In a file's name '-' and '_' are the same.
	files, err := filepath.Glob(filepath.Join(k.dir, strings.ReplaceAll(name, "_", `[_\-]`)+".ko*"))
	if err != nil {
		return m, err
	}
	if len(files) == 0 {
		return m, os.ErrNotExist
	}
	if m.content, err = decompress(files[0]); err != nil {
		return m, err
	}
	m.needs, err = needs(m.content)
	return m, err
}

func decompress(file string) ([]byte, error) {
	program := map[string]string{".xz": "xz", ".zst": "zstd", ".gz": "gzip"}[filepath.Ext(file)]
	if program == "" {
		return os.ReadFile(file)
	}
	out, err := exec.Command(program, "-dc", file).Output()
	if err != nil {
		return nil, fmt.Errorf("%s -dc %s: %w", program, file, explained(err))
	}
	return out, nil
}

// needs reads which modules a module says that it stands on.
func needs(content []byte) ([]string, error) {
	f, err := elf.NewFile(bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	section := f.Section(".modinfo")
	if section == nil {
		return nil, fmt.Errorf("it has no .modinfo")
	}
	info, err := section.Data()
	if err != nil {
		return nil, err
	}
	for field := range bytes.SplitSeq(info, []byte{0}) {
		if list, ok := bytes.CutPrefix(field, []byte("depends=")); ok && len(list) > 0 {
			return strings.Split(strings.ReplaceAll(string(list), "-", "_"), ","), nil
		}
	}
	return nil, nil
}

// moduleName is the name of the module in a file.
func moduleName(file string) string {
	name, _, _ := strings.Cut(filepath.Base(file), ".ko")
	return strings.ReplaceAll(name, "-", "_")
}
