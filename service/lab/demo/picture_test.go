package main

import (
	"image"
	"image/color"
	"image/draw"
	"testing"
)

func TestFindArea(t *testing.T) {
	fill := func(img draw.Image, r image.Rectangle, c uint32) {
		draw.Draw(img, r, image.NewUniform(color.RGBA{R: byte(c >> 16), G: byte(c >> 8), B: byte(c), A: 255}), image.Point{}, draw.Src)
	}
	img := image.NewRGBA(image.Rect(0, 0, 500, 300))
	fill(img, img.Bounds(), 0xF5F6F8)
	fill(img, image.Rect(10, 0, 490, 4), allowFill[0])      // the bar: too thin
	fill(img, image.Rect(20, 100, 480, 130), grooveFill[0]) // two rows of choices
	fill(img, image.Rect(120, 102, 200, 128), 0xFFFFFF)     // what is chosen
	fill(img, image.Rect(20, 150, 480, 180), grooveFill[0])
	fill(img, image.Rect(20, 200, 245, 240), 0xD12F36)
	fill(img, image.Rect(255, 200, 480, 240), allowFill[0])
	fill(img, image.Rect(330, 212, 400, 228), 0xFFFFFF) // its text
	for _, c := range []struct {
		name  string
		fills []uint32
		want  image.Rectangle
	}{
		{"allow", allowFill, image.Rect(255, 200, 480, 240)},
		{"choices", grooveFill, image.Rect(20, 100, 480, 130)},
	} {
		if got, err := findArea(img, c.fills, 100, 20); err != nil || got != c.want {
			t.Errorf("%s: %v, %v; want %v", c.name, got, err, c.want)
		}
	}
	if got, err := findArea(img, []uint32{0x00FF00}, 100, 20); err == nil {
		t.Errorf("found what is not there: %v", got)
	}
}
