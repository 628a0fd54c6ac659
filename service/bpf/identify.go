package bpf

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"sekisho/app/flow"
)

// identifyAtOnce bounds the files that are open at the same time.
const identifyAtOnce = 256

// Identify tells the identity that a program file will have when it is executed.
func (k *Kernel) Identify(path string) (flow.Executable, error) {
	f, err := os.OpenFile(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return flow.Executable{}, fmt.Errorf("identify: %w", err)
	}
	defer f.Close()
	all, err := k.open()
	if err != nil {
		return flow.Executable{}, fmt.Errorf("identify %s: %w", path, err)
	}
	exe, ok := all[uint32(f.Fd())]
	if !ok {
		return flow.Executable{}, fmt.Errorf("identify %s: the kernel does not show it", path)
	}
	return exe, nil
}

// IdentifyAll is Identify for many files, which costs hardly more than one. Those that
// are not there are left out.
func (k *Kernel) IdentifyAll(paths []string) (map[string]flow.Executable, error) {
	found := make(map[string]flow.Executable, len(paths))
	for len(paths) > 0 {
		n := min(len(paths), identifyAtOnce)
		if err := k.identifySome(paths[:n], found); err != nil {
			return nil, fmt.Errorf("identify %d files: %w", n, err)
		}
		paths = paths[n:]
	}
	return found, nil
}

func (k *Kernel) identifySome(paths []string, found map[string]flow.Executable) error {
	files := make(map[string]int, len(paths))
	defer func() {
		for _, fd := range files {
			_ = unix.Close(fd)
		}
	}()
	for _, p := range paths {
		if _, twice := files[p]; twice {
			continue
		}
		if fd, err := unix.Open(p, unix.O_PATH|unix.O_CLOEXEC, 0); err == nil {
			files[p] = fd
		}
	}
	if len(files) == 0 {
		return nil
	}
	all, err := k.open()
	if err != nil {
		return err
	}
	for p, fd := range files {
		if exe, ok := all[uint32(fd)]; ok {
			found[p] = exe
		}
	}
	return nil
}

// open lists the files that this process has open, by descriptor.
func (k *Kernel) open() (map[uint32]flow.Executable, error) {
	k.identify.Lock()
	defer k.identify.Unlock()
	if err := k.objs.IdentifyTgid.Set(uint32(os.Getpid())); err != nil {
		return nil, err
	}
	all := map[uint32]flow.Executable{}
	err := iterate(k.objs.EachFile, func(r *kernelFileRecord) { all[r.Fd] = fromExecutable(r.Exe) })
	return all, err
}
