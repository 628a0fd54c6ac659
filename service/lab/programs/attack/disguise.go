package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// pretend has the process say of itself that it is the allowed program, and sends.
func pretend(o options) error {
	var err error
	switch o.how {
	case "comm":
		name := append([]byte(filepath.Base(o.good)), 0)
		err = unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(&name[0])), 0, 0, 0)
	case "exe":
		err = becomeExe(o.good)
	}
	if err != nil {
		return fmt.Errorf("pretend by %s: %w", o.how, err)
	}
	return sendOnly(o)
}

// mapping is one line of /proc/self/maps.
type mapping struct {
	from, to uintptr
	prot     int
}

func ownMappings(self string) ([]mapping, error) {
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return nil, err
	}
	var list []mapping
	for line := range strings.Lines(string(maps)) {
		if !strings.HasSuffix(line, " "+self+"\n") {
			continue
		}
		var m mapping
		var rights string
		if _, err := fmt.Sscanf(line, "%x-%x %s", &m.from, &m.to, &rights); err != nil {
			return nil, err
		}
		for i, p := range []int{unix.PROT_READ, unix.PROT_WRITE, unix.PROT_EXEC} {
			if rights[i] != '-' {
				m.prot |= p
			}
		}
		list = append(list, m)
	}
	return list, nil
}

// becomeExe makes /proc/self/exe say path, which needs rights that everybody has in a
// user namespace of their own. The kernel wants the old file's pages gone first, so they
// are replaced by copies.
func becomeExe(path string) error {
	debug.SetGCPercent(-1) // nothing moves meanwhile
	self, err := os.Executable()
	if err != nil {
		return err
	}
	file, err := unix.Open(path, unix.O_RDONLY, 0)
	if err != nil {
		return err
	}
	now, err := memoryMap(file)
	if err != nil {
		return err
	}
	mappings, err := ownMappings(self)
	if err != nil {
		return err
	}
	for _, m := range mappings {
		if err := m.detach(); err != nil {
			return err
		}
	}
	_, _, errno := unix.Syscall6(unix.SYS_PRCTL, unix.PR_SET_MM, unix.PR_SET_MM_MAP, uintptr(unsafe.Pointer(now)), unsafe.Sizeof(*now), 0, 0)
	if errno != 0 {
		return fmt.Errorf("PR_SET_MM_MAP: %w", errno)
	}
	if exe, err := os.Readlink("/proc/self/exe"); err != nil || exe != path {
		return fmt.Errorf("it still runs %s, %w", exe, err)
	}
	return nil
}

// detach puts an anonymous copy in the place of a mapping.
func (m mapping) detach() error {
	size := m.to - m.from
	at, _, errno := unix.Syscall6(unix.SYS_MMAP, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS, ^uintptr(0), 0)
	if errno != 0 {
		return errno
	}
	// The kernel copies: what is at these addresses is not Go's to look at.
	local, remote := unix.Iovec{Base: pointer(at), Len: uint64(size)}, unix.RemoteIovec{Base: m.from, Len: int(size)}
	if n, err := unix.ProcessVMReadv(os.Getpid(), []unix.Iovec{local}, []unix.RemoteIovec{remote}, 0); err != nil || n != int(size) {
		return fmt.Errorf("copy %d of %d bytes: %w", n, size, err)
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_MPROTECT, at, size, uintptr(m.prot)); errno != 0 {
		return errno
	}
	_, _, errno = unix.RawSyscall6(unix.SYS_MREMAP, at, size, size, unix.MREMAP_MAYMOVE|unix.MREMAP_FIXED, m.from, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// pointer is the address that the kernel gave, which is no Go object's.
func pointer(at uintptr) *byte { return *(**byte)(unsafe.Pointer(&at)) }

// memory is struct prctl_mm_map of linux/prctl.h.
type memory struct {
	startCode, endCode, startData, endData, startBrk, brk, startStack uint64
	argStart, argEnd, envStart, envEnd                                uint64
	auxv                                                              uint64
	auxvSize, exe                                                     uint32
}

// memoryMap is what the process has now, with another executable.
func memoryMap(exe int) (*memory, error) {
	stat, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return nil, err
	}
	// From the third field on; the second may hold anything.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	n := func(field int) (v uint64) {
		_, err = fmt.Sscan(string(fields[field-3]), &v)
		return v
	}
	m := &memory{
		startCode: n(26), endCode: n(27), startData: n(45), endData: n(46), startBrk: n(47), startStack: n(28),
		argStart: n(48), argEnd: n(49), envStart: n(50), envEnd: n(51), exe: uint32(exe),
	}
	m.brk = m.startBrk
	return m, err
}

// nameless executes itself from a file that has no name, or another one.
func nameless(o options) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	fd, err := copyToMemory(self, o.how, o.good)
	if err != nil {
		return err
	}
	args := append([]string{o.good}, o.again("send")...)
	switch o.how {
	case "proc": // the file is closed on exec: only the kernel knows it
		return unix.Exec(fmt.Sprintf("/proc/self/fd/%d", fd), args, nil)
	default:
		return execveat(fd, args)
	}
}

// copyToMemory copies a program into a file without a name, or with one that is removed.
func copyToMemory(self, how, good string) (int, error) {
	in, err := os.Open(self)
	if err != nil {
		return 0, err
	}
	defer in.Close()
	if how == "deleted" {
		path := good + ".copy"
		out, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o755)
		if err != nil {
			return 0, err
		}
		if _, err := io.Copy(out, in); err != nil {
			return 0, err
		}
		if err := out.Close(); err != nil {
			return 0, err
		}
		fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
		if err != nil {
			return 0, err
		}
		return fd, os.Remove(path)
	}
	name := filepath.Base(good)
	if how == "climbing" { // the kernel calls it memfd:NAME, whatever is in NAME
		name = "/.." + good
	}
	flags := unix.MFD_CLOEXEC
	if how == "proc" {
		flags = 0
	}
	fd, err := unix.MemfdCreate(name, flags)
	if err != nil {
		return 0, err
	}
	out := os.NewFile(uintptr(fd), name)
	if _, err := io.Copy(out, in); err != nil {
		return 0, err
	}
	// Executed for reading only: who may write to it can't execute it.
	again, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", fd), unix.O_RDONLY|flags&unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	return again, out.Close()
}

func execveat(fd int, args []string) error {
	argv, err := syscall.SlicePtrFromStrings(args)
	if err != nil {
		return err
	}
	env := []*byte{nil}
	empty := []byte{0}
	_, _, errno := unix.Syscall6(unix.SYS_EXECVEAT, uintptr(fd), uintptr(unsafe.Pointer(&empty[0])),
		uintptr(unsafe.Pointer(&argv[0])), uintptr(unsafe.Pointer(&env[0])), unix.AT_EMPTY_PATH, 0)
	return fmt.Errorf("execveat: %w", errno)
}
