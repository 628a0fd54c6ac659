package process

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Where icons are, and their sizes: those that a prompt shows first, then larger ones
// to shrink, then drawings, then smaller ones.
var (
	iconFolders = []string{"usr/local/share/icons/hicolor", "usr/share/icons/hicolor", "var/lib/flatpak/exports/share/icons/hicolor"}
	iconSizes   = []string{"64x64", "48x48", "96x96", "128x128", "256x256", "512x512", "scalable", "32x32", "24x24", "22x22", "16x16"}
	iconTypes   = []string{".png", ".svg", ".xpm"}
)

const maxIcons = 4096

// IconFile finds the file of an icon by the name in a desktop entry, or "" if there is
// none that only root could have written. PNG files of 48 to 64 pixels come first.
func (d *Desktop) IconFile(icon string) string {
	if icon == "" {
		return ""
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.built {
		d.index()
	}
	if file, ok := d.icons[icon]; ok {
		return file
	}
	if len(d.icons) >= maxIcons {
		clear(d.icons)
	}
	file := d.findIcon(icon)
	d.icons[icon] = file
	return file
}

func (d *Desktop) findIcon(icon string) string {
	if filepath.IsAbs(icon) {
		file := filepath.Join(d.root, icon)
		if slices.Contains(iconTypes, filepath.Ext(file)) && d.isIcon(file) {
			return file
		}
		return ""
	}
	if strings.Contains(icon, "/") {
		return ""
	}
	if ext := filepath.Ext(icon); slices.Contains(iconTypes, ext) {
		icon = strings.TrimSuffix(icon, ext)
	}
	for _, size := range iconSizes {
		for _, folder := range iconFolders {
			for _, ext := range iconTypes {
				if file := filepath.Join(d.root, folder, size, "apps", icon+ext); d.isIcon(file) {
					return file
				}
			}
		}
	}
	for _, ext := range iconTypes {
		if file := filepath.Join(d.root, "usr/share/pixmaps", icon+ext); d.isIcon(file) {
			return file
		}
	}
	return ""
}

func (d *Desktop) isIcon(file string) bool {
	info, err := os.Stat(file)
	return err == nil && info.Mode().IsRegular() && d.trusted(file)
}
