package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestRuns(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "sekisho")
	if err := os.Symlink(self, link); err != nil {
		t.Fatal(err)
	}
	if !runs(self) || !runs(link) {
		t.Error("this program does not run")
	}
	copied := filepath.Join(t.TempDir(), "sekisho")
	if err := os.WriteFile(copied, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	if runs(copied) || runs(copied+"-gone") {
		t.Error("a file that nobody started runs")
	}
}
