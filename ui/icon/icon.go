// Package icon finds the pictures of programs among the icons that are installed on the
// system. It looks only into folders that an administrator owns, never at what a program
// says of itself.
//
// A Finder belongs to Fyne's goroutine.
package icon

import (
	"bytes"
	"image"
	_ "image/png" // icons are PNG files
	"os"
	"path/filepath"
	"slices"
	"strings"

	"fyne.io/fyne/v2"
)

const (
	mostBytes = 1 << 20
	mostSide  = 1024
)

// Finder remembers what it found, and what it did not.
type Finder struct {
	folders []string
	trusted []string // where absolute files may be
	found   map[string]fyne.Resource
}

// NewFinder looks into the system's folders.
func NewFinder() *Finder {
	f := &Finder{
		trusted: []string{"/usr/", "/opt/", "/var/lib/flatpak/", "/var/lib/snapd/"},
		found:   map[string]fyne.Resource{},
	}
	for _, size := range []string{"64x64", "48x48", "96x96", "128x128", "256x256", "512x512", "32x32"} {
		f.folders = append(f.folders, "/usr/share/icons/hicolor/"+size+"/apps")
	}
	for _, flatpak := range []string{"64x64", "128x128", "256x256"} {
		f.folders = append(f.folders, "/var/lib/flatpak/exports/share/icons/hicolor/"+flatpak+"/apps")
	}
	f.folders = append(f.folders, "/usr/share/pixmaps", "/usr/local/share/pixmaps", "/usr/share/icons/Adwaita/48x48/apps")
	return f
}

// Find returns the icon of a name or an absolute file of a desktop entry; nil if there
// is none that can be shown. SVG icons are left out: Fyne draws gradients black.
func (f *Finder) Find(name string) fyne.Resource {
	if name == "" {
		return nil
	}
	if r, ok := f.found[name]; ok {
		return r
	}
	r := f.look(name)
	f.found[name] = r
	return r
}

func (f *Finder) look(name string) fyne.Resource {
	if filepath.IsAbs(name) {
		name = filepath.Clean(name)
		if slices.ContainsFunc(f.trusted, func(t string) bool { return strings.HasPrefix(name, t) }) {
			return load(name)
		}
		return nil
	}
	if strings.ContainsRune(name, '/') {
		return nil
	}
	name = strings.TrimSuffix(name, ".png")
	for _, folder := range f.folders {
		if r := load(filepath.Join(folder, name+".png")); r != nil {
			return r
		}
	}
	return nil
}

// load reads a picture that is of a reasonable size.
func load(path string) fyne.Resource {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() > mostBytes {
		return nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	c, format, err := image.DecodeConfig(bytes.NewReader(b))
	if err != nil || format != "png" || c.Width > mostSide || c.Height > mostSide {
		return nil
	}
	return fyne.NewStaticResource(path, b)
}
