package network

import (
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sekisho/app/flow"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	uuid1 = "0f0c8b6e-5d0e-4a3a-9a52-2f3b1f1f0001"
	uuid2 = "0f0c8b6e-5d0e-4a3a-9a52-2f3b1f1f0002"
	mac1  = "02:00:00:00:00:01"
	mac6  = "02:00:00:00:00:06"
)

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }
func addr(s string) netip.Addr     { return netip.MustParseAddr(s) }

// desk is a machine with a cable, a Wi-Fi, a VPN and containers.
func desk() *snapshot {
	return &snapshot{
		links: []link{
			{index: 2, name: "eth0", kind: "device", running: true, prefixes: []netip.Prefix{prefix("192.168.1.7/24"), prefix("fe80::7/64")}},
			{index: 3, name: "wlan0", kind: "device", running: true, prefixes: []netip.Prefix{prefix("10.20.0.5/16")}},
			{index: 4, name: "tun0", kind: "tun", running: true, prefixes: []netip.Prefix{prefix("10.8.0.2/24")}},
			{index: 5, name: "docker0", kind: "bridge", running: true, prefixes: []netip.Prefix{prefix("172.17.0.1/16")}},
			{index: 6, name: "veth1", kind: "veth", running: true, master: 5},
			{index: 7, name: "eth1", kind: "device", running: false, prefixes: []netip.Prefix{prefix("192.168.9.7/24")}},
			{index: 8, name: "br0", kind: "bridge", running: true, prefixes: []netip.Prefix{prefix("192.168.8.7/24")}},
			{index: 9, name: "eth2", kind: "device", running: true, master: 8},
			{index: 10, name: "eth3", kind: "device", running: true},
		},
		routes: []route{
			{to: prefix("10.8.0.0/24"), link: 4}, {to: prefix("192.168.1.0/24"), link: 2}, {to: prefix("192.168.8.0/24"), link: 8},
			{to: prefix("10.20.0.0/16"), link: 3}, {to: prefix("172.17.0.0/16"), link: 5}, {to: prefix("10.30.0.0/16"), link: 4},
			{to: prefix("::/0"), via: addr("fe80::1"), link: 2},
			{to: prefix("0.0.0.0/0"), via: addr("10.20.0.1"), link: 3, metric: 50},
			{to: prefix("0.0.0.0/0"), via: addr("192.168.1.1"), link: 2, metric: 100},
		},
		gateway: map[gateway]string{{2, addr("fe80::1")}: mac6, {2, addr("192.168.1.1")}: mac1, {3, addr("10.20.0.1")}: ""},
	}
}

func byLink(all []Network, link string) Network {
	i := slices.IndexFunc(all, func(n Network) bool { return n.Link == link })
	if i < 0 {
		return Network{}
	}
	return all[i]
}

