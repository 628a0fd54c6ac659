package prompt

import (
	"net/netip"
	"time"

	"sekisho/app/flow"
	"sekisho/app/rule"
)

var now = rule.Clock{Boot: "b-1", Since: time.Hour, Wall: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}

// firefox is a child of Firefox that a shell started.
func firefox() *flow.Process {
	const path, name = "/usr/lib/firefox/firefox", "Firefox"
	return &flow.Process{
		ProcessID: flow.ProcessID{PID: 30, Start: 300}, UID: 1000, User: "alice",
		Program: flow.Program{Path: path, Name: name},
		Parents: []flow.Ancestor{
			{ProcessID: flow.ProcessID{PID: 29, Start: 290}, Path: path, Name: name},
			{ProcessID: flow.ProcessID{PID: 20, Start: 200}, Path: path, Name: name},
			{ProcessID: flow.ProcessID{PID: 10, Start: 100}, Path: "/usr/bin/bash", Name: "bash"},
			{ProcessID: flow.ProcessID{PID: 5, Start: 50}, Path: path, Name: name},
		},
	}
}

// backup is a script that runs under the same interpreter as what started it.
func backup() *flow.Process {
	return &flow.Process{
		ProcessID: flow.ProcessID{PID: 31, Start: 310}, UID: 1000, User: "alice",
		Program: flow.Program{Path: "/usr/bin/python3", Script: "/home/alice/backup.py"},
		Parents: []flow.Ancestor{
			{ProcessID: flow.ProcessID{PID: 21, Start: 210}, Path: "/usr/bin/python3", Name: "schedule.py"},
		},
	}
}

// typed is code that was given to the interpreter on its command line.
func typed() *flow.Process {
	return &flow.Process{
		ProcessID: flow.ProcessID{PID: 32, Start: 320}, UID: 1000, User: "alice",
		Program: flow.Program{Path: "/usr/bin/python3", Inline: true},
		Parents: []flow.Ancestor{
			{ProcessID: flow.ProcessID{PID: 22, Start: 220}, Path: "/usr/bin/python3", Name: "python3"},
		},
	}
}

func outgoing(p *flow.Process) flow.Flow {
	return flow.Flow{
		ID: "f1", Protocol: flow.TCP, Process: p,
		Local:  flow.Endpoint{Addr: netip.MustParseAddr("192.168.1.5"), Port: 50000},
		Remote: flow.Endpoint{Addr: netip.MustParseAddr("192.0.2.1"), Port: 443, Name: "WWW.Example.com."},
	}
}

func incoming(p *flow.Process) flow.Flow {
	return flow.Flow{
		ID: "f2", Direction: flow.In, Protocol: flow.TCP, Process: p,
		Local:  flow.Endpoint{Addr: netip.MustParseAddr("192.168.1.5"), Port: 8000},
		Remote: flow.Endpoint{Addr: netip.MustParseAddr("::ffff:192.168.1.20"), Port: 51000},
	}
}

func ask(f flow.Flow) Prompt {
	return Prompt{ID: "p1", Generation: 3, Flow: f, Flows: 1, State: Waiting, Scopes: Scopes(f)}
}
