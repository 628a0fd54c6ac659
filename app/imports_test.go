// Package app_test holds what is true of the repository as a whole: who may import
// whom, what the programs are linked with, and where things are.
package app_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "sekisho/"

// imports says, for a package and all below it, which packages of the module it may
// import beside each other; a name that ends in /... stands for all below. The longest
// name that fits counts. What is not in the table may not exist.
var imports = map[string][]string{
	"app/flow":       {},
	"app/rule":       {"app/flow"},
	"app/prompt":     {"app/flow", "app/rule"},
	"app/learn":      {"app/flow", "app/rule"},
	"app/api":        {"app/flow", "app/rule", "app/prompt"},
	"app/sekishod":   {"app/flow", "app/api", "service/..."},
	"app/sekishoctl": {"app/flow", "app/rule", "app/prompt", "app/api/..."},
	"app/sekisho":    {"app/flow", "app/rule", "app/prompt", "app/api/...", "ui/...", "assets"},

	"service/bpf":       {"app/flow"},
	"service/blocklist": {"app/flow"},
	"service/process":   {"app/flow", "service/bpf"},
	"service/names":     {"app/flow", "service/bpf"},
	"service/capture":   {"app/flow", "service/bpf"},
	"service/enforce":   {"app/flow", "service/bpf"},
	"service/traffic":   {"app/flow", "service/bpf"},
	"service/machine":   {"app/flow", "service/machine/..."},
	"service/network":   {"app/flow"},
	"service/engine":    {"app/flow", "app/rule", "app/prompt", "app/learn", "app/api", "service/bpf", "service/traffic"},
	"service/server":    {"app/flow", "app/rule", "app/prompt", "app/api/..."},
	"service/daemon":    {"app/...", "service/...", "store"},

	"service/lab":       {"app/flow"},
	"service/lab/demo":  {"app/flow", "app/rule", "app/prompt", "app/api", "service/lab", "ui/uitest"},
	"service/lab/bench": {"app/flow", "app/rule", "app/prompt", "app/api", "service/lab"},
	"service/lab/stock": {"service/lab"},

	"store": {"app/flow", "app/rule", "app/prompt"},

	"assets": {},

	"ui":          {"app/flow", "app/rule", "app/prompt", "app/api", "ui/...", "assets"},
	"ui/view":     {"app/flow", "app/rule", "app/prompt", "app/api", "ui/text", "assets"},
	"ui/uitest":   {},
	"ui/pictures": {"app/flow", "app/rule", "app/prompt", "app/api", "ui/...", "assets"},
}

// testImports are what tests alone may import beside that, everywhere: gRPC and the
// database are never faked, so a client's tests have a real server, and the engine's a store.
var testImports = []string{"service/lab", "ui/uitest", "service/server", "service/server/servertest", "service/names", "store"}

// testOnly packages are never linked into a program that is installed.
var testOnly = []string{"service/lab", "ui/uitest", "service/server/servertest"}

// topLevel is everything that the repository's root may hold.
var topLevel = []string{
	"app", "service", "ui", "assets", "store", "installer",
	"go.mod", "go.sum", "README.md", "Makefile", "LICENSE", ".ci", ".golangci.yml", ".gitignore",
}

// goPackage is what go list prints of one.
type goPackage struct {
	ImportPath, Doc, Name              string
	Imports, TestImports, XTestImports []string
	Error                              *struct{ Err string }
}

func list(t *testing.T, cgo string, args ...string) []goPackage {
	t.Helper()
	c := exec.Command("go", append([]string{"list", "-e", "-json=ImportPath,Doc,Name,Imports,TestImports,XTestImports,Error"}, args...)...)
	c.Dir = ".."
	c.Env = append(os.Environ(), "CGO_ENABLED="+cgo)
	out, err := c.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("go list: %v\n%s", err, exit.Stderr)
		}
		t.Fatalf("go list: %v", err)
	}
	var all []goPackage
	for d := json.NewDecoder(bytes.NewReader(out)); d.More(); {
		var p goPackage
		if err := d.Decode(&p); err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	return all
}

// allowed is what the table says for a package.
func allowed(pkg string) (row []string, ok bool) {
	for name := pkg; ; {
		if row, ok := imports[name]; ok {
			return append(slices.Clone(row), name+"/..."), true
		}
		i := strings.LastIndexByte(name, '/')
		if i < 0 {
			return nil, false
		}
		name = name[:i]
	}
}

func fits(row []string, pkg string) bool {
	return slices.ContainsFunc(row, func(r string) bool {
		below, all := strings.CutSuffix(r, "/...")
		return pkg == r || all && (pkg == below || strings.HasPrefix(pkg, below+"/"))
	})
}

func TestImportsRunDownwards(t *testing.T) {
	packages := list(t, "1", "./...")
	if len(packages) == 0 {
		t.Fatal("no packages")
	}
	for _, p := range packages {
		pkg := strings.TrimPrefix(p.ImportPath, module)
		if pkg == "app" {
			continue // these tests
		}
		row, ok := allowed(pkg)
		if !ok {
			t.Errorf("%s is not in the table of imports", pkg)
			continue
		}
		check := func(imported []string, also ...string) {
			for _, i := range imported {
				to, own := strings.CutPrefix(i, module)
				if own && to != pkg && !fits(row, to) && !fits(also, to) {
					t.Errorf("%s may not import %s", pkg, to)
				}
			}
		}
		check(p.Imports)
		check(p.TestImports, testImports...)
		check(p.XTestImports, testImports...)
	}
}

func TestWhatIsLinked(t *testing.T) {
	for program, cgo := range map[string]string{"app/sekishod": "0", "app/sekishoctl": "0", "app/sekisho": "1"} {
		for _, p := range list(t, cgo, "-deps", "./"+program) {
			if p.Error != nil {
				t.Errorf("%s: %s: %s", program, p.ImportPath, p.Error.Err)
			}
			if own, ok := strings.CutPrefix(p.ImportPath, module); ok && slices.Contains(testOnly, own) {
				t.Errorf("%s is linked with %s", program, own)
			}
			if cgo == "0" && strings.HasPrefix(p.ImportPath, "fyne.io/") {
				t.Errorf("%s is linked with %s", program, p.ImportPath)
			}
		}
	}
}

func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	for _, p := range list(t, "1", "./...") {
		if p.Name != "" && p.Doc == "" && p.ImportPath != module+"app" {
			t.Errorf("%s has no doc comment", p.ImportPath)
		}
	}
}

func TestTopLevel(t *testing.T) {
	c := exec.Command("git", "-c", "safe.directory=*", "ls-files")
	c.Dir = ".."
	out, err := c.Output()
	var names []string
	if err == nil {
		names = strings.Fields(string(out))
	} else { // not a clone: a release's archive
		entries, err := os.ReadDir("..")
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			names = append(names, e.Name())
		}
	}
	for _, n := range names {
		top, _, _ := strings.Cut(n, "/")
		if !slices.Contains(topLevel, top) && top != "build" {
			t.Errorf("%s is at the top of the repository", top)
		}
	}
}
