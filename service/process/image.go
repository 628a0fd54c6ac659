package process

import (
	"slices"
	"strings"
	"sync"
	"unique"

	"sekisho/app/flow"
)

// maxArgCount bounds the number of arguments that are kept, however short they are.
const maxArgCount = 512

// image is what a process runs since it last executed a program. It is shared by the
// process, the children that it forked, and their memory of their ancestors, and is
// not changed once made, except by describe.
type image struct {
	executable flow.Executable
	execID     uint32
	userNS     uint32
	path       string
	where      [2]unique.Handle[string] // keeps the interned path and dir alive
	args       []string
	truncated  bool
	dir        string
	kernel     bool
	seeded     uint64 // CLOCK_BOOTTIME of the look that found it running; 0 if its exec was seen

	once    sync.Once
	program flow.Program // what describe found
	astray  bool         // in a user namespace of its own, where paths prove nothing
}

func newImage(e Exec) *image {
	args, cut := capArgs(e.Args)
	im := &image{executable: e.Executable, execID: e.ExecID, userNS: e.UserNS, args: args, truncated: cut || e.ArgsTruncated}
	im.where = [2]unique.Handle[string]{unique.Make(e.Path), unique.Make(e.Dir)}
	im.path, im.dir = im.where[0].Value(), im.where[1].Value()
	return im
}

func (im *image) same(o *image) bool {
	return im == o || im.executable == o.executable && im.execID == o.execID && im.path == o.path && im.dir == o.dir &&
		im.kernel == o.kernel && slices.Equal(im.args, o.args)
}

// describe is the program behind the image, without its unit. The first call looks at
// desktop entries and at the script's file, as id sees it.
func (im *image) describe(t *Tracker, id flow.ProcessID) *flow.Program {
	im.once.Do(func() {
		p := &im.program
		path := im.path
		if path == "" { // the kernel could not walk to its root
			path = t.proc.pathOf(id, im.executable)
		}
		p.Executable, p.Path = im.executable, path
		if p.Name == "" { // else a kernel thread's
			p.Name = name(path)
		}
		// Who is in a user namespace of their own can show any file at any path, and
		// another one a moment later.
		im.astray = im.userNS != 0 && im.userNS != t.userNS
		if e, ok := t.desktop.Lookup(path); ok && sameFile(path, im.executable) {
			p.Name = e.Name[""]
			p.Icon = e.Icon
			if file := t.desktop.IconFile(e.Icon); file != "" {
				p.Icon = file
			}
		}
		p.App, p.OwnApp = t.app(id, path, im.executable)
		if t.packages != nil && !im.astray && t.proc.isFile(path, im.executable) {
			p.Package = t.packages.Of(path)
		}
		from, rel, is := command(path, im.args, im.dir)
		p.Inline = is
		if rel == "" || im.astray {
			return
		}
		if script, ok := t.proc.script(id, from, rel); ok {
			p.Script, p.Inline = script, false
		}
	})
	return &im.program
}

// capArgs keeps the first MaxArgs bytes of args, whole arguments and the beginning
// of the one that goes over, and says whether it cut any. The result shares no memory
// with args.
func capArgs(args []string) ([]string, bool) {
	var kept []string
	left := MaxArgs
	for _, a := range args {
		if left == 0 || len(kept) == maxArgCount {
			return kept, true
		}
		if len(a)+1 > left {
			return append(kept, strings.Clone(a[:left-1])), true
		}
		left -= len(a) + 1
		kept = append(kept, strings.Clone(a))
	}
	return kept, false
}
