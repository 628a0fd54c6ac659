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
	out, err := exec.Command(bench, "-programs", filepath.Dir(bench), "-rounds", "2", "-each", "20", "-asks", "1", "-scale", "0.01", "-live", "300", "-starts", "1", "-rules", "100", "-o", file).CombinedOutput()
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
	type values struct{ Best, P50, P99 float64 }
	var got struct {
		Connect []struct {
			Rules int
			Sides []struct {
				Name    string
				Connect spread
				Queued  int
			}
			Ratios []struct {
				P50 float64
			}
		}
		Work []struct {
			Name          string
			Bare, Allowed values
		}
		CPU struct {
			Connections int
			Service     float64 `json:"service_us_per_10000"`
		}
		Memory []struct {
			RSS int `json:"rss_kib"`
		}
		Start []struct{ Time spread }
		Ask   []struct {
			What string
			Time spread
		}
		Targets []struct{ What string }
	}
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Connect) != 3 || len(got.Work) != 6 || len(got.Memory) != 4 || len(got.Start) != 4 || len(got.Ask) != 6 || len(got.Targets) == 0 {
		t.Fatalf("%s", b)
	}
	for i, c := range got.Connect {
		if c.Rules != []int{5, 10, 100}[i] || len(c.Sides) != []int{9, 6, 6}[i] || len(c.Ratios) != []int{5, 3, 3}[i] {
			t.Errorf("%+v", c)
		}
		for _, s := range c.Sides {
			if s.Connect.N != []int{40, 20, 20}[i] || s.Connect.P50 <= 0 || (s.Queued > 0) != (s.Name == "first") {
				t.Errorf("with %d rules: %+v", c.Rules, s)
			}
		}
		for _, r := range c.Ratios {
			if r.P50 <= 0 {
				t.Errorf("with %d rules: %+v", c.Rules, r)
			}
		}
	}
	for _, w := range got.Work {
		for _, v := range []values{w.Bare, w.Allowed} {
			if v.Best <= 0 || v.P50 <= 0 || v.P99 <= 0 {
				t.Errorf("%+v", w)
			}
		}
	}
	if got.CPU.Connections != 4000 || got.CPU.Service <= 0 {
		t.Errorf("%+v", got.CPU)
	}
	for _, m := range got.Memory {
		if m.RSS < 1024 {
			t.Errorf("%+v", m)
		}
	}
	for _, s := range got.Start {
		if s.Time.N != 1 || s.Time.P50 <= 0 {
			t.Errorf("%+v", s)
		}
	}
	for _, a := range got.Ask {
		if a.Time.N < 1 || a.Time.P50 <= 0 {
			t.Errorf("%+v", a)
		}
	}
}
