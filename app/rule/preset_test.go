package rule

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"

	"sekisho/app/flow"
)

var update = flag.Bool("update", false, "write testdata/presets.txt anew")

var presetServers = []netip.Addr{
	netip.MustParseAddr("192.168.1.1"), netip.MustParseAddr("::ffff:192.168.1.1"), netip.MustParseAddr("fe80::1%eth0"), {},
}

// What is shipped and under which ids is held in a file, so that nothing is let through by
// accident, and an id that people see stays.
func TestPresetsAreWhatIsWritten(t *testing.T) {
	var b strings.Builder
	seen := map[string]bool{}
	for _, p := range Presets(presetServers) {
		fmt.Fprintf(&b, "%s essential=%v\n", p.Name, p.Essential)
		for _, r := range p.Rules {
			if err := Validate(r); err != nil {
				t.Errorf("%s: %v", r.ID, err)
			}
			if seen[r.ID] {
				t.Errorf("%s is there twice", r.ID)
			}
			seen[r.ID] = true
			if name, ok := PresetOf(r.ID); !ok || name != p.Name {
				t.Errorf("%s is of %q", r.ID, name)
			}
			program := r.Program.Path + r.Program.Script + r.Program.Unit
			fmt.Fprintf(&b, "  %s: %s %s program=%s user=%s to=%s ports=%s protocol=%s network=%s\n",
				r.ID, r.Action, r.Direction, program, r.User, r.Remote, FormatPorts(r.Ports), r.Protocol, r.Network)
		}
	}
	const golden = "testdata/presets.txt"
	if *update {
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("presets changed: look at the difference, then run with -update\n%s", b.String())
	}
}

func TestPresetOfOthers(t *testing.T) {
	for _, id := range []string{"", "1", "preset-", "preset-nothing-any-0", "dhcp", "mine-preset-dhcp-1"} {
		if name, ok := PresetOf(id); ok {
			t.Errorf("%q is of %q", id, name)
		}
	}
}

