package rule

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sekisho/app/flow"
)

func TestValidate(t *testing.T) {
	valid := Rule{Action: Allow, Program: Program{Path: "/usr/bin/curl"}, Created: genStart}
	process := flow.ProcessID{PID: 7, Start: 70}
	for _, c := range []struct {
		operand string
		change  func(r *Rule)
		want    string // "": valid
	}{
		{"", func(*Rule) {}, ""},
		{"", func(r *Rule) { r.Program = Program{} }, ""},
		{"", func(r *Rule) { r.Program.Path = "/home/a/my programs/été" }, ""},
		{"", func(r *Rule) { r.Remote.Name = "WWW.Example.com." }, ""},
		{"", func(r *Rule) { r.Remote.Network = netip.MustParsePrefix("10.1.2.3/8") }, ""},
		{"", func(r *Rule) { r.Program.SHA256 = strings.Repeat("AB", 32) }, ""},
		{"", func(r *Rule) { r.Ports = []PortRange{{443, 443}} }, ""},
		{"", func(r *Rule) { r.Ports, r.Protocol = []PortRange{{443, 443}}, flow.SCTP }, ""},
		{"", func(r *Rule) { r.User = "DOMAIN\\alice smith" }, ""},
		{"", func(r *Rule) { r.Program.Unit = "user@1000.service" }, ""},
		{"", func(r *Rule) { r.Lifetime = Lifetime{Kind: Quit, Boot: "b", Process: process} }, ""},
		{"", func(r *Rule) { r.Program.Path = flow.KernelPath }, ""},
		{"", func(r *Rule) { r.Program.Path = flow.ForwardedPath }, ""},

		{"program.path", func(r *Rule) { r.Program = Program{Path: flow.KernelPath, Script: "/a.py"} }, "kernel is no file"},
		{"program.parent", func(r *Rule) { r.Program.Parent = flow.KernelPath }, "begin it with /"},
		{"lifetime", func(r *Rule) { r.Program.Path, r.Lifetime = flow.ForwardedPath, Lifetime{Kind: Quit, Boot: "b"} }, "never quits"},
		{"action", func(r *Rule) { r.Action = 0 }, "want allow or block"},
		{"action", func(r *Rule) { r.Action = 3 }, "want allow or block"},
		{"direction", func(r *Rule) { r.Direction = 3 }, "want out, in or both"},
		{"program.path", func(r *Rule) { r.Program.Path = "curl" }, "begin it with /"},
		{"program.path", func(r *Rule) { r.Program.Path = "~/bin/curl" }, "begin it with /"},
		{"program.path", func(r *Rule) { r.Program.Path = "/usr/bin/../bin/curl" }, `write "/usr/bin/curl"`},
		{"program.path", func(r *Rule) { r.Program.Path = "/usr/bin/" }, `write "/usr/bin"`},
		{"program.path", func(r *Rule) { r.Program.Path = "/" }, "name a file"},
		{"program.path", func(r *Rule) { r.Program.Path = "/a\nb" }, "control character U+000A"},
		{"program.path", func(r *Rule) { r.Program.Path = "/a\xffb" }, "not UTF-8"},
		{"program.path", func(r *Rule) { r.Program.Path = "/" + strings.Repeat("a", 4096) }, "at most 4096"},
		{"program.script", func(r *Rule) { r.Program.Script = "backup.py" }, "begin it with /"},
		{"program.parent", func(r *Rule) { r.Program.Parent = "bash" }, "begin it with /"},
		{"program.unit", func(r *Rule) { r.Program.Unit = "cron" }, "such as cron.service"},
		{"program.unit", func(r *Rule) { r.Program.Unit = "a/b.service" }, "leave out spaces and slashes"},
		{"program.sha256", func(r *Rule) { r.Program.SHA256 = "abc" }, "64 hexadecimal digits"},
		{"program.sha256", func(r *Rule) { r.Program.SHA256 = strings.Repeat("g", 64) }, "64 hexadecimal digits"},
		{"program.package", func(r *Rule) { r.Program.Package = "curl:amd64" }, "give its name alone"},
		{"program.package", func(r *Rule) { r.Program.Package = "../curl" }, "give its name alone"},
		{"program.app", func(r *Rule) { r.Program.App = "org x" }, "a Flatpak's id"},
		{"program.app", func(r *Rule) { r.Program.App = ".." }, "a Flatpak's id"},
		{"program.app", func(r *Rule) { r.Program.App = "/home/a/../b.AppImage" }, `write "/home/b.AppImage"`},
		{"program.folder", func(r *Rule) { r.Program.Folder = "Downloads" }, "begin it with /"},
		{"program.folder", func(r *Rule) { r.Program.Folder = "/" }, "every program is in it"},
		{"program.folder", func(r *Rule) { r.Program.Folder = "/a//b" }, `write "/a/b"`},
		{"program.path", func(r *Rule) { r.Program = Program{Path: flow.KernelPath, Folder: "/usr"} }, "name nothing else"},
		{"program.path", func(r *Rule) { r.Program = Program{Path: flow.ForwardedPath, Package: "curl"} }, "name nothing else"},
		{"user", func(r *Rule) { r.User = "a:b" }, "its name or its number"},
		{"user", func(r *Rule) { r.User = "4294967295" }, "want 0 to 4294967294"},
		{"user", func(r *Rule) { r.User = "99999999999" }, "want 0 to 4294967294"},
		{"user", func(r *Rule) { r.User = strings.Repeat("a", 257) }, "at most 256"},
		{"remote", func(r *Rule) { r.Remote = Remote{LAN: true, Domain: "example.com"} }, "has domain and lan: keep one"},
		{"remote.name", func(r *Rule) { r.Remote.Name = "exa mple.com" }, "can't be in one"},
		{"remote.domain", func(r *Rule) { r.Remote.Domain = "*.*.com" }, "can't be in one"},
		{"remote.address", func(r *Rule) { r.Remote.Address = netip.MustParseAddr("fe80::1%eth0") }, "names an interface"},
		{"remote.network", func(r *Rule) { r.Remote.Network = netip.PrefixFrom(netip.MustParseAddr("10.0.0.0"), 33) }, "not a network"},
		{"remote.range", func(r *Rule) { r.Remote.Range.From = netip.MustParseAddr("10.0.0.1") }, "give both addresses"},
		{"remote.list", func(r *Rule) { r.Remote.List = strings.Repeat("u", 65) }, "too long"},
		{"ports", func(r *Rule) { r.Ports, r.Protocol = []PortRange{{443, 443}}, flow.ICMP }, "icmp has no ports"},
		{"ports", func(r *Rule) { r.Ports = []PortRange{{0, 10}} }, "want numbers from 1 to 65535"},
		{"ports", func(r *Rule) { r.Ports = []PortRange{{10, 9}} }, "the smaller first"},
		{"ports", func(r *Rule) {
			for i := range uint16(65) {
				r.Ports = append(r.Ports, PortRange{2*i + 1, 2*i + 1})
			}
		}, "65 are too many, at most 64"},
		{"network_profile", func(r *Rule) { r.Network = "home,,work" }, "has no name"},
		{"network_profile", func(r *Rule) { r.Network = strings.Repeat("x", 65) }, "too long"},
		{"note", func(r *Rule) { r.Note = strings.Repeat("a", 1001) }, "at most 1000"},
		{"note", func(r *Rule) { r.Note = "a\x00b" }, "control character U+0000"},
		{"id", func(r *Rule) { r.ID = strings.Repeat("a", 65) }, "at most 64"},
		{"by", func(r *Rule) { r.By = "a\tb" }, "control character"},
		{"origin", func(r *Rule) { r.Origin = "stars" }, "want answer, editor"},
		{"created", func(r *Rule) { r.Created = time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC) }, "between 1 and 9999"},
		{"lifetime", func(r *Rule) { r.Lifetime.Kind = "later" }, "is no lifetime"},
		{"lifetime", func(r *Rule) { r.Lifetime = Lifetime{Kind: Until} }, "needs the moment of its end"},
		{"lifetime", func(r *Rule) { r.Lifetime = Lifetime{Kind: Boot, Deadline: 1} }, "boot has no end at a moment"},
		{"lifetime", func(r *Rule) { r.Lifetime = Lifetime{Kind: Until, Until: genStart, Boot: "b"} }, "both or neither"},
		{"lifetime", func(r *Rule) { r.Lifetime = Lifetime{Kind: Until, Until: genStart, Deadline: 1} }, "both or neither"},
		{"lifetime", func(r *Rule) { r.Lifetime = Lifetime{Kind: Until, Until: genStart, Deadline: -1, Boot: "b"} }, "beyond reason"},
		{"lifetime", func(r *Rule) { r.Lifetime = Lifetime{Kind: Always, Boot: "b"} }, "outlives a restart"},
		{"lifetime", func(r *Rule) { r.Lifetime = Lifetime{Kind: Boot, Boot: "b", Process: process} }, "until it quits alone"},
		{"lifetime", func(r *Rule) { r.Lifetime = Lifetime{Kind: Quit, Process: flow.ProcessID{PID: 7}} }, "its number and its start"},
		{"lifetime", func(r *Rule) { r.Lifetime = Lifetime{Kind: Boot, Boot: strings.Repeat("b", 65)} }, "at most 64"},
	} {
		r := valid
		c.change(&r)
		err := Validate(r)
		if c.want == "" {
			if err != nil {
				t.Errorf("%+v: %v", r, err)
			}
			continue
		}
		var o *OperandError
		if !errors.As(err, &o) || o.Operand != c.operand || !strings.Contains(o.Error(), c.want) || strings.Contains(o.Error(), "\n") {
			t.Errorf("%s: error %q, want one line with %q", c.operand, err, c.want)
		}
		// But for what never quits the lifetime is not an operand.
		if err := ValidateOperands(r); (err == nil) != (c.operand == "lifetime" && !strings.Contains(c.want, "never quits")) {
			t.Errorf("%s: without the lifetime: %v", c.operand, err)
		}
	}
}

