package view

import (
	"strconv"

	"sekisho/app/flow"
)

// services are the names that home users may have met; a port that isn't here is
// shown as its number.
var services = map[uint16]string{
	20: "FTP", 21: "FTP", 22: "SSH", 23: "Telnet", 25: "SMTP", 53: "DNS", 67: "DHCP", 68: "DHCP",
	80: "HTTP", 110: "POP3", 111: "RPC", 119: "NNTP", 123: "NTP", 137: "NetBIOS", 138: "NetBIOS",
	139: "NetBIOS", 143: "IMAP", 161: "SNMP", 194: "IRC", 389: "LDAP", 443: "HTTPS", 445: "SMB",
	465: "SMTPS", 514: "Syslog", 515: "LPD", 546: "DHCPv6", 547: "DHCPv6", 548: "AFP",
	554: "RTSP", 587: "SMTP", 631: "IPP", 636: "LDAPS", 853: "DNS over TLS", 873: "rsync",
	989: "FTPS", 990: "FTPS", 993: "IMAPS", 995: "POP3S", 1080: "SOCKS", 1194: "OpenVPN",
	1883: "MQTT", 1900: "UPnP", 2049: "NFS", 3128: "HTTP proxy", 3306: "MySQL", 3389: "RDP",
	3478: "STUN", 4500: "IPsec", 500: "IPsec", 5060: "SIP", 5061: "SIPS", 5222: "XMPP",
	5228: "Google push", 5353: "mDNS", 5355: "LLMNR", 5432: "PostgreSQL", 5900: "VNC",
	6379: "Redis", 6667: "IRC", 6697: "IRC", 6881: "BitTorrent", 8009: "Cast", 8080: "HTTP",
	8443: "HTTPS", 8883: "MQTT", 9100: "Printer", 9418: "Git", 11371: "OpenPGP keys",
	27017: "MongoDB", 51413: "BitTorrent", 51820: "WireGuard",
}

// ServiceName is what a port is commonly used for, "" where that is unknown. QUIC is
// HTTPS to a person.
func ServiceName(p flow.Protocol, port uint16) string {
	switch p {
	case flow.TCP, flow.UDP, flow.AnyProtocol:
		return services[port]
	case flow.ICMP, flow.ICMPv6:
		return "Ping"
	}
	return ""
}

// ServiceLabel is the service and port of a flow in one short text: "HTTPS 443",
// "4444", "Ping".
func ServiceLabel(f flow.Flow) (name, port string) {
	n := ServicePort(f)
	name = ServiceName(f.Protocol, n)
	if f.Protocol.HasPorts() {
		port = strconv.Itoa(int(n))
	}
	if name == "" && port == "" {
		name = f.Protocol.String()
	}
	return name, port
}
