// Package process reads what the kernel and a program itself tell about the program's cost.
package process

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// Mebibytes reads a figure of a running process, such as VmHWM, the most memory it ever had, or
// VmRSS, what it has now; see proc_pid_status(5).
func Mebibytes(pid int, figure string) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, figure+":"); ok {
			kibibytes, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64)
			return kibibytes / 1024, err
		}
	}
	return 0, fmt.Errorf("the kernel tells no %s of process %d", figure, pid)
}

// CPU is the processor time that a running process has used, and with it the programs that it ran
// to their end. Unlike time it depends little on what else the machine does.
func CPU(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, fields, _ := strings.Cut(string(text), ") ")
	var ticks int
	for _, field := range strings.Fields(fields)[11:15] { // utime, stime, cutime, cstime: proc_pid_stat(5)
		n, err := strconv.Atoi(field)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / ticksPerSecond, nil
}

// ticksPerSecond is USER_HZ, which is 100 on every architecture that Go knows.
const ticksPerSecond = 100
