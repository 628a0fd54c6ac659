package daemon

import (
	"bufio"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// Where package systems say what they fetch from.
var sourceFiles = []string{
	"etc/apt/sources.list", "etc/apt/sources.list.d/*.list", "etc/apt/sources.list.d/*.sources", "etc/apt/mirrors/*",
	"etc/yum.repos.d/*.repo", "etc/zypp/repos.d/*.repo", "etc/pacman.conf", "etc/pacman.d/mirrorlist", "etc/apk/repositories",
}

const maxUpdateHosts = 1000

// updateHosts are the names of the servers that the system's updates come from: a list that
// blocks one of them is refused. What can't be read names none.
func updateHosts(root string) []string {
	found := map[string]bool{}
	for _, pattern := range sourceFiles {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			continue
		}
		for _, f := range files {
			hostsIn(f, found)
		}
	}
	var all []string
	for h := range found {
		all = append(all, h)
	}
	return all
}

// hostsIn finds the hosts of the web addresses in a file, but for its comments.
func hostsIn(path string, found map[string]bool) {
	f, err := os.Open(path)
	if err != nil {
		return
	}
	defer f.Close()
	s := bufio.NewScanner(f)
	for s.Scan() {
		line, _, _ := strings.Cut(s.Text(), "#")
		for _, w := range strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\t' || r == '=' || r == ',' }) {
			i := strings.Index(w, "://")
			if i < 0 || len(found) >= maxUpdateHosts {
				continue
			}
			j := strings.LastIndexAny(w[:i], ":+") + 1 // mirror+https://
			if u, err := url.Parse(w[j:]); err == nil && u.Hostname() != "" {
				found[strings.ToLower(u.Hostname())] = true
			}
		}
	}
}
