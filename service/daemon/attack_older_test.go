package daemon_test

import (
	"strings"
	"testing"
	"time"

	"sekisho/app/api"
)

// What is older than the service is judged by it too: sockets that were opened before,
// also those that an allowed program shares, and those that were in nobody's hands.
func TestAttackOlderSockets(t *testing.T) {
	type older struct {
		name string
		*attack
		now func()
	}
	var all []older
	var good older
	a := newOlderScene(t, func(a *attackScene) {
		target := a.fresh()
		k := a.command(target, a.good.Path, "-target", target.String(), "-hold", "20s", "-wait", "late")
		good = older{"good", k, k.startWaiting()}
		add := func(name string, args ...string) {
			k := a.plan(args...)
			all = append(all, older{name, k, k.startWaiting()})
		}
		for _, kind := range []string{"tcp", "udp", "udp-connected", "raw", "ping"} {
			add("its own, "+kind, "-wait", "-kind", kind, "send")
			add("its own, made afterwards, "+kind, "-wait", "-kind", kind, "late")
			add("an allowed program's, received, "+kind, "-wait", "-kind", kind, "-how", "scm", "passed")
			add("an allowed program's, inherited, "+kind, "-wait", "-kind", kind, "-how", "child", "passed")
			add("an allowed program's that has ended, "+kind, "-wait", "-kind", kind, "-how", "child", "-orphan", "passed")
		}
	})
	a.passes("first")
	good.now()
	good.says("done")
	a.eventually("what an older process of the allowed program sends", good.leaked)
	a.must(good.command.Process.Kill())
	for _, k := range all {
		t.Run(k.name, func(t *testing.T) {
			a.t = t
			k.now()
			k.asks(a.evil.Path)
		})
	}
}

// A socket that was on its way from one process to another when the service came: whose
// it is cannot be known, until somebody is seen to use it.
func TestAttackSocketInFlight(t *testing.T) {
	for _, kind := range []string{"tcp", "udp", "raw", "ping"} {
		t.Run(kind, func(t *testing.T) {
			var k *attack
			var now func()
			a := newOlderScene(t, func(a *attackScene) {
				k = a.plan("-wait", "-kind", kind, "in-flight")
				now = k.startWaiting()
			})
			a.passes("first")
			k.before = a.status().Counters
			now()
			var st api.Status
			a.eventually("a question or a refusal", func() bool {
				st = a.status()
				return st.Counters.Unattributed > k.before.Unattributed || st.Waiting > 0 || k.leaked()
			})
			if st.Waiting > 0 {
				k.asks(a.evil.Path)
				return
			}
			k.ends()
		})
	}
}

// So it is in a container that is older than the service.
func TestAttackOlderContainer(t *testing.T) {
	type older struct {
		name string
		*attack
		now func()
	}
	var all []older
	a := newOlderScene(t, func(a *attackScene) {
		home, box := a.Home, a.AddHost("box")
		a.must(box.Sysctl("net/ipv4/ping_group_range", "0 2147483647"))
		a.Home = box
		defer func() { a.Home = home }()
		add := func(name string, k *attack) { all = append(all, older{name, k, k.startWaiting()}) }
		for _, kind := range []string{"tcp", "udp", "udp-connected", "raw", "ping"} {
			target := a.fresh()
			add("good "+kind, a.command(target, a.good.Path, "-target", target.String(), "-hold", "20s", "-kind", kind, "-wait", "send"))
			add("its own, "+kind, a.plan("-wait", "-kind", kind, "send"))
			add("an allowed program's, received, "+kind, a.plan("-wait", "-kind", kind, "-how", "scm", "passed"))
			add("an allowed program's, inherited, "+kind, a.plan("-wait", "-kind", kind, "-how", "child", "passed"))
		}
	})
	for _, k := range all {
		k.now()
	}
	for _, k := range all {
		t.Run(k.name, func(t *testing.T) {
			a.t = t
			if strings.HasPrefix(k.name, "good") {
				a.eventually("what is allowed", k.leaked)
				a.must(k.attack.command.Process.Kill())
				return
			}
			time.Sleep(50 * time.Millisecond)
			k.ends()
		})
	}
}
