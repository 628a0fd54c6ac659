package process

import (
	"encoding/json"
	"io"
	"os"
	"regexp"
	"strings"
	"sync"
)

// containers names the container of a cgroup. A user may make cgroups of such names beneath
// their own unit: what is found there is for showing, and no rule looks at it.
type containers struct {
	mu    sync.Mutex
	names map[string]string // runtime:id -> runtime:name
}

// How runtimes name the cgroup of a container, as an element of its path.
var containerCgroups = []struct {
	runtime string
	name    *regexp.Regexp
}{
	{"docker", regexp.MustCompile(`^docker-([0-9a-f]{64})\.scope$`)},
	{"podman", regexp.MustCompile(`^libpod-([0-9a-f]{64})(?:\.scope)?$`)},
	{"containerd", regexp.MustCompile(`^cri-containerd-([0-9a-f]{64})\.scope$`)},
	{"crio", regexp.MustCompile(`^crio-([0-9a-f]{64})\.scope$`)},
	{"lxc", regexp.MustCompile(`^lxc\.payload\.([A-Za-z0-9][A-Za-z0-9._-]*)$`)},
	{"nspawn", regexp.MustCompile(`^systemd-nspawn@([A-Za-z0-9][A-Za-z0-9._-]*)\.service$`)},
	{"nspawn", regexp.MustCompile(`^machine-([A-Za-z0-9][A-Za-z0-9._-]*)\.scope$`)},
}

var (
	hexID  = regexp.MustCompile(`^[0-9a-f]{64}$`)
	lxName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)
)

// of is runtime:name, or runtime:id's first twelve digits; "" outside of containers.
func (c *containers) of(cgroup string) string {
	if len(cgroup) < 6 {
		return ""
	}
	runtime, id := container(cgroup)
	if runtime == "" || !hexID.MatchString(id) {
		return strings.Trim(runtime+":"+id, ":")
	}
	key := runtime + ":" + id
	c.mu.Lock()
	defer c.mu.Unlock()
	name, known := c.names[key]
	if !known {
		if name = key[:len(runtime)+13]; runtime == "docker" {
			if n := dockerName("/var/lib/docker/containers/" + id + "/config.v2.json"); n != "" {
				name = "docker:" + n
			}
		}
		if runtime == "podman" {
			if n := podmanName("/var/lib/containers/storage/overlay-containers/containers.json", id); n != "" {
				name = "podman:" + n
			}
		}
		if c.names == nil || len(c.names) > 1000 {
			c.names = map[string]string{}
		}
		c.names[key] = name
	}
	return name
}

// container finds the innermost container in a cgroup's path.
func container(cgroup string) (runtime, id string) {
	elems := strings.Split(cgroup, "/")
	for i, e := range elems {
		e = unescape(e)
		for _, k := range containerCgroups {
			if m := k.name.FindStringSubmatch(e); m != nil {
				runtime, id = k.runtime, m[1]
			}
		}
		if i == 0 {
			continue
		}
		switch above := elems[i-1]; {
		case above == "docker" && hexID.MatchString(e):
			runtime, id = "docker", e
		case (above == "lxc" || above == "lxc.payload") && lxName.MatchString(e):
			runtime, id = "lxc", e
		}
	}
	return runtime, id
}

// dockerName reads a container's name from its configuration.
func dockerName(path string) string {
	var config struct{ Name string }
	if !readJSON(path, &config) || !lxName.MatchString(strings.TrimPrefix(config.Name, "/")) {
		return ""
	}
	return strings.TrimPrefix(config.Name, "/")
}

// podmanName finds a container's first name in the list of root's containers.
func podmanName(path, id string) string {
	var list []struct {
		ID    string   `json:"id"`
		Names []string `json:"names"`
	}
	if !readJSON(path, &list) {
		return ""
	}
	for _, c := range list {
		if c.ID == id && len(c.Names) > 0 && lxName.MatchString(c.Names[0]) {
			return c.Names[0]
		}
	}
	return ""
}

func readJSON(path string, v any) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	return json.NewDecoder(io.LimitReader(f, 4<<20)).Decode(v) == nil
}
