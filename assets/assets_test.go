package assets

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"image/png"
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func translation(t *testing.T, language string) map[string]string {
	t.Helper()
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(Translation(language), &raw); err != nil {
		t.Fatalf("%s: %v", language, err)
	}
	out := map[string]string{}
	for key, v := range raw {
		var s string
		var plural struct{ One, Other string }
		switch {
		case json.Unmarshal(v, &s) == nil:
			out[key] = s
		case json.Unmarshal(v, &plural) == nil && plural.Other != "" && (plural.One != "" || language != "en"):
			out[key] = plural.Other
		default:
			t.Errorf("%s: %s is neither a sentence nor its plural forms", language, key)
		}
	}
	return out
}

var gap = regexp.MustCompile(`{{[^}]*}}`)

func gaps(s string) []string {
	g := gap.FindAllString(s, -1)
	slices.Sort(g)
	return slices.Compact(g)
}

func TestLanguagesSayTheSame(t *testing.T) {
	english := translation(t, "en")
	if len(english) < 100 {
		t.Fatalf("%d sentences", len(english))
	}
	for _, language := range Languages() {
		other := translation(t, language)
		for key, s := range other {
			if _, ok := english[key]; !ok {
				t.Errorf("%s: %s is not in English", language, key)
			}
			if s == "" {
				t.Errorf("%s: %s says nothing", language, key)
			}
		}
		for key, s := range english {
			o, ok := other[key]
			if !ok {
				t.Errorf("%s: %s is missing", language, key)
				continue
			}
			// A language may do without a gap (a plural's number), but not invent one.
			for _, g := range gaps(o) {
				if !slices.Contains(gaps(s), g) {
					t.Errorf("%s: %s has a gap %s that English has not", language, key, g)
				}
			}
		}
	}
}

// TestKeysAreUsed reads the sources of the windows: a literal that is a key uses it, a
// literal that begins one and ends in a dot ("by."+kind) uses all of them, and a key
// that T is given must exist.
func TestKeysAreUsed(t *testing.T) {
	keys := slices.Sorted(maps.Keys(translation(t, "en")))
	literals := map[string]bool{}
	for path, file := range sources(t) {
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.BasicLit:
				if s, err := strconv.Unquote(n.Value); err == nil && n.Kind == token.STRING {
					literals[s] = true
				}
			case *ast.CallExpr:
				key, whole, ok := keyOf(n)
				if !ok {
					return true
				}
				if whole && !slices.Contains(keys, key) {
					t.Errorf("%s: no translation of %q", path, key)
				}
				if !whole && !slices.ContainsFunc(keys, func(k string) bool { return strings.HasPrefix(k, key) }) {
					t.Errorf("%s: no translation begins with %q", path, key)
				}
			}
			return true
		})
	}
	var beginnings []string
	for l := range literals {
		if strings.HasSuffix(l, ".") && strings.Trim(l, "abcdefghijklmnopqrstuvwxyz0123456789-.") == "" && len(l) > 1 {
			beginnings = append(beginnings, l)
		}
	}
	for _, key := range keys {
		used := literals[key] || slices.ContainsFunc(beginnings, func(b string) bool { return strings.HasPrefix(key, b) })
		// A suffix may be added to a literal: "rule.ports" + ".protocol".
		used = used || slices.ContainsFunc(slices.Collect(maps.Keys(literals)), func(l string) bool {
			head, ok := strings.CutSuffix(key, l)
			return ok && strings.HasPrefix(l, ".") && literals[head]
		})
		if !used {
			t.Errorf("%s is used nowhere", key)
		}
	}
}

// keyOf is the key that a call of text.T is given; whole is false if it is only the
// beginning of one.
func keyOf(c *ast.CallExpr) (key string, whole, ok bool) {
	f, isSelector := c.Fun.(*ast.SelectorExpr)
	if !isSelector || f.Sel.Name != "T" || len(c.Args) == 0 {
		return "", false, false
	}
	if p, isName := f.X.(*ast.Ident); !isName || p.Name != "text" {
		return "", false, false
	}
	arg, whole := c.Args[0], true
	for {
		sum, isSum := arg.(*ast.BinaryExpr)
		if !isSum {
			break
		}
		arg, whole = sum.X, false
	}
	lit, isLiteral := arg.(*ast.BasicLit)
	if !isLiteral {
		return "", false, false
	}
	s, err := strconv.Unquote(lit.Value)
	return s, whole, err == nil
}

func sources(t *testing.T) map[string]*ast.File {
	t.Helper()
	files := map[string]*ast.File{}
	err := filepath.WalkDir("../ui", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		files[path] = f
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 20 {
		t.Fatalf("%d source files", len(files))
	}
	return files
}

func TestGlyphs(t *testing.T) {
	names, err := fs.Glob(files, "glyphs/*.svg")
	if err != nil || len(names) == 0 {
		t.Fatalf("no glyphs: %v", err)
	}
	for _, n := range names {
		if g := Glyph(strings.TrimSuffix(filepath.Base(n), ".svg")); !strings.HasPrefix(g, "<") || strings.Contains(g, "svg") {
			t.Errorf("%s: %q", n, g)
		}
	}
	if Glyph("no-such") != "" || Tray("no-such") != nil || Translation("tlh") != nil {
		t.Error("something came from nothing")
	}
}

func TestTrayIcons(t *testing.T) {
	for _, state := range []string{"asking", "quiet", "paused", "lockdown", "off", "waiting"} {
		im, err := png.Decode(bytes.NewReader(Tray(state)))
		if err != nil {
			t.Errorf("%s: %v", state, err)
			continue
		}
		if b := im.Bounds(); b.Dx() != 48 || b.Dy() != 48 {
			t.Errorf("%s is %v", state, b)
		}
		if _, _, _, a := im.At(0, 0).RGBA(); a != 0 {
			t.Errorf("%s has a background", state)
		}
	}
}