// Normal has nothing to do twice, and changes nothing about what a rule matches.
func TestNormal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := genRule(t, 1)
		n := Normal(r)
		if err := Validate(n); err != nil {
			t.Fatal(err)
		}
		q, now := genQuery(t, genProcess(t)), genClock(t)
		if r.Matches(q, now) != n.Matches(q, now) {
			t.Fatalf("%+v\nand its normal form match differently:\n%+v", r, n)
		}
	})
}

func TestParsePorts(t *testing.T) {
	for _, c := range []struct{ in, want, err string }{
		{in: "443", want: "443"},
		{in: "8000-8999", want: "8000-8999"},
		{in: "443, 80", want: "80,443"},
		{in: "80-90,85-95,96,443", want: "80-96,443"},
		{in: "1-65535,65535", want: "1-65535"},
		{in: "any", want: "any"},
		{in: "", err: `"" is no port`},
		{in: "0", err: `"0" is no port`},
		{in: "65536", err: `"65536" is no port`},
		{in: "+80", err: `"+80" is no port`},
		{in: "https", err: `"https" is no port: want a number from 1 to 65535`},
		{in: "90-80", err: `write 80-90`},
		{in: "80-", err: `"" is no port`},
		{in: "80,,443", err: `"" is no port`},
		{in: strings.Repeat("80,", 64) + "80", err: "65 ports are too many"},
	} {
		got, err := ParsePorts(c.in)
		switch {
		case c.err != "":
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%q: error %v, want %q", c.in, err, c.err)
			}
		case err != nil || FormatPorts(got) != c.want:
			t.Errorf("%q: %s, %v; want %s", c.in, FormatPorts(got), err, c.want)
		}
	}
}

