package lab

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

const prefix = "sekisho-lab."

// ownName is the name of this process's nth lab: prefix, process, start time, number.
func ownName(n int64) string {
	start, err := startTime(os.Getpid())
	if err != nil {
		start = 0
	}
	return fmt.Sprintf("%s%d.%d.%d", prefix, os.Getpid(), start, n)
}

// isLeftover reports whether name is that of a lab whose process has ended.
func isLeftover(name string) bool {
	rest, ok := strings.CutPrefix(name, prefix)
	if !ok {
		return false
	}
	part := strings.Split(rest, ".")
	if len(part) != 3 {
		return false
	}
	pid, err1 := strconv.Atoi(part[0])
	start, err2 := strconv.ParseUint(part[1], 10, 64)
	if err1 != nil || err2 != nil {
		return false
	}
	now, err := startTime(pid)
	return err != nil || now != start
}

// startTime is when a process began, in clock ticks since boot. Numbers of processes
// are reused; a number together with its start is not.
func startTime(pid int) (uint64, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The command's name may hold spaces and brackets: fields count from the last ")".
	_, rest, ok := strings.Cut(string(stat[strings.LastIndexByte(string(stat), ')')+1:]), " ")
	field := strings.Fields(rest)
	if !ok || len(field) < 20 {
		return 0, fmt.Errorf("read /proc/%d/stat: too short", pid)
	}
	if field[0] == "Z" || field[0] == "X" {
		return 0, fmt.Errorf("process %d has ended", pid)
	}
	return strconv.ParseUint(field[19], 10, 64)
}
