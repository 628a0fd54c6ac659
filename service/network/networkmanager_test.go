package network

import (
	"bufio"
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/godbus/dbus/v5/prop"

	"sekisho/app/flow"
	"sekisho/service/lab"
)

// privateBus is a bus of the test's own, and how to end it.
func privateBus(t *testing.T) (connect func(context.Context) (*dbus.Conn, error), end func()) {
	t.Helper()
	address := "unix:path=" + filepath.Join(t.TempDir(), "bus")
	c := exec.Command("dbus-daemon", "--session", "--nofork", "--nopidfile", "--nosyslog", "--print-address=1", "--address="+address)
	out, err := c.StdoutPipe()
	must(t, err)
	must(t, c.Start())
	end = sync.OnceFunc(func() {
		_ = c.Process.Kill()
		_ = c.Wait() // it was killed
	})
	t.Cleanup(end)
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("dbus-daemon says no address: %v", err)
	}
	return func(ctx context.Context) (*dbus.Conn, error) { return dbus.Connect(address, dbus.WithContext(ctx)) }, end
}

// networkManager is a service with NetworkManager's names, objects and property types (its
// D-Bus reference).
type networkManager struct {
	t      *testing.T
	bus    *dbus.Conn
	active *prop.Properties
}

func startManager(t *testing.T, connect func(context.Context) (*dbus.Conn, error)) *networkManager {
	t.Helper()
	bus, err := connect(context.Background())
	must(t, err)
	t.Cleanup(func() { _ = bus.Close() })
	m := &networkManager{t: t, bus: bus}
	m.active = m.export(nmPath, nmName, map[string]any{
		"ActiveConnections": []dbus.ObjectPath{}, "PrimaryConnection": dbus.ObjectPath("/"), "State": uint32(70), "Version": "1.46.0",
	})
	reply, err := bus.RequestName(nmName, dbus.NameFlagDoNotQueue)
	if err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
		t.Fatalf("name: %v %v", reply, err)
	}
	return m
}

func (m *networkManager) export(path dbus.ObjectPath, of string, values map[string]any) *prop.Properties {
	m.t.Helper()
	all := map[string]*prop.Prop{}
	for name, v := range values {
		all[name] = &prop.Prop{Value: v, Emit: prop.EmitTrue}
	}
	p, err := prop.Export(m.bus, path, prop.Map{of: all})
	must(m.t, err)
	return p
}

func (m *networkManager) connection(n, uuid, name, kind, link string, changes map[string]any) (dbus.ObjectPath, *prop.Properties) {
	m.t.Helper()
	device := dbus.ObjectPath("/org/freedesktop/NetworkManager/Devices/" + n)
	m.export(device, nmDevice, map[string]any{"Interface": link, "IpInterface": link, "DeviceType": uint32(1), "State": uint32(100)})
	values := map[string]any{
		"Uuid": uuid, "Id": name, "Type": kind, "Devices": []dbus.ObjectPath{device}, "SpecificObject": dbus.ObjectPath("/"),
		"State": uint32(activated), "Default": true, "Default6": false, "Vpn": false,
		"Connection": dbus.ObjectPath("/org/freedesktop/NetworkManager/Settings/" + n),
	}
	for k, v := range changes {
		values[k] = v
	}
	path := dbus.ObjectPath("/org/freedesktop/NetworkManager/ActiveConnection/" + n)
	return path, m.export(path, nmActive, values)
}

func (m *networkManager) accessPoint(n, ssid string, rsn uint32) dbus.ObjectPath {
	path := dbus.ObjectPath("/org/freedesktop/NetworkManager/AccessPoint/" + n)
	m.export(path, nmAccess, map[string]any{
		"Ssid": []byte(ssid), "HwAddress": "AA:BB:CC:00:11:22", "Flags": uint32(1), "WpaFlags": uint32(0), "RsnFlags": rsn, "Strength": byte(70),
	})
	return path
}

func (m *networkManager) activate(paths ...dbus.ObjectPath) {
	m.active.SetMust(nmName, "ActiveConnections", append([]dbus.ObjectPath{}, paths...))
}

