package flow

import (
	"cmp"
	"path"
	"regexp"
	"slices"
	"strings"
)

// Version is what is remembered of a program's file when a rule is made for it, and what
// is compared with the file that runs later.
type Version struct {
	Path       string
	Executable Executable
	SHA256     string // empty: not made yet
	Package    string // that had the file; empty: none
	App        string
}

// VersionOf is p's.
func VersionOf(p *Program) Version {
	return Version{p.Path, p.Executable, p.SHA256, p.Package, p.App}
}

// Change says what a file that runs is to one that rules were made for.
type Change string

const (
	// Same: the very file, or a copy of it in its place. Its rules hold.
	Same Change = "same"
	// Updated: its package put another file in its place. Its rules hold.
	Updated Change = "updated"
	// Replaced: somebody else did. Its rules don't hold; a person is asked, and told so.
	Replaced Change = "replaced"
	// Moved: the same content at another path. A person may give it the old one's rules.
	Moved Change = "moved"
	// Renewed: by its path another version of the program. A person may give it the old
	// one's rules; its name proves nothing.
	Renewed Change = "renewed"
	// Different: another program.
	Different Change = "different"
)

// Keeps reports whether the rules hold for the file without asking.
func (c Change) Keeps() bool { return c == Same || c == Updated }

// Offers reports whether a person may be offered to use the old file's rules.
func (c Change) Offers() bool { return c == Moved || c == Renewed }

// Became says what now is to v. A file is its package's update only if it is at the same
// path, both are the same package's, and it is not known to be modified since: is says
// that of now. The answer can change when SHA256 or is becomes known; unknown never
// counts for a file outside of packages.
func (v Version) Became(now Version, is Integrity) Change {
	sum := v.SHA256 != "" && v.SHA256 == now.SHA256
	if v.Path == now.Path {
		switch {
		case v.Executable == now.Executable && !now.Executable.IsZero(), sum:
			return Same
		case v.Package != "" && v.Package == now.Package && is != Modified:
			return Updated
		}
		return Replaced
	}
	switch {
	case sum:
		return Moved
	case renewed(v, now):
		return Renewed
	}
	return Different
}

// renewed reports whether two paths differ in nothing but versions.
func renewed(v, now Version) bool {
	a, b := v.Path, now.Path
	if strings.HasPrefix(v.App, "/") && strings.HasPrefix(now.App, "/") { // an AppImage's own path is another at each start
		a, b = v.App, now.App
		return a != b && plain(path.Base(a)) == plain(path.Base(b)) // wherever it was downloaded to
	}
	return a != b && plain(a) == plain(b) && strings.Trim(plain(path.Base(a)), "#") != ""
}

var versions = regexp.MustCompile(`(?i)[-_.+~]?v?[0-9]+([-_.+~:]?(rc|alpha|beta|pre|git|build|r|p)?[0-9]+)*`)

// plain is a path without the versions in it. Copies that a browser numbers are no
// versions, but they too are the same name again.
func plain(s string) string {
	s = strings.ReplaceAll(s, "x86_64", "x86-") // what stays the same may stay
	return versions.ReplaceAllString(s, "#")
}

// Predecessors are those of the versions that rules were made for whose rules a person
// may be offered for now, the likeliest first.
func Predecessors(now Version, known []Version) []Version {
	rank := func(v Version) int {
		switch v.Became(now, UnknownIntegrity) {
		case Moved:
			return 2
		case Renewed:
			return 1
		}
		return 0
	}
	found := slices.DeleteFunc(slices.Clone(known), func(v Version) bool { return rank(v) == 0 })
	slices.SortStableFunc(found, func(a, b Version) int {
		return cmp.Or(cmp.Compare(rank(b), rank(a)), -natural(a.Path, b.Path))
	})
	return found
}

// natural compares texts with the numbers in them as numbers: 1.10 comes after 1.9.
func natural(a, b string) int {
	for a != "" && b != "" {
		m, n := digits(a), digits(b)
		if m > 0 && n > 0 {
			x, y := strings.TrimLeft(a[:m], "0"), strings.TrimLeft(b[:n], "0")
			if c := cmp.Or(cmp.Compare(len(x), len(y)), strings.Compare(x, y)); c != 0 {
				return c
			}
			a, b = a[m:], b[n:]
			continue
		}
		if a[0] != b[0] {
			return cmp.Compare(a[0], b[0])
		}
		a, b = a[1:], b[1:]
	}
	return cmp.Compare(len(a), len(b))
}

func digits(s string) int { return len(s) - len(strings.TrimLeft(s, "0123456789")) }
