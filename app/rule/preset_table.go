package rule

import "sekisho/app/flow"

// The table of presets. A program is named with the accounts that the system runs it as:
// anybody can start apt's fetcher or a name server as themselves and have it carry what
// they like, but not as _apt. Accounts that a system doesn't have match nobody.
//
// Left out on purpose: cups-browsed takes no packets in (CVE-2024-47176), and Flatpak as
// an ordinary user fetches from wherever that user says.

const root = "0"

// OwnPath is where the service is installed. The running one is meant wherever it is.
const OwnPath = "/usr/sbin/sekishod"

var (
	resolveds  = []string{"/usr/lib/systemd/systemd-resolved", "/lib/systemd/systemd-resolved"}
	dnsmasqs   = []string{"/usr/sbin/dnsmasq", "/usr/bin/dnsmasq"}
	unbounds   = []string{"/usr/sbin/unbound", "/usr/bin/unbound"}
	nameds     = []string{"/usr/sbin/named", "/usr/bin/named"}
	timesyncds = []string{"/usr/lib/systemd/systemd-timesyncd", "/lib/systemd/systemd-timesyncd"}
	chronyds   = []string{"/usr/sbin/chronyd", "/usr/bin/chronyd"}
	ntpds      = []string{"/usr/sbin/ntpd", "/usr/bin/ntpd"}
	avahis     = []string{"/usr/sbin/avahi-daemon", "/usr/bin/avahi-daemon"}
	cupsds     = []string{"/usr/sbin/cupsd", "/usr/bin/cupsd"}
	browseds   = []string{"/usr/sbin/cups-browsed", "/usr/bin/cups-browsed"}
	networkds  = []string{
		"/usr/lib/systemd/systemd-networkd", "/lib/systemd/systemd-networkd",
		"/usr/sbin/NetworkManager", "/usr/bin/NetworkManager", "/usr/sbin/dhcpcd", "/usr/bin/dhcpcd",
	}
	backends = []string{
		"/usr/lib/cups/backend/ipp", "/usr/lib/cups/backend/socket", "/usr/lib/cups/backend/lpd",
		"/usr/lib/cups/backend/snmp", "/usr/lib/cups/backend/dnssd",
	}

	dhcpUsers = []string{root, "systemd-network", "dhcpcd", "_dhcp", "dhcp"}
	lan       = Remote{LAN: true}
)

type presetGroup struct {
	name      string
	essential bool
	rows      []presetRow
}

