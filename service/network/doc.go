// Package network says where this machine is: the networks that its links are on, and the
// profile of each, home, work, public, vpn or one that a person named. NetworkManager
// tells the connection and the Wi-Fi; without it a network is known by the hardware
// address of its gateway.
//
// It opens no connection of its own and keeps nothing on disk: which network has which
// profile is given to it. The one thing that it sends is the kernel's own question for a
// gateway's hardware address, and the one thing that it changes is that the kernel forgets
// that address once a link was down: it would hold the old one for half a minute, and what
// is there now for the network that was left. It decides no flow.
//
// A network that nobody named is public. How sure it is that a network is the one that it
// looks like: a Wi-Fi with a key is (who sets up another one doesn't know the key), and so
// are a VPN and what this machine made itself. A gateway's hardware address is not: who
// was on a network once can take that address elsewhere. So it is with cables and open
// Wi-Fi, also by NetworkManager, and Network.Weak says so.
//
// Goroutines: Watcher.Run starts two and ends them before it returns. State is a value
// that never changes; the other methods may be called from any goroutine.
package network
