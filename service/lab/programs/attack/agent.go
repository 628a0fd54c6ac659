package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// agent is a running copy of the allowed program that does with one socket what it is
// asked to: programs that lend their sockets exist, and most do it without knowing.
type agent struct {
	conn    int
	process *os.Process
}

// startAgent starts the allowed program, with files from descriptor 4 on.
func startAgent(path string, inherited ...int) (*agent, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	files := []*os.File{os.Stdin, os.Stdout, os.Stderr, os.NewFile(uintptr(pair[1]), "agent")}
	for _, fd := range inherited {
		files = append(files, os.NewFile(uintptr(fd), "lent"))
	}
	p, err := os.StartProcess(path, []string{path, "agent"}, &os.ProcAttr{Files: files})
	if err != nil {
		return nil, err
	}
	return &agent{pair[0], p}, unix.Close(pair[1])
}

// do has the agent do something and returns what it says, and the socket if it sends one.
func (a *agent) do(words ...string) (string, int, error) { return a.doWith(-1, words...) }

func (a *agent) doWith(fd int, words ...string) (string, int, error) {
	if err := tell(a.conn, strings.Join(words, " "), fd); err != nil {
		return "", -1, err
	}
	return a.hear(words)
}

func (a *agent) hear(words []string) (string, int, error) {
	reply, fd, err := hear(a.conn)
	if err == nil && strings.HasPrefix(reply, "error ") {
		err = errors.New(reply)
	}
	if err != nil {
		return "", -1, fmt.Errorf("agent, %q: %w", words, err)
	}
	return reply, fd, nil
}

func tell(conn int, words string, fd int) error {
	var rights []byte
	if fd >= 0 {
		rights = unix.UnixRights(fd)
	}
	return unix.Sendmsg(conn, []byte(words), rights, nil, 0)
}

func hear(conn int) (string, int, error) {
	b, control := make([]byte, 4096), make([]byte, 64)
	for {
		n, m, _, _, err := unix.Recvmsg(conn, b, control, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return "", -1, err
		}
		if n == 0 {
			return "", -1, errors.New("the other end is gone")
		}
		messages, err := unix.ParseSocketControlMessage(control[:m])
		if err != nil || len(messages) == 0 {
			return string(b[:n]), -1, err
		}
		fds, err := unix.ParseUnixRights(&messages[0])
		if err != nil {
			return "", -1, err
		}
		return string(b[:n]), fds[0], nil
	}
}

// agentMain is the allowed program's side, at descriptor 3; a socket may wait at 4.
func agentMain(options) error {
	socket := -1
	if _, err := unix.FcntlInt(lent+1, unix.F_GETFD, 0); err == nil {
		socket = lent + 1
	}
	for {
		words, fd, err := hear(lent)
		if err != nil {
			return nil // who asked is gone
		}
		if fd >= 0 {
			socket = fd
		}
		reply, give, err := obey(strings.Fields(words), &socket)
		if err != nil {
			reply = "error " + err.Error()
		}
		if err := tell(lent, reply, give); err != nil {
			return nil
		}
		if reply == "gone" {
			return nil
		}
	}
}

func obey(words []string, socket *int) (reply string, give int, err error) {
	arg := func(i int) string { return words[i] }
	target := func(i int) netip.AddrPort {
		a, parseErr := netip.ParseAddrPort(words[i])
		err = errors.Join(err, parseErr)
		return a
	}
	switch words[0] {
	case "take":
		return "ok", -1, nil
	case "open": // KIND TARGET
		*socket, err = open(arg(1), target(2))
		return "ok " + strconv.Itoa(*socket), -1, err
	case "use": // KIND TARGET
		return "ok", -1, send(*socket, arg(1), target(2), "good")
	case "loop": // KIND TARGET N
		n, err := strconv.Atoi(arg(3))
		if err != nil {
			return "", -1, err
		}
		to := target(2)
		for range n {
			_ = send(*socket, arg(1), to, "good") // the queue may be full
		}
		return "ok", -1, nil
	case "give":
		return "ok", *socket, nil
	case "run": // PATH ARGUMENT…, with the socket
		c := exec.Command(arg(1), words[2:]...)
		c.ExtraFiles = []*os.File{os.NewFile(uintptr(*socket), "lent")}
		c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
		return "ok", -1, c.Start()
	case "sleep":
		d, err := time.ParseDuration(arg(1))
		time.Sleep(d)
		return "ok", -1, err
	case "exit":
		return "gone", -1, nil
	}
	return "", -1, fmt.Errorf("%q is not known", words)
}
