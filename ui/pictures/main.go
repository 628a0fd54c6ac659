// Pictures renders the tray app's screens with Fyne's software painter, without a
// display: pictures OUTDIR writes <screen>-<light|dark>-<en|ja>.png.
package main

import (
	"fmt"
	"image/png"
	"os"
	"path/filepath"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver/software"
	"fyne.io/fyne/v2/test"

	"sekisho/assets"
	"sekisho/ui/text"
	"sekisho/ui/theme"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: pictures OUTDIR")
		os.Exit(2)
	}
	if err := renderAll(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "pictures:", err)
		os.Exit(1)
	}
}

// screen is one picture: its name, and what makes its content. A size of zero is the
// content's own.
type screen struct {
	name    string
	content func() fyne.CanvasObject
	size    fyne.Size
}

func renderAll(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	app := test.NewApp()
	for _, language := range assets.Languages() {
		if err := text.SetLanguage(language); err != nil {
			return err
		}
		for _, shade := range []string{"light", "dark"} {
			app.Settings().SetTheme(theme.New(shade))
			for _, s := range screens() {
				name := filepath.Join(dir, s.name+"-"+shade+"-"+language+".png")
				if err := render(s, name); err != nil {
					return fmt.Errorf("draw %s: %w", name, err)
				}
			}
		}
	}
	return nil
}

func render(s screen, name string) error {
	w := test.NewWindow(nil)
	defer w.Close()
	w.SetPadded(false)
	if c, ok := w.Canvas().(software.WindowlessCanvas); ok {
		c.SetScale(2) // before the content, or strokes are drawn for another scale
	}
	content := s.content()
	w.SetContent(content)
	size := s.size
	if size.IsZero() {
		size = content.MinSize()
	}
	w.Resize(size)
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := png.Encode(f, w.Canvas().Capture()); err != nil {
		return err
	}
	return f.Close()
}
