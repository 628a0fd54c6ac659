package rule

import (
	"strconv"
	"strings"

	"sekisho/app/flow"
)

const maxUser = 256

// normalUser cuts spaces around s and writes a number in its usual form.
func normalUser(s string) string {
	s = strings.TrimSpace(s)
	if n, ok := userNumber(s); ok {
		return strconv.FormatUint(uint64(n), 10)
	}
	return s
}

// userNumber reads s as an account's number. A user operand of digits is a number and
// never the name of an account.
func userNumber(s string) (uint32, bool) {
	n, err := strconv.ParseUint(s, 10, 32)
	return uint32(n), err == nil
}

func checkUser(s string) error {
	if s == "" {
		return nil
	}
	if err := checkText(s, maxUser); err != nil {
		return err
	}
	if strings.ContainsAny(s, ":/") {
		return badf("%q is not an account: give its name or its number", s)
	}
	if strings.Trim(s, "0123456789") == "" {
		if n, ok := userNumber(s); !ok || n == 1<<32-1 {
			return badf("%s is not an account's number: want 0 to 4294967294", s)
		}
	}
	return nil
}

// matchesUser reports whether process q belongs to the account that operand u names:
// by number if u is one, else by name. A process of which nothing is known has uid 0
// only because nobody filled it in, so it is not root's.
func matchesUser(u string, number uint32, byNumber bool, q *flow.Process) bool {
	if !byNumber {
		return q.User == u
	}
	return q.UID == number && (number != 0 || ownerKnown(q))
}

func ownerKnown(q *flow.Process) bool {
	return q.Path != "" || q.PID != 0 || q.User != "" || q.Kernel
}
