package stock

import (
	"bytes"
	"fmt"
)

// initramfs is the file system that a kernel boots with: an archive in cpio's format
// newc (the kernel's Documentation/driver-api/early-userspace/buffer-format.rst).
type initramfs struct {
	b     bytes.Buffer
	inode int
}

const (
	folderMode  = 0o040755
	programMode = 0o100755
	deviceMode  = 0o020600
)

func (r *initramfs) folder(name string) { r.entry(name, folderMode, 0, 0, nil) }

func (r *initramfs) file(name string, content []byte) { r.entry(name, programMode, 0, 0, content) }

// console is the device that the kernel opens for init.
func (r *initramfs) console() { r.entry("dev/console", deviceMode, 5, 1, nil) }

func (r *initramfs) entry(name string, mode, major, minor int, content []byte) {
	r.inode++
	fmt.Fprintf(&r.b, "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%s\x00",
		r.inode, mode, 0, 0, 1, 0, len(content), 0, 0, major, minor, len(name)+1, 0, name)
	r.pad()
	r.b.Write(content)
	r.pad()
}

func (r *initramfs) pad() {
	for r.b.Len()%4 != 0 {
		r.b.WriteByte(0)
	}
}

// close ends the archive and returns it.
func (r *initramfs) close() []byte {
	r.entry("TRAILER!!!", 0, 0, 0, nil)
	return r.b.Bytes()
}
