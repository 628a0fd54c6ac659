package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

const senders = 8

// keepSending begins connections and sends datagrams from many threads, until the end.
func keepSending(o options) error {
	for i := range senders {
		kind := []string{"tcp", "udp"}[i%2]
		fd, err := open(kind, o.target)
		if err != nil {
			return err
		}
		go func() {
			runtime.LockOSThread()
			for {
				_ = send(fd, kind, o.target, "evil")
				if kind == "tcp" {
					_ = unix.Close(fd)
					fd, _ = open(kind, o.target)
					time.Sleep(50 * time.Microsecond)
				}
			}
		}()
	}
	return nil
}

// threads has many threads send while another one executes the allowed program, in this
// process's place or in a child that borrows its memory.
func threads(o options) error {
	idle := []string{o.good, "-hold", "2ms", "idle"}
	if o.how == "exec" { // in a process of its own each time
		self, err := os.Executable()
		if err != nil {
			return err
		}
		for range o.n {
			args := append([]string{self}, o.again("threads", "-how", "become")...)
			p, err := os.StartProcess(self, args, &os.ProcAttr{Files: []*os.File{nil, nil, os.Stderr}})
			if err != nil {
				return err
			}
			if _, err := p.Wait(); err != nil {
				return err
			}
		}
		return nil
	}
	if err := keepSending(o); err != nil {
		return err
	}
	if o.how == "become" {
		time.Sleep(rand.N(3 * time.Millisecond))
		return unix.Exec(o.good, idle, nil)
	}
	for range o.n { // os.StartProcess is vfork, then exec
		p, err := os.StartProcess(o.good, idle, &os.ProcAttr{Files: []*os.File{nil, nil, os.Stderr}})
		if err != nil {
			return err
		}
		if _, err := p.Wait(); err != nil {
			return err
		}
	}
	return nil
}

// alternate is now the attacker, now the allowed program, in one process: n times. As
// the attacker it sends from many threads, on sockets that outlive the execution too.
func alternate(o options) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	other := o.how // the path of the program that this is not
	if self == o.good {
		if o.n <= 0 {
			return nil
		}
		o.n--
	} else if err := keepSending(o); err != nil {
		return err
	} else {
		time.Sleep(rand.N(2 * time.Millisecond))
	}
	args := append([]string{other}, o.again("alternate", "-how", self)...)
	return fmt.Errorf("execute %s, %s left: %w", other, strconv.Itoa(o.n), unix.Exec(other, args, nil))
}

// become executes another program in this process's place, to send.
func become(o options) error {
	if err := o.ready(); err != nil {
		return err
	}
	o.wait = false
	return fmt.Errorf("execute %s: %w", o.how, unix.Exec(o.how, append([]string{o.how}, o.again("send")...), nil))
}
