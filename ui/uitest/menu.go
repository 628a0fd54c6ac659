package uitest

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"
)

// MenuItem is one line of a tray menu.
type MenuItem struct {
	ID      int32
	Label   string // without shortcut marks
	Check   bool   // it can be ticked
	Checked bool
	Enabled bool
	Visible bool
	Items   []MenuItem
}

// Find is the item at a path of labels: Find("Mode", "Lockdown").
func (m MenuItem) Find(labels ...string) (MenuItem, error) {
	at := m
	for _, l := range labels {
		found := false
		for _, i := range at.Items {
			if i.Label == l && i.Visible {
				at, found = i, true
				break
			}
		}
		if !found {
			return MenuItem{}, fmt.Errorf("no menu item %q in %s", strings.Join(labels, " › "), at)
		}
	}
	return at, nil
}

// String lists the labels, for messages.
func (m MenuItem) String() string {
	var labels []string
	for _, i := range m.Items {
		if i.Visible && i.Label != "" {
			labels = append(labels, i.Label)
		}
	}
	return "[" + strings.Join(labels, ", ") + "]"
}

const menuPath dbus.ObjectPath = "/StatusNotifierItem/menu"

func owner(pid int) string { return fmt.Sprintf("org.kde.StatusNotifierItem-%d-1", pid) }

// TrayMenu reads the menu of the tray icon of a process, as a panel would.
func (d *Desktop) TrayMenu(ctx context.Context, pid int) (MenuItem, error) {
	bus, err := d.bus()
	if err != nil {
		return MenuItem{}, err
	}
	defer bus.Close()
	var menu MenuItem
	err = Until(ctx, 10*time.Second, func() error {
		menu, err = readMenu(ctx, bus, pid)
		return err
	})
	return menu, err
}

// TrayClick clicks the item at a path of labels in the tray menu of a process.
func (d *Desktop) TrayClick(ctx context.Context, pid int, labels ...string) error {
	menu, err := d.TrayMenu(ctx, pid)
	if err != nil {
		return err
	}
	item, err := menu.Find(labels...)
	if err != nil {
		return err
	}
	if !item.Enabled {
		return fmt.Errorf("menu item %q is disabled", strings.Join(labels, " › "))
	}
	bus, err := d.bus()
	if err != nil {
		return err
	}
	defer bus.Close()
	return bus.Object(owner(pid), menuPath).CallWithContext(ctx, "com.canonical.dbusmenu.Event", 0,
		item.ID, "clicked", dbus.MakeVariant(""), uint32(0)).Err
}

// node is a menu item as it travels.
type node struct {
	ID    int32
	Props map[string]dbus.Variant
	Kids  []dbus.Variant
}

// readMenu asks twice: the first answer after the start has one level only.
func readMenu(ctx context.Context, bus *dbus.Conn, pid int) (MenuItem, error) {
	var root node
	for range 2 {
		var revision uint32
		root = node{}
		err := bus.Object(owner(pid), menuPath).CallWithContext(ctx, "com.canonical.dbusmenu.GetLayout", 0,
			int32(0), int32(-1), []string{}).Store(&revision, &root)
		if err != nil {
			return MenuItem{}, fmt.Errorf("read the tray menu: %w", err)
		}
	}
	m := item(root)
	if len(m.Items) == 0 {
		return m, fmt.Errorf("the tray menu of process %d is empty", pid)
	}
	return m, nil
}

var unmark = strings.NewReplacer("__", "_", "_", "")

func item(n node) MenuItem {
	m := MenuItem{ID: n.ID, Enabled: true, Visible: true}
	for key, v := range n.Props {
		switch key {
		case "label":
			s, _ := v.Value().(string)
			m.Label = unmark.Replace(s)
		case "enabled":
			m.Enabled, _ = v.Value().(bool)
		case "visible":
			m.Visible, _ = v.Value().(bool)
		case "toggle-type":
			m.Check = v.Value() == "checkmark"
		case "toggle-state":
			m.Checked = fmt.Sprint(v.Value()) == "1"
		}
	}
	for _, k := range n.Kids {
		var c node
		if dbus.Store([]any{k.Value()}, &c) == nil {
			m.Items = append(m.Items, item(c))
		}
	}
	return m
}
