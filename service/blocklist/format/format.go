package format

import "fmt"

// Format is how a list is written.
type Format uint8

const (
	Auto     Format = iota // found by content
	Hosts                  // 0.0.0.0 ads.example
	Names                  // one name a line; addresses among them are taken too
	Dnsmasq                // address=/ads.example/
	Adblock                // ||ads.example^
	RPZ                    // a response policy zone
	Networks               // addresses, networks and ranges, one a line
	IPSet                  // add NAME 192.0.2.0/24
	URLs                   // http://host/path, one a line
)

var formatNames = [...]string{"auto", "hosts", "names", "dnsmasq", "adblock", "rpz", "networks", "ipset", "urls"}

func (f Format) String() string {
	if int(f) < len(formatNames) {
		return formatNames[f]
	}
	return fmt.Sprintf("format(%d)", uint8(f))
}

// MarshalText writes the name that UnmarshalText reads.
func (f Format) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText reads "auto", "hosts", "names", "dnsmasq", "adblock", "rpz",
// "networks", "ipset" or "urls".
func (f *Format) UnmarshalText(b []byte) error {
	for i, n := range formatNames {
		if n == string(b) {
			*f = Format(i)
			return nil
		}
	}
	return fmt.Errorf("list format %q: want one of %v", b, formatNames)
}

// newParser gives a fresh parser; f is a known format.
func newParser(f Format) parser {
	switch f {
	case Hosts:
		return hosts{}
	case Names:
		return names{}
	case Dnsmasq:
		return dnsmasq{}
	case Adblock:
		return adblock{}
	case RPZ:
		return &rpz{}
	case Networks:
		return networks{}
	case IPSet:
		return ipset{}
	case URLs:
		return urls{}
	}
	return nil
}
