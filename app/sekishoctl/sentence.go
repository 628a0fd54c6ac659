package main

import (
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"sekisho/app/flow"
	"sekisho/app/prompt"
	"sekisho/app/rule"
)

// clock is what lifetimes are measured with, on this machine.
func clock() rule.Clock {
	boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id") // without it spans are told by the wall clock
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &t) // cannot fail
	return rule.Clock{Boot: strings.TrimSpace(string(boot)), Since: time.Duration(t.Nano()), Wall: time.Now()}
}

// sentence says a rule as a person would: "Allow /usr/bin/curl to connect to
// example.com, TCP port 443, always".
func sentence(r rule.Rule, now rule.Clock) string {
	var b strings.Builder
	to, connect, reached := " to ", "connect", "be reached"
	if r.Action == rule.Block {
		b.WriteString("Block ")
		to, connect, reached = " from ", "connecting", "being reached"
	} else {
		b.WriteString("Allow ")
	}
	b.WriteString(subject(r.Program))
	where := remoteWords(r.Remote)
	out, in := connect+" to "+where, reached+" from "+where
	if r.Remote.IsAny() {
		out, in = connect+" anywhere", reached+" from anywhere"
	}
	switch r.Direction {
	case rule.In:
		b.WriteString(to + in)
	case rule.Both:
		b.WriteString(to + out + " and" + to + in)
	default:
		b.WriteString(to + out)
	}
	for _, part := range []string{service(r.Protocol, portWords(r.Ports)), userWords(r.User), networkWords(r.Network), lifetimeWords(r, now)} {
		if part != "" {
			b.WriteString(", " + part)
		}
	}
	return b.String()
}

func subject(p rule.Program) string {
	var parts []string
	switch {
	case p.Script != "" && p.Path != "":
		parts = append(parts, word(p.Script)+" (run by "+word(p.Path)+")")
	case p.Script != "":
		parts = append(parts, word(p.Script))
	case p.Path == flow.KernelPath:
		parts = append(parts, theKernel)
	case p.Path == flow.ForwardedPath:
		parts = append(parts, whatIsForwarded)
	case p.Path != "":
		parts = append(parts, word(p.Path))
	}
	for _, f := range []struct{ of, is string }{
		{"of the package ", p.Package}, {"of the app ", p.App}, {"in ", p.Folder}, {"of the unit ", p.Unit}, {"started by ", p.Parent},
		{"with the checksum ", p.SHA256},
	} {
		if f.is == "" {
			continue
		}
		if len(parts) == 0 {
			parts = append(parts, "any program")
		}
		parts = append(parts, f.of+word(f.is))
	}
	if len(parts) == 0 {
		return "any program"
	}
	return strings.Join(parts, " ")
}

func remoteWords(r rule.Remote) string {
	switch {
	case r.LAN:
		return "the local network"
	case r.List != "":
		return "what is on the list " + word(r.List)
	}
	return word(r.String())
}

// networkWords is "on the networks home and work", or nothing.
func networkWords(profiles string) string {
	if profiles == "" {
		return ""
	}
	all := strings.Split(word(profiles), ",")
	if len(all) == 1 {
		return "on the network " + all[0]
	}
	return "on the networks " + strings.Join(all[:len(all)-1], ", ") + " and " + all[len(all)-1]
}

func portWords(ports []rule.PortRange) string {
	if len(ports) == 0 {
		return ""
	}
	words := make([]string, len(ports))
	for i, p := range ports {
		words[i] = p.String()
	}
	if len(ports) == 1 && ports[0].From == ports[0].To {
		return "port " + words[0]
	}
	return "ports " + strings.Join(words, ", ")
}

// service is "TCP port 443", "port 443", "TCP" or nothing.
func service(p flow.Protocol, ports string) string {
	return strings.TrimSpace(protocolWord(p) + " " + ports)
}

func protocolWord(p flow.Protocol) string {
	name := p.String()
	switch {
	case name == "":
		return ""
	case name == "icmpv6":
		return "ICMPv6"
	case name == "udplite":
		return "UDP-Lite"
	case strings.Trim(name, "0123456789") == "":
		return "protocol " + name
	}
	return strings.ToUpper(name)
}

func userWords(u string) string {
	if u == "" {
		return ""
	}
	return "as user " + word(u)
}

func lifetimeWords(r rule.Rule, now rule.Clock) string {
	switch r.Lifetime.Kind {
	case rule.Once:
		return "once"
	case rule.Quit:
		return "until it quits"
	case rule.Boot:
		return "until the computer restarts"
	case rule.Until:
		if left, ok := rule.Left(&r, now); ok && left > 0 {
			return "for another " + span(left)
		}
		return "until now"
	}
	return "always"
}

// What sends packets without being a program of a file.
const (
	theKernel       = "the kernel"
	whatIsForwarded = "forwarded traffic"
)

// program names who is behind a flow: the script or the executable, and never a name
// that a program gave itself.
func programOf(f flow.Flow) string {
	p := f.Process
	switch {
	case p == nil:
		return "an unknown program"
	case p.Kernel:
		return theKernel
	case p.Path == flow.ForwardedPath:
		return whatIsForwarded
	case p.Script != "":
		return word(p.Script)
	case p.Path != "":
		return word(p.Path)
	}
	return "an unknown program"
}

// nameOf is the program's short name.
func nameOf(f flow.Flow) string {
	if f.Process != nil && f.Process.IsFile() {
		if n := f.Process.DisplayName(); n != "" {
			return word(n)
		}
	}
	return filepath.Base(programOf(f))
}

// wants says what a waiting flow is about: "curl wants to connect to example.com, TCP
// port 443".
func wants(f flow.Flow) string {
	port := ""
	if n := prompt.Service(f); n != 0 {
		port = portWords([]rule.PortRange{{From: n, To: n}})
	}
	host := hostOf(f)
	what := nameOf(f) + " wants to connect to " + host
	if f.Direction == flow.In {
		what = host + " wants to reach " + nameOf(f)
	}
	if s := service(f.Protocol, port); s != "" {
		what += ", " + s
	}
	return what
}

func hostOf(f flow.Flow) string {
	if f.Remote.Name == "" && !f.Remote.Addr.IsValid() {
		return "an unknown address"
	}
	return word(flow.Display(f.Remote.Host()))
}

// remoteOf is the other end in a table.
func remoteOf(f flow.Flow) string {
	if !f.Remote.Addr.IsValid() && f.Remote.Name == "" {
		return "-"
	}
	r := f.Remote
	if r.Name != "" {
		r.Name = flow.Display(r.Name)
	}
	return word(r.String())
}

// byWords says what decided a flow.
func byWords(by flow.By) string {
	switch by.Kind {
	case "":
		return ""
	case flow.ByRule:
		return "rule " + word(by.ID)
	case flow.ByAnswer:
		return "your answer"
	case flow.ByMode:
		return "mode " + word(by.Name)
	}
	return strings.TrimSpace(word(string(by.Kind)) + " " + word(by.Name))
}

func verdictWord(v flow.Verdict) string {
	switch v {
	case flow.Allow:
		return "allowed"
	case flow.Block:
		return "blocked"
	}
	return "waiting"
}
