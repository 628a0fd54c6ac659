package blocklist

import (
	"time"

	"sekisho/service/blocklist/format"
)

// Known is a well-known list that a person may switch on. None is on by itself.
type Known struct {
	ID       string
	Name     string // as its makers call it
	About    string // key of a sentence in the translations
	URL      string
	Format   format.Format
	Category Category
	Every    time.Duration
	Home     string
	Licence  string // SPDX where there is one, else what its home says
}

// List gives the settings for a known list, switched off.
func (k *Known) List() List {
	return List{ID: k.ID, Name: k.Name, URL: k.URL, Format: k.Format, Category: k.Category, Action: Block, Every: k.Every}
}

const (
	day   = 24 * time.Hour
	often = 4 * time.Hour
)

// Catalogue is in the order in which it is shown.
var Catalogue = []Known{
	{"urlhaus", "URLhaus", "list.about.malware_sites", "https://urlhaus.abuse.ch/downloads/hostfile/",
		format.Hosts, Malware, often, "https://urlhaus.abuse.ch/", "CC0-1.0"},
	{"feodo", "Feodo Tracker", "list.about.command_servers", "https://feodotracker.abuse.ch/downloads/ipblocklist.txt",
		format.Networks, Malware, often, "https://feodotracker.abuse.ch/", "CC0-1.0"},
	{"spamhaus-drop", "Spamhaus DROP", "list.about.hijacked_networks", "https://www.spamhaus.org/drop/drop.txt",
		format.Networks, Malware, day, "https://www.spamhaus.org/blocklists/do-not-route-or-peer/", "free of charge, with attribution"},
	{"spamhaus-drop6", "Spamhaus DROPv6", "list.about.hijacked_networks", "https://www.spamhaus.org/drop/dropv6.txt",
		format.Networks, Malware, day, "https://www.spamhaus.org/blocklists/do-not-route-or-peer/", "free of charge, with attribution"},
	{"firehol-level1", "FireHOL Level 1", "list.about.attackers", "https://raw.githubusercontent.com/firehol/blocklist-ipsets/master/firehol_level1.netset",
		format.Networks, Malware, day, "https://iplists.firehol.org/", "of the lists that it joins"},
	{"cinsscore", "CINS Army", "list.about.attackers", "https://cinsscore.com/list/ci-badguys.txt",
		format.Networks, Malware, day, "https://cinsscore.com/", "free of charge"},
	{"hagezi-tif", "HaGeZi Threat Intelligence Feeds", "list.about.malware_sites", "https://raw.githubusercontent.com/hagezi/dns-blocklists/main/wildcard/tif.medium.txt",
		format.Names, Malware, day, "https://github.com/hagezi/dns-blocklists", "GPL-3.0-only"},
	{"stevenblack", "StevenBlack Unified Hosts", "list.about.ads_malware", "https://raw.githubusercontent.com/StevenBlack/hosts/master/hosts",
		format.Hosts, Ads, day, "https://github.com/StevenBlack/hosts", "MIT"},
	{"oisd-small", "OISD small", "list.about.ads", "https://small.oisd.nl/",
		format.Adblock, Ads, day, "https://oisd.nl/", "GPL-3.0-only"},
	{"oisd-big", "OISD big", "list.about.ads_malware", "https://big.oisd.nl/",
		format.Adblock, Ads, day, "https://oisd.nl/", "GPL-3.0-only"},
	{"adguard-dns", "AdGuard DNS filter", "list.about.ads_tracking", "https://adguardteam.github.io/AdGuardSDNSFilter/Filters/filter.txt",
		format.Adblock, Ads, day, "https://github.com/AdguardTeam/AdGuardSDNSFilter", "GPL-3.0-only"},
	{"yoyo", "Peter Lowe's Ad and tracking server list", "list.about.ads_tracking", "https://pgl.yoyo.org/adservers/serverlist.php?hostformat=hosts&showintro=0&mimetype=plaintext",
		format.Hosts, Ads, 4 * day, "https://pgl.yoyo.org/adservers/", "free of charge"},
	{"hagezi-pro", "HaGeZi Multi Pro", "list.about.ads_tracking", "https://raw.githubusercontent.com/hagezi/dns-blocklists/main/wildcard/pro.txt",
		format.Names, Tracking, day, "https://github.com/hagezi/dns-blocklists", "GPL-3.0-only"},
	{"frogeye", "Geoffrey Frogeye's first-party trackers", "list.about.hidden_trackers", "https://hostfiles.frogeye.fr/firstparty-trackers-hosts.txt",
		format.Hosts, Tracking, 4 * day, "https://hostfiles.frogeye.fr/", "MIT"},
}

// KnownZone is a well-known DNS-based list of mail senders.
type KnownZone struct{ Zone, Name, About, Home string }

// Zones are none of them asked by themselves.
var Zones = []KnownZone{
	{"zen.spamhaus.org", "Spamhaus ZEN", "list.about.mail_senders", "https://www.spamhaus.org/blocklists/zen-blocklist/"},
	{"bl.spamcop.net", "SpamCop", "list.about.mail_senders", "https://www.spamcop.net/bl.shtml"},
	{"b.barracudacentral.org", "Barracuda", "list.about.mail_senders", "https://www.barracudacentral.org/rbl"},
	{"psbl.surriel.com", "PSBL", "list.about.mail_senders", "https://psbl.org/"},
}
