package daemon

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// Whatever way a package system writes where it fetches from, no list blocks that host.
func TestUpdateHosts(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{
		"etc/apt/sources.list":              "deb [arch=amd64] https://One.Example/debian stable main\n# deb http://old.example/ x\ndeb mirror+https://two.example/list x y\n",
		"etc/apt/sources.list.d/a.sources":  "Types: deb\nURIs: http://three.example:8080/debian https://four.example\n",
		"etc/yum.repos.d/a.repo":            "[a]\nbaseurl=https://five.example/$releasever\n",
		"etc/pacman.d/mirrorlist":           "#Server = https://old.example/\nServer = https://six.example/$repo/os/$arch\n",
		"etc/apk/repositories":              "https://seven.example/alpine/v3\n",
		"etc/apt/sources.list.d/other.text": "https://old.example/\n",
	} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got := updateHosts(root)
	slices.Sort(got)
	want := []string{"five.example", "four.example", "one.example", "seven.example", "six.example", "three.example", "two.example"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
