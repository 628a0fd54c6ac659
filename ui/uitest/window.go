package uitest

import (
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"time"

	"github.com/jezek/xgb"
	"github.com/jezek/xgb/xproto"
)

// Window is a window on the display; X and Y are where its content begins.
type Window struct {
	ID                  uint32
	Title               string
	X, Y, Width, Height int
}

// The places of the prompt's buttons: pixels from the window's left edge and from its
// bottom.
const (
	PromptAllowX, PromptBlockX = 337, 122
	PromptButtonsUp            = 70
)

// FindWindow is the visible window with a title.
func (d *Desktop) FindWindow(title string) (Window, error) {
	x, err := xgb.NewConnDisplay(d.Display)
	if err != nil {
		return Window{}, fmt.Errorf("connect to X: %w", err)
	}
	defer x.Close()
	root := xproto.Setup(x).DefaultScreen(x).Root
	name, err := xproto.InternAtom(x, false, uint16(len("_NET_WM_NAME")), "_NET_WM_NAME").Reply()
	if err != nil {
		return Window{}, fmt.Errorf("look up _NET_WM_NAME: %w", err)
	}
	id, ok := find(x, root, name.Atom, title)
	if !ok {
		return Window{}, fmt.Errorf("no window %q", title)
	}
	g, err := xproto.GetGeometry(x, xproto.Drawable(id)).Reply()
	if err != nil {
		return Window{}, fmt.Errorf("window %q: %w", title, err)
	}
	at, err := xproto.TranslateCoordinates(x, id, root, 0, 0).Reply()
	if err != nil {
		return Window{}, fmt.Errorf("window %q: %w", title, err)
	}
	return Window{uint32(id), title, int(at.DstX), int(at.DstY), int(g.Width), int(g.Height)}, nil
}

func find(x *xgb.Conn, w xproto.Window, name xproto.Atom, title string) (xproto.Window, bool) {
	tree, err := xproto.QueryTree(x, w).Reply()
	if err != nil {
		return 0, false // gone in the meantime
	}
	for _, c := range tree.Children {
		a, err := xproto.GetWindowAttributes(x, c).Reply()
		if err != nil || a.MapState != xproto.MapStateViewable {
			continue
		}
		for _, property := range []xproto.Atom{name, xproto.AtomWmName} {
			p, err := xproto.GetProperty(x, false, c, property, xproto.GetPropertyTypeAny, 0, 256).Reply()
			if err == nil && string(p.Value) == title {
				return c, true
			}
		}
		if id, ok := find(x, c, name, title); ok {
			return id, true
		}
	}
	return 0, false
}

// WaitWindow waits until a window with a title is visible.
func (d *Desktop) WaitWindow(ctx context.Context, title string, patience time.Duration) (w Window, err error) {
	err = Until(ctx, patience, func() error {
		w, err = d.FindWindow(title)
		return err
	})
	return w, err
}

// WaitNoWindow waits until no window with a title is visible any more.
func (d *Desktop) WaitNoWindow(ctx context.Context, title string, patience time.Duration) error {
	return Until(ctx, patience, func() error {
		if _, err := d.FindWindow(title); err == nil {
			return fmt.Errorf("window %q is still there", title)
		}
		return nil
	})
}

// Focused is the window that has the keyboard.
func (d *Desktop) Focused() (uint32, error) {
	x, err := xgb.NewConnDisplay(d.Display)
	if err != nil {
		return 0, fmt.Errorf("connect to X: %w", err)
	}
	defer x.Close()
	f, err := xproto.GetInputFocus(x).Reply()
	if err != nil {
		return 0, fmt.Errorf("ask for the focus: %w", err)
	}
	return uint32(f.Focus), nil
}

// Click clicks at a place of the display. The button is held for a moment: clicks
// without length are missed.
func (d *Desktop) Click(ctx context.Context, x, y int) error {
	px, py := strconv.Itoa(x), strconv.Itoa(y)
	return d.xdotool(ctx, "mousemove", strconv.Itoa(x-3), py, "sleep", "0.1", "mousemove", px, py, "sleep", "0.1",
		"mousedown", "1", "sleep", "0.1", "mouseup", "1")
}

// ClickIn clicks into a window, x from its left and up from its bottom edge.
func (d *Desktop) ClickIn(ctx context.Context, w Window, x, up int) error {
	return d.Click(ctx, w.X+x, w.Y+w.Height-up)
}

// Type presses the keys of a text, with a pause between two.
func (d *Desktop) Type(ctx context.Context, text string, pause time.Duration) error {
	return d.xdotool(ctx, "type", "--delay", strconv.FormatInt(pause.Milliseconds(), 10), "--", text)
}

// Key presses one key or combination: "Escape", "alt+a".
func (d *Desktop) Key(ctx context.Context, key string) error { return d.xdotool(ctx, "key", key) }

func (d *Desktop) xdotool(ctx context.Context, args ...string) error {
	return d.run(ctx, "xdotool", args...)
}

// Screenshot saves the whole display as a picture; the file's ending says which kind.
func (d *Desktop) Screenshot(ctx context.Context, path string) error {
	return d.run(ctx, "import", "-window", "root", path)
}

// run runs a tool in the desktop to its end.
func (d *Desktop) run(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = d.Env()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, out)
	}
	return nil
}

// WaitPainted waits until a window shows something: the first frame comes some time
// after the window itself.
func (d *Desktop) WaitPainted(ctx context.Context, w Window, patience time.Duration) error {
	x, err := xgb.NewConnDisplay(d.Display)
	if err != nil {
		return fmt.Errorf("connect to X: %w", err)
	}
	defer x.Close()
	return Until(ctx, patience, func() error {
		im, err := xproto.GetImage(x, xproto.ImageFormatZPixmap, xproto.Drawable(w.ID), 0, 0,
			uint16(w.Width), uint16(w.Height), ^uint32(0)).Reply()
		if err != nil {
			return fmt.Errorf("look at window %q: %w", w.Title, err)
		}
		colours := map[[3]byte]bool{}
		for i := 0; i+4 <= len(im.Data); i += 4 {
			if colours[[3]byte(im.Data[i:i+3])] = true; len(colours) > 8 {
				return nil
			}
		}
		return fmt.Errorf("window %q shows nothing", w.Title)
	})
}
