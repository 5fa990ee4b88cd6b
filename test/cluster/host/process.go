package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Process identifies a process for good: ids are used again, but not with the same start time.
type Process struct {
	PID     int    `json:"pid"`
	Started uint64 `json:"started"` // clock ticks after boot
}

// Identify is the process that has an id now.
func Identify(pid int) (Process, error) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return Process{}, err
	}
	started, err := startTime(string(content))
	return Process{PID: pid, Started: started}, err
}

// startTime reads the 22nd field of a stat file. The second is the program's name in parentheses, which
// may hold spaces and parentheses, so fields count from the last one.
func startTime(stat string) (uint64, error) {
	end := strings.LastIndexByte(stat, ')')
	fields := strings.Fields(stat[end+1:])
	if len(fields) > 0 && fields[0] == "Z" {
		return 0, os.ErrNotExist // it has ended, and its parent has not looked yet
	}
	if end < 0 || len(fields) < 20 {
		return 0, fmt.Errorf("no start time in %q", stat)
	}
	return strconv.ParseUint(fields[19], 10, 64)
}

// Alive says whether the process has not ended.
func (p Process) Alive() bool {
	now, err := Identify(p.PID)
	return err == nil && now == p
}

// Kill ends a process and waits until it is gone. An init is gone only after every process of its node.
// The descriptor pins the process, so the check and the signal mean the same one.
func (p Process) Kill(timeout time.Duration) error {
	fd, err := unix.PidfdOpen(p.PID, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("hold process %d: %w", p.PID, err)
	}
	defer unix.Close(fd)
	if !p.Alive() {
		return nil
	}
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("kill process %d: %w", p.PID, err)
	}
	deadline := time.Now().Add(timeout)
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(max(0, time.Until(deadline).Milliseconds())))
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return fmt.Errorf("wait for process %d: %w", p.PID, err)
		case n == 0:
			return fmt.Errorf("process %d does not end within %s", p.PID, timeout)
		}
		p.awaitBurial()
		return nil
	}
}

// awaitBurial waits until a dead process's parent has taken note, so that it is no longer listed. That
// may be the machine's own init, which is left its own time if it has none to spare.
func (p Process) awaitBurial() {
	limited, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	_ = Poll(limited, func() (bool, error) { return !Exists(fmt.Sprintf("/proc/%d", p.PID)), nil })
}
