package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"sekisho/service/lab"
)

// A run of a few connections with the real service has every figure.
func TestMeasures(t *testing.T) {
	for _, pkg := range []string{"app/sekishod", "app/sekishoctl"} {
		lab.Build(t, pkg)
	}
	bench := lab.Build(t, "service/lab/bench")
	file := filepath.Join(t.TempDir(), "bench.json")
	out, err := exec.Command(bench, "-programs", filepath.Dir(bench), "-rounds", "2", "-each", "20", "-asks", "1", "-o", file).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	type spread struct {
		N   int
		P50 float64 `json:"p50_us"`
	}
	var got struct {
		Connect struct {
			Sides []struct {
				Name    string
				Connect spread
				Queued  int
			}
			Ratios []struct{ P50 float64 }
		}
		Ask []struct {
			What string
			Time spread
		}
	}
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Connect.Sides) != 8 || len(got.Connect.Ratios) != 4 || len(got.Ask) != 6 {
		t.Fatalf("%s", b)
	}
	for _, s := range got.Connect.Sides {
		if s.Connect.N != 40 || s.Connect.P50 <= 0 || (s.Queued > 0) != (s.Name == "queued") {
			t.Errorf("%+v", s)
		}
	}
	for _, a := range got.Ask {
		if a.Time.N < 1 || a.Time.P50 <= 0 {
			t.Errorf("%+v", a)
		}
	}
	for _, r := range got.Connect.Ratios {
		if r.P50 <= 0 {
			t.Errorf("%+v", r)
		}
	}
}