func TestPresetsDecide(t *testing.T) {
	const (
		lanHost = "192.168.1.20"
		far     = "203.0.113.9"
		apt     = "/usr/lib/apt/methods/http"
	)
	by := func(path, user string, uid uint32) *flow.Process {
		return &flow.Process{Program: flow.Program{Path: path}, User: user, UID: uid}
	}
	evil := by("/home/a/evil", "a", 1000)
	kernel := &flow.Process{Program: flow.Program{Path: flow.KernelPath}, Kernel: true}
	to := func(p *flow.Process, proto flow.Protocol, addr string, port uint16) Query {
		return Query{Process: p, Protocol: proto, Remote: flow.Endpoint{Addr: netip.MustParseAddr(addr), Port: port}, LocalPort: 40000, Network: NetworkHome, LAN: addr == lanHost || addr == "224.0.0.251"}
	}
	from := func(p *flow.Process, proto flow.Protocol, addr string, port uint16) Query {
		q := to(p, proto, addr, 40000)
		q.Direction, q.LocalPort = flow.In, port
		return q
	}
	on := func(network string, q Query) Query { q.Network = network; return q }
	for _, c := range []struct {
		name   string
		q      Query
		want   Action // 0: none decides
		preset string
	}{
		{"itself", to(evil, flow.TCP, "127.0.0.1", 8080), Allow, PresetLoopback},
		{"itself, comes in", on("", from(evil, flow.TCP, "::1", 8080)), Allow, PresetLoopback},
		{"passed on for others, to itself", to(by(flow.ForwardedPath, "", 0), flow.TCP, "127.0.0.1", 80), 0, ""},
		{"an address", to(by("/usr/sbin/dhclient", "root", 0), flow.UDP, "255.255.255.255", 67), Allow, PresetDHCP},
		{"an address, as networkd does", to(by("/usr/lib/systemd/systemd-networkd", "systemd-network", 998), flow.UDP, far, 547), Allow, PresetDHCP},
		{"an address, offered on a public network", on(NetworkPublic, from(by("/usr/sbin/NetworkManager", "root", 0), flow.UDP, lanHost, 68)), Allow, PresetDHCP},
		{"an address, for anybody", to(evil, flow.UDP, "255.255.255.255", 67), 0, ""},
		{"an address, by TCP", to(by("/usr/sbin/dhclient", "root", 0), flow.TCP, far, 67), 0, ""},
		{"neighbours", to(kernel, flow.ICMPv6, "ff02::1", 0), Allow, PresetKernel},
		{"ping comes in on a public network", on(NetworkPublic, from(kernel, flow.ICMP, far, 0)), Allow, PresetKernel},
		{"the kernel's other traffic", to(kernel, flow.UDP, far, 51820), 0, ""},
		{"a program's ping", to(evil, flow.ICMP, far, 0), 0, ""},
		{"a name", to(evil, flow.UDP, "192.168.1.1", 53), Allow, PresetResolver},
		{"a name, long", to(evil, flow.TCP, "192.168.1.1", 53), Allow, PresetResolver},
		{"a name, elsewhere", to(evil, flow.UDP, far, 53), 0, ""},
		{"the name server's other ports", to(evil, flow.TCP, "192.168.1.1", 853), 0, ""},
		{"the stub's question", to(by("/usr/lib/systemd/systemd-resolved", "systemd-resolve", 991), flow.TCP, far, 853), Allow, PresetResolver},
		{"the stub's program as somebody else", to(by("/usr/lib/systemd/systemd-resolved", "a", 1000), flow.TCP, far, 853), 0, ""},
		{"time", to(by("/usr/lib/systemd/systemd-timesyncd", "systemd-timesync", 990), flow.UDP, far, 123), Allow, PresetTime},
		{"another program at the port of time", to(evil, flow.UDP, far, 123), 0, ""},
		{"updates", to(by(apt, "_apt", 42), flow.TCP, far, 80), Allow, PresetUpdates},
		{"apt's fetcher as a deputy", to(by(apt, "a", 1000), flow.TCP, far, 80), 0, ""},
		{"updates, elsewhere", to(by(apt, "_apt", 42), flow.TCP, far, 25), 0, ""},
		{"a snap's newer snapd", to(&flow.Process{Program: flow.Program{Path: "/snap/snapd/21759/usr/lib/snapd/snapd", Unit: "snapd.service"}, User: "root"}, flow.TCP, far, 443), Allow, PresetUpdates},
		{"a unit of that name of a user's own", to(&flow.Process{Program: flow.Program{Path: "/home/a/evil", Unit: "snapd.service", OwnUnit: true}, User: "a", UID: 1000}, flow.TCP, far, 443), 0, ""},
		{"a script that updates", to(&flow.Process{Program: flow.Program{Path: "/usr/bin/python3.13", Script: "/usr/bin/dnf-3"}, User: "root"}, flow.TCP, far, 443), Allow, PresetUpdates},
		{"a script that updates, as a deputy", to(&flow.Process{Program: flow.Program{Path: "/usr/bin/python3.13", Script: "/usr/bin/dnf-3"}, User: "a", UID: 1000}, flow.TCP, far, 443), 0, ""},
		{"code that names it", to(&flow.Process{Program: flow.Program{Path: "/usr/bin/python3.13", Script: "/usr/bin/dnf-3", Inline: true}, User: "root"}, flow.TCP, far, 443), 0, ""},
		{"services nearby", to(by("/usr/sbin/avahi-daemon", "avahi", 105), flow.UDP, "224.0.0.251", 5353), Allow, PresetMDNS},
		{"services nearby, comes in", from(by("/usr/sbin/avahi-daemon", "avahi", 105), flow.UDP, lanHost, 5353), Allow, PresetMDNS},
		{"services nearby, on a public network", on(NetworkPublic, to(by("/usr/sbin/avahi-daemon", "avahi", 105), flow.UDP, "224.0.0.251", 5353)), Block, PresetMDNS},
		{"services nearby, from afar", from(by("/usr/sbin/avahi-daemon", "avahi", 105), flow.UDP, far, 5353), 0, ""},
		{"a printer", to(by("/usr/lib/cups/backend/ipp", "lp", 7), flow.TCP, lanHost, 631), Allow, PresetPrinters},
		{"a printer far away", to(by("/usr/lib/cups/backend/ipp", "lp", 7), flow.TCP, far, 631), 0, ""},
		{"a printer that introduces itself", from(by("/usr/sbin/cups-browsed", "root", 0), flow.UDP, lanHost, 631), 0, ""},
		{"comes in on a public network", on(NetworkPublic, from(evil, flow.TCP, far, 22)), Block, PresetPublic},
		{"comes in on a public network, to nobody", on(NetworkPublic, Query{Direction: flow.In, Protocol: flow.TCP, LocalPort: 22}), Block, PresetPublic},
		{"comes in at home", from(evil, flow.TCP, lanHost, 22), 0, ""},
		{"goes out on a public network", on(NetworkPublic, to(evil, flow.TCP, far, 443)), 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := PresetSet(presetServers, func(Preset) bool { return true })
			r, ok := s.Decide(c.q, Clock{})
			if c.want == 0 {
				if ok {
					t.Fatalf("decided by %s", r.ID)
				}
				return
			}
			if !ok || r.Action != c.want {
				t.Fatalf("decided %v by %+v", ok, r)
			}
			if name, _ := PresetOf(r.ID); name != c.preset {
				t.Errorf("decided by %s, want one of %s", r.ID, c.preset)
			}
			// Without it, it decides nothing; in lockdown, if it is essential.
			if r, ok := PresetSet(presetServers, func(p Preset) bool { return p.Name != c.preset }).Decide(c.q, Clock{}); ok {
				if name, _ := PresetOf(r.ID); name == c.preset {
					t.Error("it can't be switched off")
				}
			}
			essential := c.preset == PresetLoopback || c.preset == PresetDHCP || c.preset == PresetKernel
			if _, ok := PresetSet(presetServers, func(p Preset) bool { return p.Essential }).Decide(c.q, Clock{}); ok != essential {
				t.Errorf("in lockdown: %v, want %v", ok, essential)
			}
		})
	}
}

// A rule of a person's about incoming flows is asked before the presets: nothing of
// PresetPublic may need more than its absence.
func TestPublicIsTheLeastSpecific(t *testing.T) {
	r := PresetSet(nil, func(Preset) bool { return true }).ranked
	last := r[len(r)-1]
	if name, _ := PresetOf(last.ID); name != PresetPublic {
		t.Errorf("the last one is %s", last.ID)
	}
}
