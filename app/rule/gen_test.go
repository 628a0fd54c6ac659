package rule

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"pgregory.net/rapid"

	"sekisho/app/flow"
)

// Few values for each operand, so that random rules and flows meet often.
var (
	genPaths    = []string{"/usr/bin/curl", "/usr/bin/python3", "/usr/lib/firefox/firefox"}
	genNoFiles  = []string{flow.KernelPath, flow.ForwardedPath}
	genScripts  = []string{"/home/a/backup.py", "/home/a/sync.py"}
	genPackages = []string{"curl", "python3.11-minimal"}
	genApps     = []string{"org.mozilla.firefox", "spotify", "/home/a/Apps/Krita.AppImage"}
	genFolders  = []string{"/usr/bin", "/usr/lib", "/usr", "/home/a", "/usr/lib/firefox"}
	genUnits    = []string{"cron.service", "ssh.service"}
	genSums     = []string{strings.Repeat("a", 64), strings.Repeat("b", 64)}
	genUsers    = []string{"alice", "bob", "0", "1000"}
	genNames    = []string{
		"example.com", "www.example.com", "a.www.example.com", "example.org", "com", "notexample.com", "localhost",
	}
	genAddrs = []string{
		"10.0.0.1", "10.0.0.2", "10.0.0.7", "10.0.0.255", "10.0.1.1", "203.0.113.9", "255.255.255.255", "0.0.0.0",
		"2001:db8::1", "2001:db8::2", "2001:db8:1::1", "fe80::1", "::", "127.0.0.1", "127.0.0.53", "::1",
	}
	genNets = []string{
		"10.0.0.0/8", "10.0.0.0/24", "10.0.0.0/29", "10.0.0.1/32", "0.0.0.0/0", "203.0.113.0/25",
		"2001:db8::/32", "2001:db8::/64", "2001:db8::1/128", "::/0", "fe80::/10", "127.0.0.0/8", "::1/128",
	}
	genLists     = []string{"urlhaus", "my list", "ads"}
	genPorts     = []uint16{1, 53, 80, 443, 8000, 8500, 65535}
	genProfiles  = []string{NetworkHome, NetworkPublic, NetworkVPN, "home,vpn", "the cabin,work"}
	genProtocols = []flow.Protocol{flow.TCP, flow.UDP, flow.ICMP, flow.SCTP}
	genProcesses = []flow.ProcessID{{PID: 10, Start: 100}, {PID: 10, Start: 200}, {PID: 11, Start: 100}}
	genBoots     = []string{"boot-1", "boot-2"}
	genStart     = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
)

// maybe draws one of vs, or the zero value with the chance of 1 in n.
func maybe[T any](t *rapid.T, label string, n int, vs []T) (v T) {
	if rapid.IntRange(1, n).Draw(t, label+"?") == 1 {
		return v
	}
	return rapid.SampledFrom(vs).Draw(t, label)
}

// rarely is maybe the other way round: a value with the chance of 1 in n.
func rarely[T any](t *rapid.T, label string, n int, vs []T) (v T) {
	if rapid.IntRange(1, n).Draw(t, label+"?") != 1 {
		return v
	}
	return rapid.SampledFrom(vs).Draw(t, label)
}

func genRange(t *rapid.T) AddrRange {
	for {
		a := netip.MustParseAddr(rapid.SampledFrom(genAddrs).Draw(t, "from"))
		b := netip.MustParseAddr(rapid.SampledFrom(genAddrs).Draw(t, "to"))
		if a.Is4() != b.Is4() {
			continue
		}
		if b.Less(a) {
			a, b = b, a
		}
		return AddrRange{a, b}
	}
}

func genRemote(t *rapid.T) (r Remote) {
	switch rapid.IntRange(0, 9).Draw(t, "remote") {
	case 0:
		r.Name = rapid.SampledFrom(genNames).Draw(t, "name")
	case 1:
		r.Domain = rapid.SampledFrom(genNames).Draw(t, "domain")
	case 2:
		r.Address = netip.MustParseAddr(rapid.SampledFrom(genAddrs).Draw(t, "address"))
	case 3, 4:
		r.Network = netip.MustParsePrefix(rapid.SampledFrom(genNets).Draw(t, "network")).Masked()
	case 5:
		r.Range = genRange(t)
	case 6:
		r.LAN = true
	case 7:
		r.List = rapid.SampledFrom(genLists).Draw(t, "list")
	}
	return r
}

