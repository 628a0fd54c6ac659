package icon

import (
	"bytes"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"testing"

	"fyne.io/fyne/v2"
)

func picture(t *testing.T, side int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewRGBA(image.Rect(0, 0, side, side))); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	f := &Finder{folders: []string{dir}, trusted: []string{dir + "/"}, found: map[string]fyne.Resource{}}
	outside := filepath.Join(t.TempDir(), "outside.png")
	for name, b := range map[string][]byte{
		filepath.Join(dir, "good.png"):  picture(t, 48),
		filepath.Join(dir, "huge.png"):  picture(t, mostSide+1),
		filepath.Join(dir, "wrong.png"): []byte("<svg/>"),
		outside:                         picture(t, 48),
	} {
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]bool{
		"good": true, "good.png": true, filepath.Join(dir, "good.png"): true,
		"": false, "huge": false, "wrong": false, "missing": false, "../good": false,
		outside: false, dir + "/../" + filepath.Base(filepath.Dir(outside)) + "/outside.png": false,
	} {
		if got := f.Find(name) != nil; got != want {
			t.Errorf("%q found: %v", name, got)
		}
	}
	if f.Find("good") != f.Find("good") {
		t.Error("the icon is read twice")
	}
}
