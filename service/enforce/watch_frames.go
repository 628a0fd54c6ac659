package enforce

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// FrameSockets lists the inode numbers of the AF_PACKET sockets of this network namespace:
// what is sent with them goes to the network card behind every hook.
func FrameSockets() ([]uint64, error) {
	f, err := os.Open("/proc/thread-self/net/packet")
	if os.IsNotExist(err) {
		return nil, nil // a kernel without them
	}
	if err != nil {
		return nil, fmt.Errorf("list packet sockets: %w", err)
	}
	defer f.Close()
	var all []uint64
	s := bufio.NewScanner(f)
	s.Scan() // the heading: sk RefCnt Type Proto Iface R Rmem User Inode
	for s.Scan() {
		w := strings.Fields(s.Text())
		if len(w) < 9 {
			continue
		}
		inode, err := strconv.ParseUint(w[8], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("list packet sockets: %q", s.Text())
		}
		all = append(all, inode)
	}
	return all, s.Err()
}