func genPortRanges(t *rapid.T) (ports []PortRange) {
	for range rapid.IntRange(0, 3).Draw(t, "ranges") {
		from := rapid.SampledFrom(genPorts).Draw(t, "from")
		to := from
		if rapid.Bool().Draw(t, "wide") {
			to = max(from, rapid.SampledFrom(genPorts).Draw(t, "to"))
		}
		ports = append(ports, PortRange{from, to})
	}
	return ports
}

func genLifetime(t *rapid.T, created time.Time) (l Lifetime) {
	l.Kind = maybe(t, "lifetime", 2, LifetimeKinds)
	switch l.Kind {
	case Boot:
		l.Boot = rapid.SampledFrom(genBoots).Draw(t, "boot")
	case Quit:
		l.Boot = rapid.SampledFrom(genBoots).Draw(t, "boot")
		l.Process = maybe(t, "process", 3, genProcesses)
	case Until:
		span := time.Duration(rapid.IntRange(1, 20).Draw(t, "span")) * time.Minute
		l.Boot = maybe(t, "boot", 4, genBoots)
		if l.Boot != "" {
			l.Deadline = span
		}
		l.Until = created.Add(span)
	case "":
		l.Kind = Always
	}
	return l
}

// genRule draws a valid rule.
func genRule(t *rapid.T, n int) Rule {
	r := Rule{
		ID:        fmt.Sprint(n),
		Enabled:   rapid.IntRange(0, 9).Draw(t, "enabled") > 0,
		Action:    rapid.SampledFrom([]Action{Allow, Block}).Draw(t, "action"),
		Direction: rapid.SampledFrom([]Direction{Out, Out, In, Both}).Draw(t, "direction"),
		User:      rarely(t, "user", 4, genUsers),
		Network:   rarely(t, "profile", 4, genProfiles),
		Created:   genStart.Add(time.Duration(rapid.IntRange(0, 3).Draw(t, "created")) * time.Minute),
		Note:      maybe(t, "note", 2, []string{"", "from the trip", "日本語"}),
		By:        "alice",
		Origin:    rapid.SampledFrom(origins).Draw(t, "origin"),
		Hits:      rapid.Uint64().Draw(t, "hits"),
	}
	p := &r.Program
	p.Path = maybe(t, "path", 3, genPaths)
	p.Script = rarely(t, "script", 5, genScripts)
	p.Package = rarely(t, "package", 6, genPackages)
	p.App = rarely(t, "app", 6, genApps)
	p.Folder = rarely(t, "folder", 5, genFolders)
	p.Unit = rarely(t, "unit", 6, genUnits)
	p.Parent = rarely(t, "parent", 6, genPaths)
	p.SHA256 = rarely(t, "sha256", 6, genSums)
	if path := rarely(t, "no file", 8, genNoFiles); path != "" {
		*p = Program{Path: path}
	}
	r.Remote = genRemote(t)
	if rapid.IntRange(0, 2).Draw(t, "protocol?") == 0 {
		r.Protocol = rapid.SampledFrom(genProtocols).Draw(t, "protocol")
	}
	if r.Protocol == 0 || r.Protocol.HasPorts() {
		r.Ports = genPortRanges(t)
	}
	r.Lifetime = genLifetime(t, r.Created)
	if r.Lifetime.Kind == Quit && (p.Path == flow.KernelPath || p.Path == flow.ForwardedPath) {
		r.Lifetime = Lifetime{Kind: Always}
	}
	return r
}

func genRules(t *rapid.T, most int) []Rule {
	n := rapid.IntRange(0, most).Draw(t, "rules")
	rules := make([]Rule, n)
	for i := range rules {
		rules[i] = genRule(t, i+1)
	}
	return rules
}

// genWideRules draws few rules, half of which are about every destination.
func genWideRules(t *rapid.T) []Rule {
	rules := genRules(t, 5)
	for i := range rules {
		if rapid.Bool().Draw(t, "any destination") {
			rules[i].Remote, rules[i].Ports, rules[i].Protocol, rules[i].Network = Remote{}, nil, 0, ""
		}
		if rapid.Bool().Draw(t, "any program") {
			rules[i].Program = Program{Path: rules[i].Program.Path}
		}
	}
	return rules
}

