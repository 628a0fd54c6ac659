package rule

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// MaxPorts is how many port ranges one rule may have.
const MaxPorts = 64

// ParsePortRange reads "443" or "8000-8999".
func ParsePortRange(s string) (PortRange, error) {
	from, to, isRange := strings.Cut(strings.TrimSpace(s), "-")
	f, err := parsePort(from)
	if err != nil {
		return PortRange{}, err
	}
	r := PortRange{f, f}
	if isRange {
		if r.To, err = parsePort(to); err != nil {
			return PortRange{}, err
		}
		if r.To < r.From {
			return PortRange{}, fmt.Errorf("%q is the wrong way round: write %d-%d", s, r.To, r.From)
		}
	}
	return r, nil
}

func parsePort(s string) (uint16, error) {
	s = strings.TrimSpace(s)
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 || s[0] == '+' {
		return 0, fmt.Errorf("%q is no port: want a number from 1 to 65535", s)
	}
	return uint16(n), nil
}

// ParsePorts reads ports and ranges with commas between them, such as "443",
// "8000-8999" or "80,443"; "any" gives none. What it returns is sorted, and ranges
// that touch are joined.
func ParsePorts(s string) ([]PortRange, error) {
	if strings.EqualFold(strings.TrimSpace(s), "any") {
		return nil, nil
	}
	parts := strings.Split(s, ",")
	if len(parts) > MaxPorts {
		return nil, fmt.Errorf("%d ports are too many, at most %d", len(parts), MaxPorts)
	}
	ports := make([]PortRange, 0, len(parts))
	for _, part := range parts {
		r, err := ParsePortRange(part)
		if err != nil {
			return nil, err
		}
		ports = append(ports, r)
	}
	return normalPorts(ports), nil
}

// FormatPorts writes what ParsePorts reads.
func FormatPorts(ports []PortRange) string {
	if len(ports) == 0 {
		return "any"
	}
	s := make([]string, len(ports))
	for i, p := range ports {
		s[i] = p.String()
	}
	return strings.Join(s, ",")
}

func (p PortRange) String() string {
	if p.From == p.To {
		return strconv.Itoa(int(p.From))
	}
	return strconv.Itoa(int(p.From)) + "-" + strconv.Itoa(int(p.To))
}

// MarshalText writes what ParsePortRange reads.
func (p PortRange) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads what ParsePortRange reads.
func (p *PortRange) UnmarshalText(b []byte) error {
	v, err := ParsePortRange(string(b))
	if err == nil {
		*p = v
	}
	return err
}

// Contains reports whether port is in the range.
func (p PortRange) Contains(port uint16) bool { return p.From <= port && port <= p.To }

// normalPorts returns ports sorted, with those that overlap or touch joined. Ranges
// that are the wrong way round are left as they are, for check to refuse.
func normalPorts(ports []PortRange) []PortRange {
	if len(ports) == 0 {
		return nil
	}
	if slices.ContainsFunc(ports, func(p PortRange) bool { return p.From > p.To }) {
		return slices.Clone(ports)
	}
	sorted := slices.Clone(ports)
	slices.SortFunc(sorted, func(a, b PortRange) int {
		return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
	})
	joined := sorted[:1]
	for _, p := range sorted[1:] {
		last := &joined[len(joined)-1]
		if int(p.From) <= int(last.To)+1 {
			last.To = max(last.To, p.To)
			continue
		}
		joined = append(joined, p)
	}
	return joined
}

func checkPorts(ports []PortRange) error {
	if len(ports) > MaxPorts {
		return badf("%d are too many, at most %d: join them to ranges or make two rules", len(ports), MaxPorts)
	}
	for _, p := range ports {
		if p.From == 0 || p.From > p.To {
			return badf("%s is not a range of ports: want numbers from 1 to 65535, the smaller first", p)
		}
	}
	return nil
}

// countPorts is how many ports a sorted and joined list has.
func countPorts(ports []PortRange) (n int) {
	for _, p := range ports {
		n += int(p.To) - int(p.From) + 1
	}
	return n
}

func matchesPorts(ports []PortRange, port uint16) bool {
	for _, p := range ports {
		if p.Contains(port) {
			return true
		}
	}
	return false
}
