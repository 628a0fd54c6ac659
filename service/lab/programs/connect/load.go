package main

import (
	"errors"
	"io"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// rate makes connections by several workers at once, each a thread.
func (r round) rate(t *timed) error {
	before := runtime.GOMAXPROCS(r.Workers) // none waits while another is in the kernel
	defer runtime.GOMAXPROCS(before)
	var all unix.CPUSet
	for i := range runtime.NumCPU() {
		all.Set(i)
	}
	ready, begin := make(chan error, r.Workers), make(chan struct{})
	each := make([]timed, r.Workers)
	var wg sync.WaitGroup
	var failure error
	for w := range each {
		each[w].Errors = map[string]int{}
		wg.Go(func() {
			runtime.LockOSThread() // and never unlocked: the thread ends with its affinity
			ready <- unix.SchedSetaffinity(0, &all)
			<-begin
			for range r.Count / r.Workers {
				_, _, _, err := timeConnect(r.Target)
				if err := each[w].note(err); err != nil {
					each[w].Error = err.Error()
					return
				}
			}
		})
	}
	for range each {
		failure = errors.Join(failure, <-ready)
	}
	start := time.Now()
	close(begin)
	wg.Wait()
	t.Elapsed = time.Since(start).Nanoseconds()
	for _, e := range each {
		for name, n := range e.Errors {
			t.Errors[name] += n
		}
		if e.Error != "" {
			failure = errors.Join(failure, errors.New(e.Error))
		}
	}
	return failure
}

// requests sends datagrams, each on a new socket, and waits for their answers.
func (r round) requests(t *timed) error {
	if err := r.stay(); err != nil {
		return err
	}
	t.Connect = make([]int64, 0, r.Count)
	payload, reply := make([]byte, r.Size), make([]byte, r.Size)
	wait := unix.NsecToTimeval(int64(2 * time.Second))
	for n := range r.Warm + r.Count {
		start := time.Now()
		fd, err := open("udp", r.Target.Addr())
		if err != nil {
			return err
		}
		err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait)
		if err == nil {
			err = unix.Connect(fd, sockaddr(r.Target))
		}
		if err == nil {
			err = unix.Send(fd, payload, 0)
		}
		if err == nil {
			_, err = unix.Read(fd, reply)
		}
		took := time.Since(start).Nanoseconds()
		err = errors.Join(err, unix.Close(fd))
		if n < r.Warm {
			continue
		}
		if err := t.note(err); err != nil {
			return err
		}
		t.Connect = append(t.Connect, took)
	}
	return nil
}

// stream moves Count bytes over one connection. The other end closes it when it has
// them, or has sent them.
func (r round) stream(t *timed) error {
	if err := r.stay(); err != nil {
		return err
	}
	fd, err := open("tcp", r.Target.Addr())
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.Connect(fd, sockaddr(r.Target)); err != nil {
		return t.note(err)
	}
	piece := make([]byte, 128<<10)
	start := time.Now()
	if r.Kind == "upload" {
		for left := r.Count; left > 0; {
			n, err := unix.Write(fd, piece[:min(left, len(piece))])
			if err != nil {
				return t.note(err)
			}
			left -= n
		}
		if err := unix.Shutdown(fd, unix.SHUT_WR); err != nil {
			return t.note(err)
		}
	}
	got, err := readAll(fd, piece)
	t.Elapsed = time.Since(start).Nanoseconds()
	if err != nil {
		return t.note(err)
	}
	if r.Kind == "download" && got != r.Count {
		return io.ErrUnexpectedEOF
	}
	return nil
}

func readAll(fd int, piece []byte) (n int, err error) {
	for {
		m, err := unix.Read(fd, piece)
		if m <= 0 || err != nil {
			return n, err
		}
		n += m
	}
}

// packets sends datagrams as fast as it can.
func (r round) packets(t *timed) error {
	if err := r.stay(); err != nil {
		return err
	}
	fd, err := open("udp", r.Target.Addr())
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	to, payload := sockaddr(r.Target), make([]byte, r.Size)
	if r.Kind == "packets" {
		if err := unix.Connect(fd, to); err != nil {
			return t.note(err)
		}
		to = nil
	}
	var start time.Time
	for n := range r.Warm + r.Count {
		if n == r.Warm {
			start = time.Now()
		}
		if err := unix.Sendto(fd, payload, 0, to); err != nil && n >= r.Warm {
			if err := t.note(err); err != nil {
				return err
			}
		}
	}
	t.Elapsed = time.Since(start).Nanoseconds()
	return nil
}

// hold opens connections and keeps them.
func (l *load) hold(r round, t *timed) error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	limit.Cur = limit.Max
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	to := r.Target
	start := time.Now()
	for range r.Count {
		fd, err := open("tcp", to.Addr())
		if err != nil {
			return err
		}
		l.held = append(l.held, fd)
		// No port stays in use once they are dropped.
		err = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
		if err == nil {
			err = unix.Connect(fd, sockaddr(to))
		}
		if err := t.note(err); err != nil {
			return err
		}
		to = r.next(to)
	}
	t.Elapsed = time.Since(start).Nanoseconds()
	return nil
}

func (l *load) drop() {
	for _, fd := range l.held {
		_ = unix.Close(fd)
	}
	l.held = nil
}
