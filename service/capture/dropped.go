package capture

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// dropped reads a queue's drops from /proc/net/netfilter/nfnetlink_queue, whose columns
// are: number, port id, waiting, copy mode, copy range, dropped (full), dropped (not
// delivered), last id, 1 (net/netfilter/nfnetlink_queue.c, seq_show).
func dropped(num uint16) (uint64, error) {
	f, err := os.Open("/proc/thread-self/net/netfilter/nfnetlink_queue")
	if err != nil {
		return 0, fmt.Errorf("read queue counters: %w", err)
	}
	defer f.Close()
	s := bufio.NewScanner(f)
	for s.Scan() {
		col := strings.Fields(s.Text())
		if len(col) < 7 || col[0] != strconv.Itoa(int(num)) {
			continue
		}
		full, err1 := strconv.ParseUint(col[5], 10, 64)
		lost, err2 := strconv.ParseUint(col[6], 10, 64)
		if err1 != nil || err2 != nil {
			return 0, fmt.Errorf("read queue counters: %q", s.Text())
		}
		return full + lost, nil
	}
	return 0, s.Err()
}