func TestIdentify(t *testing.T) {
	wifi := func(keyed bool) manager {
		return manager{links: map[string]connection{"wlan0": {uuid: uuid1, name: "Café\u202e", kind: Wifi, ssid: "Café\x1b[2J", keyed: keyed}}}
	}
	for _, c := range []struct {
		name   string
		change func(*snapshot)
		m      manager
		link   string
		want   Network // ID, Name, Kind, Weak, Gateway, Primary and SSID count
	}{
		{"a cable, by its gateway", nil, manager{}, "eth0", Network{ID: "gateway:" + mac1, Name: "eth0", Kind: Wired, Weak: true, Gateway: mac1}},
		{"only IPv6", func(s *snapshot) { s.routes = s.routes[:7] }, manager{}, "eth0",
			Network{ID: "gateway:" + mac6, Name: "eth0", Kind: Wired, Weak: true, Gateway: mac6, Primary: true}},
		{"the gateway has not answered", nil, manager{}, "wlan0", Network{Name: "wlan0", Kind: Wired, Weak: true, Primary: true}},
		{"an open Wi-Fi whose gateway has not answered", nil, wifi(false), "wlan0",
			Network{Name: "Café", Kind: Wifi, Weak: true, Primary: true, SSID: "Café[2J"}},
		{"an open Wi-Fi", func(s *snapshot) { s.gateway[gateway{3, addr("10.20.0.1")}] = mac1 }, wifi(false), "wlan0",
			Network{ID: "nm:" + uuid1 + "/" + mac1, Name: "Café", Kind: Wifi, Weak: true, Gateway: mac1, Primary: true, SSID: "Café[2J"}},
		{"a Wi-Fi with a key", nil, wifi(true), "wlan0", Network{ID: "nm:" + uuid1, Name: "Café", Kind: Wifi, Primary: true, SSID: "Café[2J"}},
		{"a cable, by NetworkManager", nil, manager{links: map[string]connection{"eth0": {uuid: uuid1, name: "Wired connection 1", kind: Wired}}}, "eth0",
			Network{ID: "nm:" + uuid1 + "/" + mac1, Name: "Wired connection 1", Kind: Wired, Weak: true, Gateway: mac1}},
		{"a VPN", nil, manager{}, "tun0", Network{ID: "vpn:tun0", Name: "tun0", Kind: VPN}},
		{"a VPN of a plug-in", nil, manager{vpn: &connection{uuid: uuid2, name: "Office", kind: VPN}}, "tun0", Network{ID: "nm:" + uuid2, Name: "Office", Kind: VPN}},
		{"WireGuard by NetworkManager", func(s *snapshot) { s.links[2].kind = "wireguard" },
			manager{vpn: &connection{uuid: uuid1, kind: VPN}, links: map[string]connection{"tun0": {uuid: uuid2, name: "wg", kind: VPN}}}, "tun0",
			Network{ID: "nm:" + uuid2, Name: "wg", Kind: VPN}},
		{"a VPN of a plug-in over PPP", func(s *snapshot) { s.links[2].kind = "ppp" }, manager{vpn: &connection{uuid: uuid2, name: "Office", kind: VPN}}, "tun0",
			Network{ID: "nm:" + uuid2, Name: "Office", Kind: VPN}},
		{"a modem by PPP beside a VPN", func(s *snapshot) { s.links[2].kind = "ppp" },
			manager{vpn: &connection{uuid: uuid2, kind: VPN}, links: map[string]connection{"tun0": {uuid: uuid1, name: "Phone", kind: Mobile}}}, "tun0",
			Network{ID: "nm:" + uuid1, Name: "Phone", Kind: Mobile, Weak: true}},
		{"a modem by PPP", func(s *snapshot) { s.links[2].kind = "ppp" }, manager{}, "tun0", Network{Name: "tun0", Kind: Wired, Weak: true}},
		{"containers", nil, manager{}, "docker0", Network{ID: "local:docker0", Name: "docker0", Kind: Virtual}},
		{"a bridge with a cable", nil, manager{}, "br0", Network{Name: "br0", Kind: Wired, Weak: true}},
		{"mobile", nil, manager{links: map[string]connection{"eth0": {uuid: uuid1, name: "Phone", kind: Mobile}}}, "eth0", Network{ID: "nm:" + uuid1, Name: "Phone", Kind: Mobile, Weak: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := desk()
			if c.change != nil {
				c.change(s)
			}
			got := byLink(identify(s, c.m), c.link)
			c.want.Link, c.want.Index, c.want.prefixes = got.Link, got.Index, got.prefixes
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("\n got %+v\nwant %+v", got, c.want)
			}
		})
	}
	all := identify(desk(), manager{})
	var names []string
	for _, n := range all {
		names = append(names, n.Link)
	}
	if got := strings.Join(names, " "); got != "wlan0 eth0 tun0 docker0 br0" {
		t.Errorf("networks of %s", got)
	}
}

