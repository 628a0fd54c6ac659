package rule

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

const maxList = 64

// IsAny reports whether every other end matches.
func (r Remote) IsAny() bool { return r == Remote{} }

// ParseRemote reads HOST, *.DOMAIN, ADDR, CIDR, FROM-TO (two addresses), "lan",
// "list:NAME" or "any". Names come out in lower case and without a dot at the end,
// networks masked, addresses of IPv4 in IPv6 as IPv4.
func ParseRemote(s string) (Remote, error) {
	r, err := parseRemote(strings.TrimSpace(s))
	if err != nil {
		return Remote{}, fmt.Errorf("remote: %w", err)
	}
	return r, nil
}

func parseRemote(s string) (Remote, error) {
	switch lower := strings.ToLower(s); {
	case s == "":
		return Remote{}, errors.New("empty: want a host name, *.domain, address, network, lan or any")
	case lower == "any":
		return Remote{}, nil
	case lower == "lan":
		return Remote{LAN: true}, nil
	case strings.HasPrefix(lower, "list:"):
		r := Remote{List: s[len("list:"):]}
		return r, checkList(r.List)
	case strings.HasPrefix(s, "*."):
		r := Remote{Domain: NormalName(s[2:])}
		return r, CheckName(r.Domain)
	case strings.Contains(s, "://"):
		return Remote{}, badf("%q is a web address: give its host name alone", s)
	case strings.Contains(s, "/"):
		n, err := parseNetwork(s)
		return Remote{Network: n}, err
	}
	if a, err := parseAddress(s); err == nil {
		return Remote{Address: a}, nil
	} else if strings.Contains(s, "%") {
		return Remote{}, err
	}
	if r, err := ParseAddrRange(s); err == nil {
		return Remote{Range: r}, nil
	} else if !errors.Is(err, errNotRange) {
		return Remote{}, err
	}
	r := Remote{Name: NormalName(s)}
	return r, CheckName(r.Name)
}

func parseNetwork(s string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, badf("%q is not a network such as 192.168.0.0/16", s)
	}
	return normalNetwork(p), nil
}

func parseAddress(s string) (netip.Addr, error) {
	t := s
	if strings.HasPrefix(t, "[") && strings.HasSuffix(t, "]") {
		t = t[1 : len(t)-1]
	}
	a, err := netip.ParseAddr(t)
	switch {
	case strings.Contains(t, "%"):
		return netip.Addr{}, badf("%q names an interface: leave out what follows %%", s)
	case err != nil:
		return netip.Addr{}, badf("%q is not an address", s)
	}
	return a.Unmap(), nil
}

func normalNetwork(p netip.Prefix) netip.Prefix {
	if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
	}
	return p.Masked()
}

// normal returns r as the Set compares it: names in lower case, networks masked,
// addresses of IPv4 in IPv6 as IPv4.
func (r Remote) normal() Remote {
	r.Name = NormalName(r.Name)
	r.Domain = strings.TrimPrefix(NormalName(r.Domain), "*.")
	r.Address = r.Address.Unmap()
	if r.Network.IsValid() {
		r.Network = normalNetwork(r.Network)
	}
	r.Range.From, r.Range.To = r.Range.From.Unmap(), r.Range.To.Unmap()
	return r
}

// fields names those that are set, as the export format does.
func (r Remote) fields() (set []string) {
	for _, f := range []struct {
		name string
		set  bool
	}{
		{"name", r.Name != ""}, {"domain", r.Domain != ""}, {"address", r.Address.IsValid()},
		{"network", r.Network != netip.Prefix{}}, {"range", r.Range != AddrRange{}},
		{"lan", r.LAN}, {"list", r.List != ""},
	} {
		if f.set {
			set = append(set, f.name)
		}
	}
	return set
}

// check says what is wrong with r, which is normal.
func (r Remote) check() error {
	set := r.fields()
	if len(set) > 1 {
		return &OperandError{"remote", badf("has %s: keep one and make a rule of its own for each other",
			strings.Join(set, " and "))}
	}
	if len(set) == 0 {
		return nil
	}
	if err := r.checkField(set[0]); err != nil {
		return &OperandError{"remote." + set[0], err}
	}
	return nil
}

func (r Remote) checkField(field string) error {
	switch field {
	case "name":
		return CheckName(r.Name)
	case "domain":
		return CheckName(r.Domain)
	case "address":
		if r.Address.Zone() != "" {
			return badf("%q names an interface: leave out what follows %%", r.Address)
		}
	case "network":
		if !r.Network.IsValid() {
			return badf("not a network such as 192.168.0.0/16")
		}
	case "range":
		return r.Range.check()
	case "list":
		return checkList(r.List)
	}
	return nil
}

func checkList(s string) error {
	if s == "" {
		return badf("the list has no name: write list:NAME")
	}
	return checkText(s, maxList)
}

// String writes what ParseRemote reads.
func (r Remote) String() string {
	switch {
	case r.Name != "":
		return r.Name
	case r.Domain != "":
		return "*." + r.Domain
	case r.Address.IsValid():
		return r.Address.String()
	case r.Network.IsValid():
		return r.Network.String()
	case r.Range != AddrRange{}:
		return r.Range.String()
	case r.LAN:
		return "lan"
	case r.List != "":
		return "list:" + r.List
	}
	return "any"
}