func TestWhatNetworkManagerSays(t *testing.T) {
	connect, _ := privateBus(t)
	bus, err := connect(t.Context())
	must(t, err)
	defer func() { _ = bus.Close() }()
	if m, err := askManager(t.Context(), bus); err != nil || len(m.links) > 0 || m.vpn != nil {
		t.Errorf("without NetworkManager: %+v %v", m, err)
	}
	nm := startManager(t, connect)
	psk, open, owe := nm.accessPoint("1", "Home sweet", 0x100|0x8), nm.accessPoint("2", "Free", 0), nm.accessPoint("3", "Enhanced", 0x800)
	wifi := func(ap dbus.ObjectPath) map[string]any { return map[string]any{"SpecificObject": ap} }
	a, _ := nm.connection("1", uuid1, "Home", "802-11-wireless", "wlan0", wifi(psk))
	b, _ := nm.connection("2", uuid2, "Free", "802-11-wireless", "wlan1", wifi(open))
	c, _ := nm.connection("3", uuid2, "Enhanced", "802-11-wireless", "wlan2", wifi(owe))
	d, _ := nm.connection("4", uuid1, "Wired connection 1", "802-3-ethernet", "eth0", nil)
	e, _ := nm.connection("5", uuid2, "Office", "vpn", "wlan0", map[string]any{"Vpn": true})
	f, _ := nm.connection("6", uuid2, "Tunnel", "wireguard", "wg0", nil)
	g, _ := nm.connection("7", uuid2, "Not yet", "802-3-ethernet", "eth1", map[string]any{"State": uint32(1)})
	h, _ := nm.connection("8", "../../etc", "Odd", "802-3-ethernet", "eth2", nil)
	i, _ := nm.connection("9", uuid2, "tun0", "tun", "tun0", nil)
	nm.activate(a, b, c, d, e, f, g, h, i, "/org/freedesktop/NetworkManager/ActiveConnection/404")
	m, err := askManager(t.Context(), bus)
	must(t, err)
	want := map[string]connection{
		"wlan0": {uuid1, "Home", Wifi, "Home sweet", true},
		"wlan1": {uuid2, "Free", Wifi, "Free", false},
		"wlan2": {uuid2, "Enhanced", Wifi, "Enhanced", false},
		"eth0":  {uuid1, "Wired connection 1", Wired, "", false},
		"wg0":   {uuid2, "Tunnel", VPN, "", false},
	}
	for link, c := range want {
		if m.links[link] != c {
			t.Errorf("%s: %+v, want %+v", link, m.links[link], c)
		}
	}
	if len(m.links) != len(want) {
		t.Errorf("links: %+v", m.links)
	}
	if m.vpn == nil || *m.vpn != (connection{uuid2, "Office", VPN, "", false}) {
		t.Errorf("vpn: %+v", m.vpn)
	}
}

// A laptop: NetworkManager starts, connects a Wi-Fi with a key, goes to an open one of the
// same name, and ends.
func TestWatchNetworkManager(t *testing.T) {
	connect, end := privateBus(t)
	l := lab.New(t)
	_, mac := hardware(t, links(t, l.Remote))
	w := started(t, Config{Bus: connect, NetNS: l.Home.NetNSFd(), Known: map[string]string{"nm:" + uuid1: flow.NetworkHome}})
	first := func() Network {
		if s := w.State(); len(s.Networks) > 0 {
			return s.Networks[0]
		}
		return Network{}
	}
	within(t, begins, "the gateway is known", func() bool { return first().ID == "gateway:"+mac.String() })

	nm := startManager(t, connect)
	keyed := nm.accessPoint("1", "Home sweet", 0x400)
	path, active := nm.connection("1", uuid1, "Home", "802-11-wireless", lab.LinkName, map[string]any{"SpecificObject": keyed, "State": uint32(1)})
	nm.activate(path)
	time.Sleep(2 * settle)
	if got := w.State().Profile(); got != flow.NetworkPublic {
		t.Errorf("while it connects: %q", got)
	}
	active.SetMust(nmActive, "State", uint32(activated))
	within(t, time.Second, "the Wi-Fi with a key is home", func() bool { return w.State().Profile() == flow.NetworkHome })
	if n := first(); n.ID != "nm:"+uuid1 || n.Weak || n.Kind != Wifi || n.SSID != "Home sweet" || n.Name != "Home" {
		t.Errorf("%+v", n)
	}

	evil := nm.accessPoint("2", "Home sweet", 0)
	active.SetMust(nmActive, "SpecificObject", evil)
	within(t, time.Second, "an open one of the same name is not", func() bool { return w.State().Profile() == flow.NetworkPublic })
	if n := first(); n.ID != "nm:"+uuid1+"/"+mac.String() || !n.Weak {
		t.Errorf("%+v", n)
	}

	active.SetMust(nmActive, "SpecificObject", keyed)
	within(t, time.Second, "home again", func() bool { return w.State().Profile() == flow.NetworkHome })
	_ = nm.bus.Close()
	gone := func() bool {
		return strings.HasPrefix(first().ID, "gateway:") && w.State().Profile() == flow.NetworkPublic
	}
	within(t, time.Second, "NetworkManager is gone", gone)
	nm = startManager(t, connect)
	keyed = nm.accessPoint("1", "Home sweet", 0x400)
	path, _ = nm.connection("1", uuid1, "Home", "802-11-wireless", lab.LinkName, map[string]any{"SpecificObject": keyed})
	nm.activate(path)
	within(t, time.Second, "NetworkManager is back", func() bool { return w.State().Profile() == flow.NetworkHome })
	end()
	within(t, time.Second, "the bus is gone", gone)
}
