package tray

import (
	"context"
	"time"

	"github.com/godbus/dbus/v5"
)

const watcher = "org.kde.StatusNotifierWatcher"

// HasHost reports whether the desktop shows tray icons. Panels start beside us, so it
// asks again until patience is over.
func HasHost(ctx context.Context, patience time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		if hostNow() {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(300 * time.Millisecond):
		}
	}
}

func hostNow() bool {
	c, err := dbus.ConnectSessionBus()
	if err != nil {
		return false
	}
	defer c.Close()
	var owned bool
	if c.BusObject().Call("org.freedesktop.DBus.NameHasOwner", 0, watcher).Store(&owned) != nil || !owned {
		return false
	}
	v, err := c.Object(watcher, "/StatusNotifierWatcher").GetProperty(watcher + ".IsStatusNotifierHostRegistered")
	if err != nil {
		return false
	}
	on, _ := v.Value().(bool)
	return on
}
