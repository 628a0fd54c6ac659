package daemon_test

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"sekisho/app/api"
	"sekisho/app/flow"
	"sekisho/app/rule"
)

// counted is a script that writes down how often it was answered.
const counted = `
import os, threading
n = 0
def answered():
    global n
    n += 1
    with open(sys.argv[0] + '.new', 'w') as f: f.write(str(n))
    os.rename(sys.argv[0] + '.new', sys.argv[0] + '.n')
    time.sleep(0.01)
def ask(u):
    u.settimeout(0.2)
    while True:
        try:
            u.send(b'question')
            u.recv(100)
            answered()
        except OSError: time.sleep(0.01)
def answer(u):
    while True:
        d, peer = u.recvfrom(100)
        u.sendto(d, peer)
`

// answered is how often.
func (k *talker) answered() int {
	b, err := os.ReadFile(k.file + ".n")
	if err != nil {
		return 0
	}
	n, err := strconv.Atoi(string(b))
	if err != nil {
		k.t.Fatal(err)
	}
	return n
}

// Lockdown ends all but what presets name: a lease is renewed, the machine talks to itself
// and is seen by its neighbours.
func TestLockdownKeepsPresets(t *testing.T) {
	s := newCountScene(t)
	kept := map[string]*talker{}
	nobody := func(rule.Program) {} // no rule: presets let them
	start := func(what string, home bool, text string, args ...any) {
		text = counted + fmt.Sprintf(text, args...)
		if !home {
			k := s.talk(false, s.place(false, false, 0), text)
			t.Cleanup(func() { _ = k.Process.Kill(); _ = k.Wait() })
			if what == "" {
				k.ready()
				return
			}
			kept[what] = k
			return
		}
		kept[what] = s.talkAtHome(nobody, s.place(true, false, 0), text)
	}
	for _, l := range []struct {
		what, family   string
		home, remote   string
		client, server int
	}{
		{"DHCP", "socket.AF_INET", s.Home.Addr4.String(), s.Remote.Addr4.String(), 68, 67},
		{"DHCPv6", "socket.AF_INET6", s.Home.Addr6.String(), s.Remote.Addr6.String(), 546, 547},
	} {
		start("", false, "u = socket.socket(%s, socket.SOCK_DGRAM); u.bind((%q, %d)); ready(); answer(u)", l.family, l.remote, l.server)
		start(l.what, true, "u = socket.socket(%s, socket.SOCK_DGRAM); u.bind((%q, %d)); u.connect((%q, %d)); ask(u)", l.family, l.home, l.client, l.remote, l.server)
	}
	start("itself, UDP", true, `
a = udp = socket.socket(type=socket.SOCK_DGRAM); a.bind(('127.0.0.1', 0))
threading.Thread(target=answer, args=(a,), daemon=True).start()
b = socket.socket(type=socket.SOCK_DGRAM); b.connect(a.getsockname()); ask(b)`)
	start("itself, TCP", true, `
l = socket.socket(socket.AF_INET6); l.bind(('::1', 0)); l.listen()
b = socket.create_connection(l.getsockname()[:2]); a = l.accept()[0]
threading.Thread(target=lambda: [a.send(a.recv(100)) for i in range(100000)], daemon=True).start()
ask(b)`)
	start("ping", false, `
u = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP); u.settimeout(0.2)
while True:
    u.sendto(bytes.fromhex('0800f7ff00000000'), (%q, 0))
    try:
        if u.recv(100)[20] == 0: answered()
    except OSError: pass`, s.Home.Addr4)
	goesOn := func(when string) {
		t.Helper()
		for what, k := range kept {
			before := k.answered()
			s.eventually(what+" "+when, func() bool { return k.answered() > before+3 })
		}
	}
	goesOn("before")
	wire := s.Remote.Wire()
	all := s.conversations(func(p rule.Program) { s.allow(rule.Rule{Direction: rule.Both, Program: p}) })
	if err := s.api.SetMode(t.Context(), api.ModeLockdown, 0); err != nil {
		t.Fatal(err)
	}
	at := time.Now()
	goesOn("in lockdown")
	time.Sleep(time.Until(at.Add(300 * time.Millisecond)))
	for _, c := range all {
		c.ended("lockdown", wire, at)
	}
}

// What ends tells its program at once that it was aborted, and the other end that it was
// reset; who tries again is refused.
func TestEndedConnectionSaysSo(t *testing.T) {
	for _, d := range []flow.Direction{flow.Out, flow.In} {
		t.Run(d.String(), func(t *testing.T) {
			s := newCountScene(t)
			place := s.place(d == flow.In, false, 0)
			const says = `
import errno
def failed(f):
    try: f()
    except OSError as e: return errno.errorcode[e.errno]
    return 'nothing'
def hear():
    while c.recv(100): pass
`
			client := says + "c = connect(); c.send(b'x'); ready(); print(failed(hear), flush=True); print(failed(connect), flush=True)"
			server := says + "c = accept(); c.send(b'y'); print(failed(hear), flush=True)"
			var listener, caller *talker
			permit := func(p rule.Program) { s.allow(rule.Rule{Direction: rule.Both, Program: p}) }
			if d == flow.In {
				listener = s.talkAtHome(permit, place, server)
				listener.ready()
				caller = s.talk(false, place, client)
			} else {
				listener = s.talk(false, place, server)
				listener.ready()
				caller = s.talkAtHome(permit, place, client)
			}
			caller.ready()
			home := map[flow.Direction]*talker{flow.In: listener, flow.Out: caller}[d]
			s.eventually("the connection", func() bool { return len(s.live(home.file)) == 1 })
			if err := s.api.SetMode(t.Context(), api.ModeLockdown, 0); err != nil {
				t.Fatal(err)
			}
			for _, k := range []*talker{caller, listener} {
				want := "ECONNRESET"
				if k == home {
					want = "ECONNABORTED"
				}
				if !k.lines.Scan() || k.lines.Text() != want {
					t.Errorf("the program at home %v: %q, want %s", k == home, k.lines.Text(), want)
				}
			}
			if d == flow.Out && (!caller.lines.Scan() || caller.lines.Text() != "ECONNREFUSED") {
				t.Errorf("again: %q", caller.lines.Text())
			}
			_ = caller.Process.Kill()
			_ = caller.Wait()
			_ = listener.Wait()
		})
	}
}
