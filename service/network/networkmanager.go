package network

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"
)

// What is used of NetworkManager's interface, as its reference (introspection of version
// 1.2 and later) has it.
const (
	nmName        = "org.freedesktop.NetworkManager"
	nmPath        = dbus.ObjectPath("/org/freedesktop/NetworkManager")
	nmActive      = nmName + ".Connection.Active"
	nmDevice      = nmName + ".Device"
	nmAccess      = nmName + ".AccessPoint"
	properties    = "org.freedesktop.DBus.Properties"
	activated     = 2                              // NM_ACTIVE_CONNECTION_STATE_ACTIVATED
	keyManagement = 0x100 | 0x200 | 0x400 | 0x2000 // NM_802_11_AP_SEC_KEY_MGMT_PSK, _802_1X, _SAE, _EAP_SUITE_B_192

	maxConnections = 64
	askAtMost      = 2 * time.Second
)

var nmKinds = map[string]Kind{
	"802-3-ethernet": Wired, "802-11-wireless": Wifi, "gsm": Mobile, "cdma": Mobile, "wimax": Mobile,
	"vpn": VPN, "wireguard": VPN,
}

// subscribe has every change that matters here sent to ch: connections that come, go and
// change, and NetworkManager itself.
func subscribe(ctx context.Context, bus *dbus.Conn, ch chan *dbus.Signal) error {
	ctx, cancel := context.WithTimeout(ctx, askAtMost)
	defer cancel()
	for _, m := range [][]dbus.MatchOption{
		{dbus.WithMatchSender(nmName), dbus.WithMatchInterface(properties), dbus.WithMatchMember("PropertiesChanged"), dbus.WithMatchArg(0, nmName)},
		{dbus.WithMatchSender(nmName), dbus.WithMatchInterface(properties), dbus.WithMatchMember("PropertiesChanged"), dbus.WithMatchArg(0, nmActive)},
		{dbus.WithMatchSender(nmName), dbus.WithMatchInterface(nmActive), dbus.WithMatchMember("StateChanged")},
		{dbus.WithMatchSender("org.freedesktop.DBus"), dbus.WithMatchInterface("org.freedesktop.DBus"), dbus.WithMatchMember("NameOwnerChanged"), dbus.WithMatchArg(0, nmName)},
	} {
		if err := bus.AddMatchSignalContext(ctx, m...); err != nil {
			return fmt.Errorf("listen to NetworkManager: %w", err)
		}
	}
	bus.Signal(ch)
	return nil
}

// absent reports whether err says that no NetworkManager runs.
func absent(err error) bool {
	var e dbus.Error
	if !errors.As(err, &e) {
		return false
	}
	return e.Name == "org.freedesktop.DBus.Error.ServiceUnknown" || e.Name == "org.freedesktop.DBus.Error.NameHasNoOwner"
}

// askManager asks what is active. Without NetworkManager it is nothing. A connection that
// goes while it is asked about is left out.
func askManager(ctx context.Context, bus *dbus.Conn) (manager, error) {
	ctx, cancel := context.WithTimeout(ctx, askAtMost)
	defer cancel()
	m := manager{links: map[string]connection{}}
	var paths []dbus.ObjectPath
	if err := get(ctx, bus, nmPath, nmName, "ActiveConnections", &paths); err != nil {
		if absent(err) {
			return m, nil
		}
		return m, fmt.Errorf("ask NetworkManager: %w", err)
	}
	for _, p := range paths[:min(len(paths), maxConnections)] {
		m.add(ctx, bus, p)
	}
	return m, ctx.Err()
}

func get(ctx context.Context, bus *dbus.Conn, path dbus.ObjectPath, of, name string, into any) error {
	var v dbus.Variant
	call := bus.Object(nmName, path).CallWithContext(ctx, properties+".Get", dbus.FlagNoAutoStart, of, name)
	if err := call.Store(&v); err != nil {
		return err
	}
	return v.Store(into)
}

func getAll(ctx context.Context, bus *dbus.Conn, path dbus.ObjectPath, of string) (all map[string]dbus.Variant, err error) {
	call := bus.Object(nmName, path).CallWithContext(ctx, properties+".GetAll", dbus.FlagNoAutoStart, of)
	return all, call.Store(&all)
}

// value is a property; zero if it isn't there or is of another type.
func value[T any](all map[string]dbus.Variant, name string) (v T) {
	v, _ = all[name].Value().(T)
	return v
}

func (m *manager) add(ctx context.Context, bus *dbus.Conn, path dbus.ObjectPath) {
	all, err := getAll(ctx, bus, path, nmActive)
	if err != nil || value[uint32](all, "State") != activated {
		return
	}
	kind, ok := nmKinds[value[string](all, "Type")]
	c := connection{uuid: value[string](all, "Uuid"), name: value[string](all, "Id"), kind: kind}
	if !isUUID(c.uuid) {
		return
	}
	if value[bool](all, "Vpn") {
		// Its devices are those that it runs over.
		c.kind = VPN
		m.vpn = &c
		return
	}
	if !ok {
		return // a bridge, a tunnel that somebody else made: the link says more
	}
	if kind == Wifi {
		c.askAccessPoint(ctx, bus, value[dbus.ObjectPath](all, "SpecificObject"))
	}
	for _, d := range value[[]dbus.ObjectPath](all, "Devices") {
		for _, name := range []string{"Interface", "IpInterface"} {
			var link string
			if get(ctx, bus, d, nmDevice, name, &link) == nil && link != "" {
				m.links[link] = c
			}
		}
	}
}

// askAccessPoint learns the name of a Wi-Fi, and whether it has a key.
func (c *connection) askAccessPoint(ctx context.Context, bus *dbus.Conn, path dbus.ObjectPath) {
	if path == "" || path == "/" {
		return
	}
	all, err := getAll(ctx, bus, path, nmAccess)
	if err != nil {
		return
	}
	c.ssid = string(value[[]byte](all, "Ssid"))
	c.keyed = (value[uint32](all, "WpaFlags")|value[uint32](all, "RsnFlags"))&keyManagement != 0
}

func isUUID(s string) bool {
	return len(s) == 36 && strings.Trim(strings.ToLower(s), "0123456789abcdef-") == ""
}
