package view

import (
	"cmp"
	"fmt"
	"net/netip"
	"path"
	"strconv"
	"strings"

	"sekisho/app/flow"
	"sekisho/app/prompt"
	"sekisho/ui/text"
)

// details are the rows of a prompt's fold. What is unknown has no row.
func details(p prompt.Prompt) []Row {
	f := p.Flow
	pr := f.Process
	if pr == nil {
		pr = &flow.Process{}
	}
	var rows []Row
	add := func(key, value string, mono bool) {
		if value != "" {
			rows = append(rows, Row{text.T(key), value, mono})
		}
	}
	add("prompt.detail.path", text.Safe(pr.Path), true)
	add("prompt.detail.script", text.Safe(pr.Script), true)
	add("prompt.detail.command", text.Safe(commandLine(pr.Args)), true)
	add("prompt.detail.folder", text.Safe(pr.Dir), true)
	add("prompt.detail.checksum", checksum(pr.SHA256), true)
	if pr.PID != 0 {
		add("prompt.detail.process", strconv.Itoa(int(pr.PID)), true)
	}
	add("prompt.detail.parents", ancestry(pr.Parents), false)
	add("prompt.detail.user", account(pr), false)
	add("prompt.detail.unit", text.Safe(pr.Unit), true)
	add("prompt.detail.container", text.Safe(pr.Container), true)
	add("prompt.detail.remote", endpoint(f.Remote, f.Protocol), true)
	add("prompt.detail.local", endpoint(f.Local, f.Protocol), true)
	if p.Flows > 1 {
		add("prompt.detail.flows", strconv.Itoa(p.Flows), false)
	}
	return rows
}

// commandLine joins arguments as a shell would need them.
func commandLine(args []string) string {
	quoted := make([]string, len(args))
	for i, a := range args {
		if a == "" || strings.ContainsAny(a, " \t\n'\"\\$&|;<>*?()") {
			a = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
		quoted[i] = a
	}
	return strings.Join(quoted, " ")
}

// checksum is the beginning and end of a SHA-256, in groups that can be compared.
func checksum(hex string) string {
	if len(hex) < 32 {
		return text.Safe(hex)
	}
	n := len(hex)
	return text.Safe(hex[:4] + " " + hex[4:8] + " " + hex[8:12] + " … " + hex[n-8:n-4] + " " + hex[n-4:])
}

// ancestry is the process tree from the oldest to the nearest.
func ancestry(parents []flow.Ancestor) string {
	var names []string
	for i := len(parents) - 1; i >= 0; i-- {
		a := parents[i]
		if name := cmp.Or(a.Name, path.Base(a.Path)); name != "" && name != "." {
			names = append(names, fmt.Sprintf("%s (%d)", text.Safe(name), a.PID))
		}
	}
	return strings.Join(names, " › ")
}

func account(p *flow.Process) string {
	switch {
	case p.User != "":
		return fmt.Sprintf("%s (%d)", text.Safe(p.User), p.UID)
	case p.Path != "":
		return strconv.Itoa(int(p.UID))
	}
	return ""
}

func endpoint(e flow.Endpoint, p flow.Protocol) string {
	if !e.Addr.IsValid() {
		return ""
	}
	addr := e.Addr.Unmap()
	if e.Port == 0 {
		return addr.String() + "/" + p.String()
	}
	return netip.AddrPortFrom(addr, e.Port).String() + "/" + p.String()
}