// genProcess draws a process of which more or less is known, rarely nothing at all.
func genProcess(t *rapid.T) *flow.Process {
	if rapid.IntRange(0, 19).Draw(t, "unknown") == 0 {
		return nil
	}
	return genKnownProcess(t)
}

func genKnownProcess(t *rapid.T) *flow.Process {
	p := &flow.Process{
		ProcessID: maybe(t, "process", 5, genProcesses),
		UID:       rapid.SampledFrom([]uint32{0, 1000, 1001}).Draw(t, "uid"),
		User:      maybe(t, "user", 3, []string{"alice", "bob", "root"}),
	}
	p.Path = maybe(t, "path", 9, genPaths)
	if path := rarely(t, "no file", 5, genNoFiles); path != "" {
		return &flow.Process{Program: flow.Program{Path: path}, Kernel: path == flow.KernelPath}
	}
	p.Script = rarely(t, "script", 3, genScripts)
	p.Inline = rapid.IntRange(0, 5).Draw(t, "inline") == 0
	p.Package = rarely(t, "package", 2, genPackages)
	p.Integrity = maybe(t, "integrity", 2, []flow.Integrity{flow.Intact, flow.Modified})
	p.App = rarely(t, "app", 2, genApps)
	p.OwnApp = p.App != "" && rapid.Bool().Draw(t, "own app")
	p.Unit = rarely(t, "unit", 2, genUnits)
	p.OwnUnit = p.Unit != "" && rapid.Bool().Draw(t, "own unit")
	p.SHA256 = maybe(t, "sha256", 3, genSums)
	for range rapid.IntRange(0, 2).Draw(t, "parents") {
		p.Parents = append(p.Parents, flow.Ancestor{
			ProcessID: rapid.SampledFrom(genProcesses).Draw(t, "ancestor"),
			Path:      rapid.SampledFrom(genPaths).Draw(t, "ancestor path"),
		})
	}
	return p
}

func genQuery(t *rapid.T, p *flow.Process) Query {
	q := Query{
		Process:   p,
		Direction: rapid.SampledFrom([]flow.Direction{flow.Out, flow.In}).Draw(t, "direction"),
		Protocol:  rapid.SampledFrom(genProtocols).Draw(t, "protocol"),
		LocalPort: rapid.SampledFrom(genPorts).Draw(t, "local port"),
		LAN:       rapid.Bool().Draw(t, "lan"),
		Lists:     rapid.SliceOfN(rapid.SampledFrom(genLists), 0, 2).Draw(t, "lists"),
		Named:     rapid.IntRange(0, 3).Draw(t, "named") == 0,
	}
	q.Network = maybe(t, "profile", 5, []string{NetworkHome, NetworkWork, NetworkPublic, NetworkVPN, "the cabin"})
	q.Remote.Port = rapid.SampledFrom(genPorts).Draw(t, "port")
	if a := maybe(t, "address", 8, genAddrs); a != "" {
		q.Remote.Addr = netip.MustParseAddr(a)
	}
	switch rapid.IntRange(0, 3).Draw(t, "name form") {
	case 0, 1:
		q.Remote.Name = rapid.SampledFrom(genNames).Draw(t, "name")
	case 2:
		q.Remote.Name = strings.ToUpper(rapid.SampledFrom(genNames).Draw(t, "name")) + "."
	}
	if q.Remote.Addr.Is4() && rapid.IntRange(0, 4).Draw(t, "mapped") == 0 {
		q.Remote.Addr = netip.AddrFrom16(q.Remote.Addr.As16())
	}
	return q
}

func genClock(t *rapid.T) Clock {
	return Clock{
		Boot:  rapid.SampledFrom(genBoots).Draw(t, "now boot"),
		Since: time.Duration(rapid.IntRange(0, 30).Draw(t, "since")) * time.Minute,
		Wall:  genStart.Add(time.Duration(rapid.IntRange(-5, 30).Draw(t, "wall")) * time.Minute),
	}
}