func TestWhereAFlowGoes(t *testing.T) {
	s := desk()
	s.gateway[gateway{3, addr("10.20.0.1")}] = "02:00:00:00:00:09"
	known := map[string]string{"gateway:" + mac1: flow.NetworkHome, "": flow.NetworkHome}
	state := &State{Networks: with(identify(s, manager{}), known), routes: s.routes}
	for _, c := range []struct {
		name          string
		link          int
		local, remote string
		want          string
	}{
		{"nearby at home", 0, "192.168.1.7", "192.168.1.9", "home"},
		{"nearby at home, IPv4 in IPv6", 0, "::ffff:192.168.1.7", "::ffff:192.168.1.9", "home"},
		{"the other end is link-local", 0, "fe80::7%eth0", "fe80::9%eth0", "home"},
		{"by a Wi-Fi that nobody named", 0, "10.20.0.5", "203.0.113.1", "public"},
		{"from home's address by the Wi-Fi", 0, "192.168.1.7", "203.0.113.1", "public"},
		{"by the VPN", 0, "10.8.0.2", "10.8.0.9", "vpn"},
		{"beyond the VPN", 0, "10.8.0.2", "10.30.1.1", "vpn"},
		{"from the Wi-Fi to the VPN's address", 0, "10.8.0.2", "10.20.0.66", "public"},
		{"from beyond the Wi-Fi to the VPN's address", 0, "10.8.0.2", "203.0.113.66", "public"},
		{"from home to the VPN's address", 0, "10.8.0.2", "192.168.1.9", "vpn"},
		{"to the VPN's address, seen on the Wi-Fi", 3, "10.8.0.2", "10.8.0.9", "public"},
		{"from the Wi-Fi's address, seen on the VPN", 4, "10.20.0.5", "203.0.113.66", "vpn"},
		{"a link that is gone", 99, "192.168.1.7", "192.168.1.9", "home"},
		{"a group", 0, "224.0.0.251", "192.168.1.9", "home"},
		{"a group, from afar", 0, "224.0.0.251", "203.0.113.1", "public"},
		{"containers", 0, "172.17.0.1", "172.17.0.5", ""},
		{"itself", 0, "127.0.0.1", "127.0.0.1", ""},
		{"itself, by the address of a link", 2, "::1", "::1", ""},
		{"nobody's addresses", 0, "198.51.100.1", "203.0.113.1", "public"},
	} {
		if got := state.Of(c.link, addr(c.local), addr(c.remote)); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	if got := state.Of(0, netip.Addr{}, netip.Addr{}); got != "public" {
		t.Errorf("no addresses: %q", got)
	}
	if got := new(State).Of(2, addr("192.168.1.7"), addr("192.168.1.9")); got != "public" {
		t.Errorf("nothing known: %q", got)
	}
	if state.Profile() != "public" || new(State).Profile() != "public" || !state.Mixed() || new(State).Mixed() {
		t.Errorf("profile %q, mixed %v", state.Profile(), state.Mixed())
	}
}

// Others choose a Wi-Fi's name.
func TestNamesFromOutside(t *testing.T) {
	for in, want := range map[string]string{
		"Café":                        "Café",
		"a\x00b\x1b[31m\nc":           "ab[31mc",
		"\u202egnp.exe\u2066\u200b":   "gnp.exe",
		"\xff\xfe":                    "\uFFFD",
		"  a   b ":                    "a b",
		strings.Repeat("é", 40):       strings.Repeat("é", 32),
		"x" + strings.Repeat("é", 40): "x" + strings.Repeat("é", 31),
	} {
		if got := clean(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// within waits for ok, as long as a change may take.
func within(t *testing.T, d time.Duration, what string, ok func() bool) {
	t.Helper()
	begin := time.Now()
	for !ok() {
		if time.Since(begin) > d {
			t.Fatalf("not within %v: %s", d, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Logf("%s: after %v", what, time.Since(begin).Round(time.Millisecond))
}
