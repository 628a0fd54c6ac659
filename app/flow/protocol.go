package flow

import (
	"fmt"
	"strconv"
	"strings"
)

// Protocol is an IP protocol number (IANA "Assigned Internet Protocol Numbers").
// The zero value means that no protocol was named.
type Protocol uint8

// The protocols that have a name here; any other is written as its number.
const (
	AnyProtocol Protocol = 0
	ICMP        Protocol = 1
	IGMP        Protocol = 2
	TCP         Protocol = 6
	UDP         Protocol = 17
	DCCP        Protocol = 33
	GRE         Protocol = 47
	ESP         Protocol = 50
	ICMPv6      Protocol = 58
	SCTP        Protocol = 132
	UDPLite     Protocol = 136
)

var protocolNames = map[Protocol]string{
	ICMP: "icmp", IGMP: "igmp", TCP: "tcp", UDP: "udp", DCCP: "dccp", GRE: "gre",
	ESP: "esp", ICMPv6: "icmpv6", SCTP: "sctp", UDPLite: "udplite",
}

func (p Protocol) String() string {
	if p == AnyProtocol {
		return ""
	}
	if n, ok := protocolNames[p]; ok {
		return n
	}
	return strconv.Itoa(int(p))
}

// HasPorts reports whether packets of p carry source and destination ports.
func (p Protocol) HasPorts() bool {
	switch p {
	case TCP, UDP, UDPLite, SCTP, DCCP:
		return true
	}
	return false
}

// ParseProtocol reads a protocol's name or number; "" and "any" give AnyProtocol.
func ParseProtocol(s string) (Protocol, error) {
	s = strings.ToLower(strings.TrimSpace(s))
	if s == "" || s == "any" {
		return AnyProtocol, nil
	}
	for p, n := range protocolNames {
		if n == s {
			return p, nil
		}
	}
	n, err := strconv.ParseUint(s, 10, 8)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("protocol %q: want a name such as tcp, udp or icmp, or a number from 1 to 255", s)
	}
	return Protocol(n), nil
}

// MarshalText writes the protocol's name, its number where it has none.
func (p Protocol) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads what ParseProtocol reads.
func (p *Protocol) UnmarshalText(b []byte) error {
	v, err := ParseProtocol(string(b))
	if err == nil {
		*p = v
	}
	return err
}
