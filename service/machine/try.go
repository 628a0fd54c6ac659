package machine

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// asUser runs f with the file-system user and group of another account, which is what
// sockets that f opens belong to; the rest of the process goes on as it is.
func asUser(uid, gid uint32, f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	oldGid, err := setFS(unix.SYS_SETFSGID, gid)
	if err != nil {
		return err
	}
	defer setFS(unix.SYS_SETFSGID, oldGid)
	oldUID, err := setFS(unix.SYS_SETFSUID, uid)
	if err != nil {
		return err
	}
	defer setFS(unix.SYS_SETFSUID, oldUID)
	return f()
}

// setFS sets the calling thread's id and returns the one before; the call tells of no
// error, so it is asked whether it was done.
func setFS(call uintptr, id uint32) (uint32, error) {
	old, _, _ := unix.RawSyscall(call, uintptr(id), 0, 0)
	now, _, _ := unix.RawSyscall(call, uintptr(^uint32(0)), 0, 0)
	if uint32(now) != id {
		return uint32(old), fmt.Errorf("become user or group %d: not permitted", id)
	}
	return uint32(old), nil
}
