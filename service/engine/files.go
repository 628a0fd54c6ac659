package engine

import (
	"golang.org/x/sys/unix"

	"sekisho/app/flow"
	"sekisho/app/rule"
)

// fileCache remembers which files are at the paths that rules name. A look at a file
// costs a microsecond; its identity costs a walk over every open file of the machine.
type fileCache map[string]fileAt

type fileAt struct {
	stamp fileStamp
	exe   flow.Executable
}

// fileStamp changes with the file.
type fileStamp struct {
	dev, ino uint64
	ctime    unix.Timespec
}

func stampOf(path string) (fileStamp, bool) {
	var s unix.Stat_t
	if unix.Stat(path, &s) != nil || s.Mode&unix.S_IFMT != unix.S_IFREG {
		return fileStamp{}, false
	}
	return fileStamp{s.Dev, s.Ino, s.Ctim}, true
}

// at tells the identities of the files that rules name, where there are any.
func (c *fileCache) at(k Kernel, rules []rule.Rule) (map[string]flow.Executable, error) {
	now := make(fileCache, len(*c))
	var fresh []string
	for i := range rules {
		path := rules[i].Program.Path
		if !(flow.Program{Path: path}).IsFile() || !rules[i].Enabled {
			continue
		}
		if _, done := now[path]; done {
			continue
		}
		stamp, there := stampOf(path)
		if !there {
			continue
		}
		old, known := (*c)[path]
		if !known || old.stamp != stamp {
			fresh = append(fresh, path)
			old = fileAt{stamp: stamp}
		}
		now[path] = old
	}
	found, err := k.IdentifyAll(fresh)
	if err != nil {
		return nil, err
	}
	for _, path := range fresh {
		if exe, ok := found[path]; ok {
			now[path] = fileAt{now[path].stamp, exe}
		} else {
			delete(now, path)
		}
	}
	*c = now
	there := make(map[string]flow.Executable, len(now))
	for path, f := range now {
		there[path] = f.exe
	}
	return there, nil
}
