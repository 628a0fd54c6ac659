package flow

// The network profiles that everybody has. People name others as they like.
const (
	NetworkHome   = "home"
	NetworkWork   = "work"
	NetworkPublic = "public" // also every network that nobody named
	NetworkVPN    = "vpn"
)
