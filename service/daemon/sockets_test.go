package daemon

import (
	"testing"

	"golang.org/x/sys/unix"

	"sekisho/service/engine"
)

// The sockets of other network namespaces are listed and ended where they are; those of a
// namespace that is gone are not.
func TestSocketsElsewhere(t *testing.T) {
	var cookie uint64
	var fd int
	err := inOwnNetns(func() (err error) {
		if fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		if err := unix.Bind(fd, &unix.SockaddrInet4{Port: 4711}); err != nil {
			return err
		}
		if cookie, err = unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_COOKIE); err != nil {
			return err
		}
		done := make(chan error)
		go func() {
			all, err := listSockets()
			if !all.open[cookie] {
				t.Error("a socket in another namespace is not listed")
			}
			done <- err
		}()
		if err := <-done; err != nil {
			return err
		}
		go func() {
			locals, err := sockets{}.Locals(map[uint64]bool{cookie: true})
			if locals[cookie].Port() != 4711 {
				t.Errorf("its local end: %v", locals)
			}
			done <- err
		}()
		if err := <-done; err != nil {
			return err
		}
		go func() {
			n, err := sockets{}.End(func(s engine.Socket) bool { return s.Cookie == cookie && s.Netns != 0 })
			if n != 1 {
				t.Errorf("%d ended", n)
			}
			done <- err
		}()
		return <-done
	})
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if e, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR); err != nil || e != int(unix.ECONNABORTED) {
		t.Errorf("its program sees %d, %v", e, err)
	}
	// Nobody is in that namespace any more.
	all, err := listSockets()
	if err != nil || all.open[cookie] {
		t.Errorf("still listed, %v", err)
	}
}
