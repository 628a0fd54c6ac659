package native

import (
	"encoding/binary"
	"fmt"

	"github.com/jezek/xgb"
	"github.com/jezek/xgb/xproto"
)

// quieten marks a window that is not mapped as one that nobody asked for (user time
// zero), that takes no input, and that stays above others. Window managers drop the
// last when a window is hidden, so it is set again each time.
func quieten(id uint32) error {
	x, err := xgb.NewConn()
	if err != nil {
		return fmt.Errorf("connect to X: %w", err)
	}
	defer x.Close()
	if err := setCardinal(x, id, "_NET_WM_USER_TIME", xproto.AtomCardinal, 0); err != nil {
		return err
	}
	above, err := atom(x, "_NET_WM_STATE_ABOVE")
	if err != nil {
		return err
	}
	if err := setCardinal(x, id, "_NET_WM_STATE", xproto.AtomAtom, uint32(above)); err != nil {
		return err
	}
	return inputHint(x, id, false)
}

// setInputHint sets the ICCCM input hint: while it is false no window manager gives the
// window the focus.
func setInputHint(id uint32, yes bool) error {
	x, err := xgb.NewConn()
	if err != nil {
		return fmt.Errorf("connect to X: %w", err)
	}
	defer x.Close()
	return inputHint(x, id, yes)
}

func inputHint(x *xgb.Conn, id uint32, yes bool) error {
	w := xproto.Window(id)
	p, err := xproto.GetProperty(x, false, w, xproto.AtomWmHints, xproto.AtomWmHints, 0, 9).Reply()
	if err != nil {
		return fmt.Errorf("read WM_HINTS: %w", err)
	}
	hints := make([]byte, 36) // flags, input, and seven fields that stay as they are
	copy(hints, p.Value)
	const inputFlag = 1
	flags := binary.LittleEndian.Uint32(hints) | inputFlag
	binary.LittleEndian.PutUint32(hints, flags)
	input := uint32(0)
	if yes {
		input = 1
	}
	binary.LittleEndian.PutUint32(hints[4:], input)
	err = xproto.ChangePropertyChecked(x, xproto.PropModeReplace, w, xproto.AtomWmHints, xproto.AtomWmHints, 32, 9, hints).Check()
	if err != nil {
		return fmt.Errorf("write WM_HINTS: %w", err)
	}
	return nil
}

func setCardinal(x *xgb.Conn, id uint32, name string, kind xproto.Atom, value uint32) error {
	property, err := atom(x, name)
	if err != nil {
		return err
	}
	err = xproto.ChangePropertyChecked(x, xproto.PropModeReplace, xproto.Window(id), property, kind, 32, 1,
		binary.LittleEndian.AppendUint32(nil, value)).Check()
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

func atom(x *xgb.Conn, name string) (xproto.Atom, error) {
	a, err := xproto.InternAtom(x, false, uint16(len(name)), name).Reply()
	if err != nil {
		return 0, fmt.Errorf("look up %s: %w", name, err)
	}
	return a.Atom, nil
}
