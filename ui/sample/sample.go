// Package sample holds prompts, connections and states as they come from a service, for
// pictures and tests of the windows. The tray app itself never imports it.
package sample

import (
	"net/netip"
	"time"

	"sekisho/app/flow"
	"sekisho/app/prompt"
)

// Now is the moment at which the samples play.
var Now = time.Date(2026, 11, 22, 16, 0, 0, 0, time.UTC)

// Prompt names and returns one of the samples: "known", "script", "risky", "incoming",
// "unknown". Six of sixty seconds are gone.
func Prompt(name string) prompt.Prompt {
	p := prompt.Prompt{ID: name, Generation: 1, Flows: 1, State: prompt.Waiting, Deadline: Now.Add(54 * time.Second)}
	p.Flow = flow.Flow{
		ID: "flow-" + name, Time: Now.Add(-6 * time.Second), Protocol: flow.TCP, State: flow.Open,
		Local: flow.Endpoint{Addr: netip.MustParseAddr("192.168.1.12"), Port: 40512},
	}
	hana := flow.Process{ProcessID: flow.ProcessID{PID: 48213, Start: 77}, UID: 1000, User: "hana", Dir: "/home/hana"}
	parents := []flow.Ancestor{
		{ProcessID: flow.ProcessID{PID: 4711}, Path: "/usr/bin/bash", Name: "bash"},
		{ProcessID: flow.ProcessID{PID: 4688}, Path: "/usr/bin/xfce4-terminal", Name: "Terminal"},
		{ProcessID: flow.ProcessID{PID: 1201}, Path: "/usr/bin/xfce4-panel", Name: "xfce4-panel"},
		{ProcessID: flow.ProcessID{PID: 1}, Path: "/usr/lib/systemd/systemd", Name: "systemd"},
	}
	switch name {
	case "script":
		hana.Program = flow.Program{Path: "/usr/bin/python3.11", Name: "python3.11", Script: "/home/hana/bin/backup.py", Package: "python3.11-minimal"}
		hana.Args, hana.Parents = []string{"python3", "/home/hana/bin/backup.py", "--to", "my drive"}, parents
		p.Flow.Remote = flow.Endpoint{Addr: netip.MustParseAddr("2606:50c0:8000::154"), Port: 443, Name: "raw.githubusercontent.com"}
	case "risky":
		hana.Program = flow.Program{Path: "/home/hana/Downloads/invoice-viewer", Name: "invoice-viewer", SHA256: "9f2b77c041aa8d310c55e0a7aa5209b19f2b77c041aa8d310c55e0d3e0d35b18"}
		hana.Args = []string{"./invoice-viewer"}
		hana.Parents = []flow.Ancestor{{ProcessID: flow.ProcessID{PID: 2077}, Path: "/usr/bin/thunar", Name: "Files"}}
		p.Flow.Remote = flow.Endpoint{Addr: netip.MustParseAddr("185.220.101.47"), Port: 4444}
		p.Warnings = []prompt.Warning{
			{Code: prompt.WarnNoName, Text: "It connects to a bare address that it never looked up"},
			{Code: prompt.WarnWritableFolder, Text: "The program is in a folder that its user can write to", Value: "/home/hana/Downloads"},
		}
	case "incoming":
		hana.Program = flow.Program{Path: "/usr/bin/python3.11", Name: "python3.11", Package: "python3.11-minimal"}
		hana.Args, hana.Parents = []string{"python3", "-m", "http.server"}, parents
		hana.Inline = true
		p.Warnings = []prompt.Warning{{Code: prompt.WarnInlineCode, Text: "It runs code from its command line or input, not from a file"}}
		p.Flow.Direction = flow.In
		p.Flow.Local.Port = 8000
		p.Flow.Remote = flow.Endpoint{Addr: netip.MustParseAddr("192.168.1.20"), Port: 51822}
	case "unknown":
		p.Flow.Remote = flow.Endpoint{Addr: netip.MustParseAddr("203.0.113.9"), Port: 123}
		p.Flow.Protocol = flow.UDP
		hana = flow.Process{}
	default:
		hana.Program = flow.Program{Path: "/usr/bin/transmission-gtk", Name: "Transmission", Package: "transmission-gtk"}
		hana.Args, hana.Parents = []string{"transmission-gtk", "debian-12.torrent"}, parents[2:]
		hana.Unit = "app-transmission.scope"
		p.Flow.Remote = flow.Endpoint{Addr: netip.MustParseAddr("130.89.148.77"), Port: 443, Name: "tracker.debian.org"}
		p.Flows = 3
	}
	p.Flow.Process = &hana
	p.Scopes = prompt.Scopes(p.Flow)
	return p
}
