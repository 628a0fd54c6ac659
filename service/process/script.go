package process

import (
	"path/filepath"
	"strings"
)

// Script tells which script an interpreter runs, from the executable's path, the
// arguments of its execve and its working folder. For a program that is no
// interpreter both results are zero. Inline means that it is an interpreter and that
// no script can be named: the code comes from an option (-c, -e, -m), from standard
// input, from a file descriptor, from a URL, or a relative path has no folder to start
// from. A script is an absolute path, cleaned, symbolic links not followed.
//
// What it cannot promise: an interpreter that is told by its environment
// (PYTHONPATH, PERL5OPT, NODE_OPTIONS, BASH_ENV) or by an option (node -r, perl -M,
// java -javaagent) to load more runs that too; the file can be another one by the time
// that the interpreter opens it; and whoever may write to the script decides what it
// does. Arguments that were read from /proc, of processes that ran before the service,
// can have been rewritten by the process itself. A rule for a script therefore says
// "this script of mine", and is no fence against a program of the same user.
func Script(executable string, args []string, dir string) (script string, inline bool) {
	from, rel, is := command(executable, args, dir)
	if !is {
		return "", false
	}
	if rel == "" {
		return "", true
	}
	script = filepath.Join(from, rel)
	return script, false
}

// command finds the script's path as it was given, and the folder that it starts
// from; no path for code that is in no file. False if this is no interpreter.
func command(executable string, args []string, dir string) (from, rel string, is bool) {
	lang, args := interpreterOf(executable, args)
	if lang == nil {
		return "", "", false
	}
	from, rel = lang.script(args, dir)
	switch {
	case rel == "", rel == "-", strings.Contains(rel, "://"), strings.ContainsRune(rel, 0):
		return "", "", true
	case filepath.IsAbs(rel):
		from = "/"
	case !filepath.IsAbs(from):
		return "", "", true
	}
	// Descriptors and pipes have no name of their own.
	for _, nameless := range []string{"/dev/", "/proc/"} {
		if strings.HasPrefix(filepath.Join(from, rel)+"/", nameless) {
			return "", "", true
		}
	}
	return from, rel, true
}

// interpreterOf names the language of an executable, and its arguments without the
// program's own name.
func interpreterOf(executable string, args []string) (*interpreter, []string) {
	if executable == "" {
		return nil, nil
	}
	own := ""
	if len(args) > 0 {
		own, args = filepath.Base(args[0]), args[1:]
	}
	lang := language(filepath.Base(executable))
	if lang == "busybox" {
		if own == "busybox" && len(args) > 0 {
			own, args = args[0], args[1:]
		}
		switch strings.TrimPrefix(own, "-") { // a login shell's name begins with -
		case "sh", "ash", "hush", "bash":
			lang = "sh"
		default:
			return nil, nil
		}
	}
	return interpreters[lang], args
}

// language is an executable's file name without version and build: python3.11-dbg is
// python.
func language(base string) string {
	base = strings.TrimSuffix(strings.TrimSuffix(base, "-dbg"), "-static")
	if n := len(base); n > 1 && strings.ContainsRune("dmtu", rune(base[n-1])) && base[n-2] >= '0' && base[n-2] <= '9' {
		base = base[:n-1] // python3.13t
	}
	base = strings.TrimRight(base, "0123456789.-")
	if same, ok := alias[base]; ok {
		return same
	}
	if strings.HasPrefix(base, "luajit") {
		return "lua"
	}
	return base
}

// IsInterpreter reports whether an executable runs scripts, from its file name.
func IsInterpreter(executable string) bool {
	lang := language(filepath.Base(executable))
	return lang == "busybox" || interpreters[lang] != nil
}

// script walks over the options, as the interpreter does, up to its script.
func (in *interpreter) script(args []string, dir string) (from, rel string) {
	walk := walk{in: in, args: args, dir: dir}
	for len(walk.args) > 0 && !walk.done {
		walk.step()
	}
	return walk.dir, walk.rel
}

// walk is the state of reading one command line.
type walk struct {
	in   *interpreter
	args []string
	dir  string // that relative paths start from
	rel  string // the script; "" while not found, and if the code is inline
	sub  bool   // a subcommand was seen
	done bool
}

func (w *walk) next() string {
	if len(w.args) == 0 {
		return ""
	}
	a := w.args[0]
	w.args = w.args[1:]
	return a
}

func (w *walk) step() {
	a := w.next()
	switch {
	case a == "--":
		w.positional(w.next())
	case a == "-":
		w.done = true
	case strings.HasPrefix(a, "--"), w.in.words && strings.HasPrefix(a, "-"):
		w.long(a)
	case strings.HasPrefix(a, "-"), w.in.plus && strings.HasPrefix(a, "+"):
		w.cluster(a[1:])
	default:
		w.positional(a)
	}
}

// long reads an option that is a word, with its value after = or as the next argument.
func (w *walk) long(a string) {
	word, value, has := strings.Cut(a, "=")
	if w.in.fold {
		word = strings.ToLower(word)
	}
	kind := w.in.options[word]
	if kind == flag {
		return
	}
	if !has && kind != code {
		value = w.next()
	}
	w.take(kind, value)
}

// cluster reads one-letter options that share a dash.
func (w *walk) cluster(letters string) {
	for i, c := range letters {
		kind := w.in.options["-"+string(c)]
		switch kind {
		case flag:
			continue
		case rest:
			return
		case code:
			w.done = true
			return
		}
		value := letters[i+len(string(c)):]
		if value == "" || w.in.plus {
			value = w.next() // a shell's -o never has its value in the same word
		}
		w.take(kind, value)
		if w.done || !w.in.plus {
			return
		}
	}
}

func (w *walk) take(kind option, value string) {
	switch kind {
	case code:
		w.done = true
	case file:
		w.rel, w.done = value, true
	case folder:
		if filepath.IsAbs(value) {
			w.dir = value
		} else if w.dir != "" {
			w.dir = filepath.Join(w.dir, value)
		}
	}
}

func (w *walk) positional(a string) {
	if kind, ok := w.in.commands[a]; ok && !w.sub {
		w.sub = true
		w.done = kind == code
		return
	}
	w.done = true
	if w.in.only == nil || w.in.only(a, w.sub) {
		w.rel = a
	}
}