var presetGroups = []presetGroup{
	{PresetLoopback, true, []presetRow{
		{direction: Both, remote: Remote{Network: loopback4}},
		{direction: Both, remote: Remote{Network: loopback6}},
	}},
	{PresetDHCP, true, []presetRow{
		{users: dhcpUsers, direction: Out, protocol: flow.UDP, ports: "67,547"},
		{users: dhcpUsers, direction: In, protocol: flow.UDP, ports: "68,546"},
	}},
	{PresetKernel, true, []presetRow{
		{paths: []string{flow.KernelPath}, direction: Both, protocol: flow.ICMP},
		{paths: []string{flow.KernelPath}, direction: Both, protocol: flow.ICMPv6},
		{paths: []string{flow.KernelPath}, direction: Both, protocol: flow.IGMP},
		// They ask routers themselves, by raw sockets.
		{paths: networkds, users: dhcpUsers, direction: Both, protocol: flow.ICMPv6, remote: lan},
	}},
	{PresetResolver, false, []presetRow{ // and resolverRules
		{paths: resolveds, users: []string{"systemd-resolve"}, ports: "53,853", protocol: flow.UDP},
		{paths: resolveds, users: []string{"systemd-resolve"}, ports: "53,853", protocol: flow.TCP},
		{paths: dnsmasqs, users: []string{root, "dnsmasq", "libvirt-dnsmasq", "nobody"}, ports: "53", protocol: flow.UDP},
		{paths: dnsmasqs, users: []string{root, "dnsmasq", "libvirt-dnsmasq", "nobody"}, ports: "53", protocol: flow.TCP},
		{paths: unbounds, users: []string{"unbound"}, ports: "53,853", protocol: flow.UDP},
		{paths: unbounds, users: []string{"unbound"}, ports: "53,853", protocol: flow.TCP},
		{paths: nameds, users: []string{"bind", "named"}, ports: "53,853", protocol: flow.UDP},
		{paths: nameds, users: []string{"bind", "named"}, ports: "53,853", protocol: flow.TCP},
	}},
	{PresetTime, false, []presetRow{
		{paths: timesyncds, users: []string{"systemd-timesync"}, ports: "123", protocol: flow.UDP},
		{paths: chronyds, users: []string{root, "_chrony", "chrony"}, ports: "123", protocol: flow.UDP},
		{paths: chronyds, users: []string{root, "_chrony", "chrony"}, ports: "4460", protocol: flow.TCP}, // keys, RFC 8915
		{paths: ntpds, users: []string{root, "ntp", "ntpsec", "ntpd", "_ntp"}, ports: "123", protocol: flow.UDP},
		{paths: ntpds, users: []string{root, "ntp", "ntpsec", "ntpd", "_ntp"}, ports: "4460", protocol: flow.TCP},
	}},
	{PresetUpdates, false, []presetRow{
		{paths: []string{"/usr/lib/apt/methods/http", "/usr/lib/apt/methods/https"}, users: []string{root, "_apt"}, ports: "80,443", protocol: flow.TCP},
		{paths: []string{"/usr/lib/apt/methods/ftp"}, users: []string{root, "_apt"}, ports: "21", protocol: flow.TCP},
		{paths: []string{"/usr/bin/pacman"}, users: []string{root, "alpm"}, ports: "80,443", protocol: flow.TCP},
		{
			paths: []string{
				"/usr/bin/dnf5", "/usr/sbin/dnf5daemon-server", "/usr/bin/dnf5daemon-server", "/usr/libexec/packagekitd", "/usr/lib/packagekitd",
				"/usr/bin/zypper", "/usr/bin/rpm-ostree", "/usr/bin/apk", "/usr/sbin/apk", "/sbin/apk",
				"/usr/bin/flatpak", "/usr/libexec/flatpak-system-helper", "/usr/lib/flatpak-system-helper",
				"/usr/lib/snapd/snapd", "/usr/libexec/snapd/snapd",
				"/usr/libexec/fwupd/fwupd", "/usr/lib/fwupd/fwupd",
			},
			scripts: []string{
				"/usr/bin/dnf", "/usr/bin/dnf-3", "/usr/bin/yum",
				"/usr/bin/unattended-upgrade", "/usr/bin/unattended-upgrades",
			},
			units: []string{"snapd.service"}, // it goes on as the newer one of a snap, whose path has a number
			users: []string{root}, ports: "80,443", protocol: flow.TCP,
		},
		{paths: []string{"/usr/bin/fwupdmgr"}, users: []string{root, "fwupd-refresh"}, ports: "80,443", protocol: flow.TCP},
	}},
	{PresetMDNS, false, []presetRow{
		{paths: avahis, users: []string{root, "avahi"}, direction: Both, ports: "5353", protocol: flow.UDP, remote: lan},
		{paths: resolveds, users: []string{"systemd-resolve"}, direction: Both, ports: "5353,5355", protocol: flow.UDP, remote: lan},
		// A public network needn't know this machine's name and what it offers.
		{paths: avahis, users: []string{root, "avahi"}, block: true, direction: Both, ports: "5353", protocol: flow.UDP, remote: lan, network: NetworkPublic},
		{paths: resolveds, users: []string{"systemd-resolve"}, block: true, direction: Both, ports: "5353,5355", protocol: flow.UDP, remote: lan, network: NetworkPublic},
	}},
	{PresetPrinters, false, []presetRow{
		{paths: cupsds, users: []string{root}, ports: "631", protocol: flow.TCP, remote: lan},
		{paths: browseds, users: []string{root, "cups-browsed", "lp"}, ports: "631", protocol: flow.TCP, remote: lan},
		{paths: backends, users: []string{root, "lp"}, ports: "515,631,9100-9102", protocol: flow.TCP, remote: lan},
		{paths: backends, users: []string{root, "lp"}, ports: "161,5353", protocol: flow.UDP, remote: lan},
	}},
	{PresetLists, false, []presetRow{
		{paths: []string{OwnPath}, users: []string{root}, protocol: flow.TCP},
	}},
	{PresetPublic, false, []presetRow{
		{block: true, direction: In, network: NetworkPublic},
	}},
}
