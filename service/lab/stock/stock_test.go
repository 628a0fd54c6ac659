package stock

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sekisho/service/lab"
)

// The whole path on kernels that distributions ship: on those that CI has (see Kernels),
// on all that are supported with SEKISHO_KERNELS=all (make test-kernels), or on those
// that SEKISHO_KERNELS names, with spaces between.
func TestWholePath(t *testing.T) {
	folder := filepath.Join("..", "..", "..", "build", "kernels")
	guest := lab.Build(t, "service/lab/stock/guest")
	var programs []string
	for _, p := range []string{"app/sekishod", "app/sekishoctl", "service/lab/programs/connect", "service/lab/programs/serve", "service/lab/programs/spawn"} {
		programs = append(programs, lab.Build(t, p))
	}
	processors := 1 // CI has two, for two machines at once
	if os.Getenv("SEKISHO_KERNELS") != "" {
		processors = 2
	}
	for _, name := range wantedKernels(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k, err := Find(folder, name)
			if err != nil {
				t.Fatal(err)
			}
			t.Log(k.Release)
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
			defer cancel()
			checks, log, err := k.Boot(ctx, t.TempDir(), processors, guest, programs)
			for _, c := range checks {
				t.Run(c.Name, func(t *testing.T) {
					t.Logf("%v %s", c.Took, c.Says)
					if c.Failed {
						t.Error(c.Says)
					}
				})
			}
			if err != nil {
				t.Error(err)
			}
			if t.Failed() {
				t.Logf("what came over the serial line of %s:\n%s", k.Release, log)
			}
		})
	}
}

func wantedKernels(t *testing.T) []string {
	wanted := os.Getenv("SEKISHO_KERNELS")
	if wanted != "" && wanted != "all" {
		return strings.Fields(wanted)
	}
	names, err := Kernels(wanted == "all")
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestNewest(t *testing.T) {
	debian := []string{
		"linux-image-6.1.0-9-amd64", "linux-image-6.1.0-56-amd64", "linux-image-6.1.0-57-rt-amd64", "linux-image-6.1.0-58-cloud-amd64",
		"linux-image-6.1.0-59-amd64-unsigned", "linux-image-6.12.9+deb13-amd64", "linux-image-6.12.117+deb12-amd64",
		"linux-image-6.12.118+deb12-amd64-dbg", "linux-image-7.3.4+deb13-amd64", "linux-image-7.12.1~rc3-amd64", "linux-image-amd64",
	}
	ubuntu := []string{"linux-image-6.8.0-31-generic", "linux-image-6.8.0-101-generic", "linux-image-6.8.0-102-lowlatency", "linux-image-generic"}
	for _, c := range []struct {
		packages     []string
		series, want string
	}{
		{debian, "6.1", "6.1.0-56-amd64"},
		{debian, "6.12", "6.12.117+deb12-amd64"},
		{debian, "7", "7.12.1~rc3-amd64"},
		{debian, "6.18", ""},
		{debian, "", "7.12.1~rc3-amd64"},
		{ubuntu, "6.8", "6.8.0-101-generic"},
	} {
		if got := newest(releases(c.packages), c.series); got != c.want {
			t.Errorf("series %q: %q, want %q", c.series, got, c.want)
		}
	}
}

func TestParse(t *testing.T) {
	const log = "[    0.1] something of the kernel's\r\ncheck:\tok\t12\tone\tall is well\r\n" +
		"[    0.2] half a line check:\tFAILED\t3000\ttwo\tit went through\r\n  log: said\r\n"
	want := []Check{
		{Name: "one", Took: 12 * time.Millisecond, Says: "all is well"},
		{Name: "two", Failed: true, Took: 3 * time.Second, Says: "it went through"},
	}
	if checks, ended := parse([]byte(log)); ended || !slices.Equal(checks, want) {
		t.Errorf("%+v, %v", checks, ended)
	}
	if checks, ended := parse([]byte(log + "check:end\r\n")); !ended || len(checks) != 2 {
		t.Errorf("%+v, %v", checks, ended)
	}
}