func TestEnumText(t *testing.T) {
	for _, a := range []Action{Allow, Block} {
		var got Action
		if b, err := a.MarshalText(); err != nil || got.UnmarshalText(b) != nil || got != a || string(b) != a.String() {
			t.Errorf("%s: %s, %v", a, b, err)
		}
	}
	for _, d := range []Direction{Out, In, Both} {
		var got Direction
		if b, err := d.MarshalText(); err != nil || got.UnmarshalText(b) != nil || got != d || string(b) != d.String() {
			t.Errorf("%s: %s, %v", d, b, err)
		}
	}
	if _, err := Action(0).MarshalText(); err == nil {
		t.Error("no action was written")
	}
	if _, err := Direction(9).MarshalText(); err == nil {
		t.Error("no direction was written")
	}
	var r AddrRange
	if b, err := r.MarshalText(); err != nil || len(b) != 0 || r.UnmarshalText(b) != nil || r != (AddrRange{}) {
		t.Errorf("no range: %q, %v", b, err)
	}
	if err := r.UnmarshalText([]byte("10.0.0.1-10.0.0.2")); err != nil || r.String() != "10.0.0.1-10.0.0.2" {
		t.Errorf("%s, %v", r, err)
	}
	var p PortRange
	if err := p.UnmarshalText([]byte("80-90")); err != nil || p != (PortRange{80, 90}) {
		t.Errorf("%s, %v", p, err)
	}
	if b, err := p.MarshalText(); err != nil || string(b) != "80-90" {
		t.Errorf("%s, %v", b, err)
	}
}
