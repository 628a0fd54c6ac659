package main

import (
	"errors"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strconv"
)

// What the prompt's parts are filled with, in light and in dark (ui/theme). A person
// finds the buttons by their looks, and so does the demo.
var (
	allowFill  = []uint32{0x2563EB, 0x2F6FE4}
	grooveFill = []uint32{0xE6E9EE, 0x15171B} // of a row of choices
)

var errNotInSight = errors.New("not in sight")

// findArea finds the topmost area of one of the colours that is at least so large. A
// hole, such as text, does not split an area.
func findArea(img image.Image, fills []uint32, width, height int) (image.Rectangle, error) {
	b := img.Bounds()
	var area image.Rectangle
	for y := b.Min.Y; y < b.Max.Y; y++ {
		row := extent(img, y, fills, width)
		switch {
		case area.Empty():
			area = row
		case row.Empty() || row.Intersect(image.Rect(area.Min.X, row.Min.Y, area.Max.X, row.Max.Y)).Empty():
			if area.Dy() >= height {
				return area, nil
			}
			area = row
		default:
			area = area.Union(row)
		}
	}
	if area.Dy() >= height {
		return area, nil
	}
	return image.Rectangle{}, errNotInSight
}

// extent is where in a line of the picture a colour reaches from and to: empty unless
// it fills a good part of that.
func extent(img image.Image, y int, fills []uint32, width int) image.Rectangle {
	b := img.Bounds()
	from, to, filled := -1, -1, 0
	for x := b.Min.X; x < b.Max.X; x++ {
		if !is(img.At(x, y), fills) {
			continue
		}
		if from < 0 {
			from = x
		}
		to = x + 1
		filled++
	}
	if to-from < width || filled*3 < to-from {
		return image.Rectangle{}
	}
	return image.Rect(from, y, to, y+1)
}

func is(c color.Color, fills []uint32) bool {
	r, g, b, _ := c.RGBA()
	for _, f := range fills {
		if near(r>>8, f>>16&0xff) && near(g>>8, f>>8&0xff) && near(b>>8, f&0xff) {
			return true
		}
	}
	return false
}

func near(a, b uint32) bool { return a-b+2 <= 4 }

func center(r image.Rectangle) image.Point { return r.Min.Add(r.Max).Div(2) }

func savePicture(file string, img image.Image) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	return errors.Join(png.Encode(f, img), f.Close(), giveBack(file), giveBack(filepath.Dir(file)))
}

// giveBack makes the person behind sudo the owner of what was made for them.
func giveBack(file string) error {
	uid, uidErr := strconv.Atoi(os.Getenv("SUDO_UID"))
	gid, gidErr := strconv.Atoi(os.Getenv("SUDO_GID"))
	if uidErr != nil || gidErr != nil {
		return nil // it was not sudo
	}
	return os.Chown(file, uid, gid)
}
