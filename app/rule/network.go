package rule

import (
	"slices"
	"strings"

	"sekisho/app/flow"
)

// The network profiles that everybody has, as flow has them.
const (
	NetworkHome   = flow.NetworkHome
	NetworkWork   = flow.NetworkWork
	NetworkPublic = flow.NetworkPublic
	NetworkVPN    = flow.NetworkVPN
)

// Networks lists them in the order in which they are shown.
var Networks = []string{NetworkHome, NetworkWork, NetworkPublic, NetworkVPN}

const (
	maxNetwork  = 256 // all profiles of a rule, in bytes
	maxProfile  = 64  // one of them
	profileStop = ","
)

// NormalNetwork is a Rule's network profiles as rules hold them: in lower case, sorted,
// each once, with commas and no spaces between them.
func NormalNetwork(s string) string {
	if s == "" {
		return ""
	}
	names := strings.Split(s, profileStop)
	for i := range names {
		names[i] = strings.ToLower(strings.Join(strings.Fields(names[i]), " "))
	}
	slices.Sort(names)
	if names[len(names)-1] == "" {
		return profileStop // nothing but commas must not become "any"
	}
	return strings.Join(slices.Compact(names), profileStop)
}

// CheckProfile says what is wrong with the name of one network profile, which is in the
// form that NormalNetwork gives.
func CheckProfile(s string) error {
	switch {
	case s == "":
		return badf("a network profile has no name: write one such as home, or leave it out")
	case strings.Contains(s, profileStop):
		return badf("%q has a comma: that parts the names of several profiles", s)
	}
	return checkText(s, maxProfile)
}

// checkNetwork says what is wrong with profiles, which are normal.
func checkNetwork(s string) error {
	if s == "" {
		return nil
	}
	if len(s) > maxNetwork {
		return badf("%d bytes are too long, at most %d", len(s), maxNetwork)
	}
	for p := range strings.SplitSeq(s, profileStop) {
		if err := CheckProfile(p); err != nil {
			return err
		}
	}
	return nil
}

// matchesNetwork reports whether profile is among those of a rule, both normal. What is
// unknown is none of them.
func matchesNetwork(of, profile string) bool {
	if of == "" {
		return true
	}
	for profile != "" {
		first, rest, more := strings.Cut(of, profileStop)
		if first == profile {
			return true
		}
		if !more {
			break
		}
		of = rest
	}
	return false
}

// Networked reports whether a rule that a program at path may match in direction d holds
// in some networks only: then a decision about one of its flows says nothing of a flow by
// another network.
func (s *Set) Networked(path string, d flow.Direction) bool {
	for n := range s.walk.of(path) {
		if r := &s.ranked[n]; r.Network != "" && r.Direction.matches(d) {
			return true
		}
	}
	return false
}
