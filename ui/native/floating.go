// Package native puts windows on screen where Fyne alone does too little: a window that
// appears above all others without taking the keyboard from what the person is typing.
// It is the one package that touches GLFW and X11; tests without a display stay clear
// of it.
//
// Everything here belongs to Fyne's goroutine.
package native

import (
	"log/slog"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver"
	"fyne.io/fyne/v2/driver/desktop"
	"github.com/go-gl/glfw/v3.4/glfw"
)

// Floating is a window that is shown again and again, above all others, and never takes
// the keyboard when it appears. Under X11 three things are needed for that, as no window
// manager obeys all of them: no focus request by GLFW, a user time of zero before the
// window is mapped, and an input hint of false until Settle. Under Wayland the
// compositor decides.
type Floating struct {
	window fyne.Window
	x11    uint32 // 0: not known yet, or not X11
	shown  bool
}

// NewFloating returns a window that is not shown yet.
func NewFloating(app fyne.App, title string, icon fyne.Resource) *Floating {
	f := &Floating{window: app.NewWindow(title)}
	if w, ok := f.window.(desktop.Window); ok {
		w.RequestAlwaysOnTop()
	}
	f.window.SetPadded(false)
	f.window.SetFixedSize(true)
	f.window.CenterOnScreen()
	f.window.SetIcon(&hookedIcon{icon, f.beforeMap})
	return f
}

// Window is the Fyne window, for its content and shortcuts.
func (f *Floating) Window() fyne.Window { return f.window }

// Visible reports whether the window is on screen.
func (f *Floating) Visible() bool { return f.shown }

// Show puts the window on screen. Settle must be called a moment later, or a click can
// never give it the keyboard.
func (f *Floating) Show() {
	if f.shown {
		return
	}
	f.shown = true
	if f.x11 != 0 {
		f.quieten()
	}
	glfw.WindowHint(glfw.FocusOnShow, glfw.False)
	f.window.Show()
	glfw.WindowHint(glfw.FocusOnShow, glfw.True)
}

// Settle lets the window have the keyboard when the person clicks it.
func (f *Floating) Settle() {
	if f.x11 == 0 || !f.shown {
		return
	}
	if err := setInputHint(f.x11, true); err != nil {
		slog.Warn("let the prompt take input", "err", err)
	}
}

// Hide takes the window off the screen and keeps it for the next time.
func (f *Floating) Hide() {
	if f.shown {
		f.shown = false
		f.window.Hide()
	}
}

// beforeMap runs between the creation of the native window and its mapping.
func (f *Floating) beforeMap() {
	w, ok := f.window.(driver.NativeWindow)
	if !ok {
		return
	}
	w.RunNative(func(context any) {
		if x, ok := context.(driver.X11WindowContext); ok && x.WindowHandle != 0 {
			f.x11 = uint32(x.WindowHandle)
			f.quieten()
		}
	})
}

func (f *Floating) quieten() {
	if err := quieten(f.x11); err != nil {
		slog.Warn("keep the prompt from taking the keyboard", "err", err)
	}
}

// hookedIcon is a window icon whose first reading runs before: Fyne reads the icon after
// it has created the native window and before it maps it, which is the only moment at
// which X11 hints are in time.
type hookedIcon struct {
	fyne.Resource
	before func()
}

func (h *hookedIcon) Content() []byte {
	if f := h.before; f != nil {
		h.before = nil
		f()
	}
	return h.Resource.Content()
}
