package installed

import (
	"cmp"
	"errors"
	"fmt"
	"hash/maphash"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// index finds the packages of a path: sorted numbers, of which the upper 48 bits are of
// the path's hash and the lower 16 say which package. That is 8 bytes a file, a few MB on
// a large system. The hash's seed is random: nobody can make a path that collides with
// another, and by chance one in some hundred million unknown paths does. It never changes
// once made.
type index struct {
	generation uint64
	seed       maphash.Seed
	files      []uint64
	packages   []pkg
	merged     []alias
	from, to   map[string]diversion // by canonical path
	databases  []database
	stamps     []string
	problem    error
}

type pkg struct {
	name, key string
	db        database
}

// alias is a folder that is a link to another one.
type alias struct{ old, real string } // with a slash at the end

// diversion is a file of some package's that was put at another path, so that package by
// (or, with none, the administrator) could put its own at the first.
type diversion struct{ from, to, by string }

const (
	packageBits = 16
	maxPackages = 1 << packageBits
)

func newIndex(root string, old *index) *index {
	ix := &index{generation: 1, seed: maphash.MakeSeed(), merged: mergedFolders(root)}
	if old != nil {
		ix.generation = old.generation + 1
		ix.files = make([]uint64, 0, len(old.files)+len(old.files)/16)
	}
	for _, db := range databases(root) {
		stamp := db.stamp() // before the reading: what changes meanwhile makes it old
		ix.databases, ix.stamps = append(ix.databases, db), append(ix.stamps, stamp)
		if stamp == "" {
			continue
		}
		if err := ix.read(db); err != nil {
			ix.problem = errors.Join(ix.problem, err)
		}
	}
	slices.Sort(ix.files)
	ix.files = slices.Clone(slices.Compact(ix.files)) // what growing took is given back
	return ix
}

func (ix *index) read(db database) error {
	current := -1
	err := db.read(func(name, key string) {
		current = -1
		if len(ix.packages) < maxPackages {
			current = len(ix.packages)
			ix.packages = append(ix.packages, pkg{name, key, db})
		}
	}, func(path []byte) {
		if current >= 0 {
			ix.files = append(ix.files, ix.hash(path)&^(maxPackages-1)|uint64(current))
		}
	})
	for _, d := range db.diversions() {
		if ix.from == nil {
			ix.from, ix.to = map[string]diversion{}, map[string]diversion{}
		}
		ix.from[ix.canonical(d.from)], ix.to[ix.canonical(d.to)] = d, d
	}
	return err
}

// fresh reports whether the databases are as they were read.
func (ix *index) fresh() bool {
	for i, db := range ix.databases {
		if db.stamp() != ix.stamps[i] {
			return false
		}
	}
	return true
}

// owner finds the package of a path.
func (ix *index) owner(path string) (Owner, bool) {
	if len(path) < 2 || path[0] != '/' {
		return Owner{}, false
	}
	listed, only, not := path, "", ""
	if len(ix.from) > 0 {
		c := ix.canonical(path)
		if d, ok := ix.to[c]; ok {
			listed, not = d.from, d.by
		} else if d, ok := ix.from[c]; ok {
			if d.by == "" {
				return Owner{}, false
			}
			only = d.by
		}
	}
	h := ix.hash([]byte(listed)) &^ (maxPackages - 1)
	at, _ := slices.BinarySearchFunc(ix.files, h, cmp.Compare[uint64])
	for ; at < len(ix.files) && ix.files[at]&^(maxPackages-1) == h; at++ {
		p := ix.packages[ix.files[at]&(maxPackages-1)]
		if (only == "" || p.name == only) && (not == "" || p.name != not) {
			return Owner{p.name, ix.spellings(listed), p.db, p.key}, true
		}
	}
	return Owner{}, false
}

// hash is of the path's canonical form.
func (ix *index) hash(path []byte) uint64 {
	var h maphash.Hash
	h.SetSeed(ix.seed)
	for _, a := range ix.merged {
		if len(path) > len(a.old) && string(path[:len(a.old)]) == a.old {
			h.WriteString(a.real)
			path = path[len(a.old):]
			break
		}
	}
	h.Write(path)
	return h.Sum64()
}

// spellings are the paths that mean the same file by way of merged folders.
func (ix *index) spellings(path string) []string {
	c := ix.canonical(path)
	all := []string{c}
	for _, a := range ix.merged {
		if rest, ok := strings.CutPrefix(c, a.real); ok {
			all = append(all, a.old+rest)
		}
	}
	return all
}

// canonical is a path with the real name of a merged folder.
func (ix *index) canonical(path string) string { return canonical(ix.merged, path) }

func canonical(merged []alias, path string) string {
	for _, a := range merged {
		if rest, ok := strings.CutPrefix(path, a.old); ok {
			return a.real + rest
		}
	}
	return path
}

// mergeable are the folders that distributions have made links of, one by one.
var mergeable = []string{"/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/libo32", "/usr/sbin", "/usr/lib64", "/usr/lib32"}

func mergedFolders(root string) []alias {
	var all []alias
	for _, folder := range mergeable {
		real := folder
		for range 4 {
			to, err := os.Readlink(filepath.Join(root, real))
			if err != nil {
				break
			}
			if !filepath.IsAbs(to) {
				to = filepath.Join(filepath.Dir(real), to)
			}
			real = filepath.Clean(to)
		}
		if real != folder {
			all = append(all, alias{folder + "/", real + "/"})
		}
	}
	// One that is below another counts first, and what it leads to is led on.
	slices.SortFunc(all, func(a, b alias) int { return cmp.Compare(len(b.old), len(a.old)) })
	for i := range all {
		all[i].real = canonical(all, all[i].real)
	}
	return all
}

func databases(root string) []database {
	all := []database{newDpkg(root)}
	for _, dir := range []string{"usr/lib/sysimage/rpm", "var/lib/rpm", "usr/share/rpm"} {
		if info, err := os.Lstat(filepath.Join(root, dir)); err == nil && info.IsDir() { // some are links to others
			all = append(all, newRPM(filepath.Join(root, dir)))
		}
	}
	all = append(all, newPacman(root))
	for _, dir := range []string{"lib/apk/db", "usr/lib/apk/db"} {
		all = append(all, newAPK(filepath.Join(root, dir)))
	}
	return all
}

// stampOf is of the files at some paths: whatever changes one of them changes it.
func stampOf(paths ...string) string {
	var b strings.Builder
	some := false
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			b.WriteString("-;")
			continue
		}
		some = true
		fmt.Fprintf(&b, "%d.%d.%d;", inode(info), info.Size(), info.ModTime().UnixNano())
	}
	if !some {
		return ""
	}
	return b.String()
}
