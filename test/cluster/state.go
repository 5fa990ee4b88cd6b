package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// state is what is kept about a cluster between programs, in state.json of its folder. It is written
// before and during the making of the cluster, so that a half-made one can be taken down.
type state struct {
	Name    string             `json:"name"`
	Created time.Time          `json:"created"`
	Shape   Shape              `json:"shape"`
	Version string             `json:"version"`
	Bin     string             `json:"bin"`
	Init    string             `json:"init"`
	Server  string             `json:"server,omitempty"` // the API server's address for this machine
	Inits   map[string]process `json:"inits"`            // by node
}

// process identifies a process for good: ids are used again, but not with the same start time.
type process struct {
	PID     int    `json:"pid"`
	Started uint64 `json:"started"` // clock ticks after boot
}

// clustersDir holds a folder for each cluster.
func clustersDir() (string, error) { return cacheDir("clusters") }

func stateFile(dir string) string { return filepath.Join(dir, "state.json") }

func readState(dir string) (state, error) {
	content, err := os.ReadFile(stateFile(dir))
	if err != nil {
		return state{}, err
	}
	var s state
	if err := json.Unmarshal(content, &s); err != nil {
		return state{}, fmt.Errorf("read %s: %w", stateFile(dir), err)
	}
	return s, nil
}

func (s state) write(dir string) error {
	content, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	temporary := stateFile(dir) + ".new"
	if err := os.WriteFile(temporary, append(content, '\n'), 0o600); err != nil {
		return fmt.Errorf("keep the cluster's state: %w", err)
	}
	return os.Rename(temporary, stateFile(dir))
}

func identify(pid int) (process, error) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return process{}, err
	}
	started, err := startTime(string(content))
	return process{PID: pid, Started: started}, err
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

func (p process) alive() bool {
	now, err := identify(p.PID)
	return err == nil && now == p
}

// kill ends a process and waits until it is gone. An init is gone only after every process of its node.
// The descriptor pins the process, so the check and the signal mean the same one.
func (p process) kill(timeout time.Duration) error {
	fd, err := unix.PidfdOpen(p.PID, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("hold process %d: %w", p.PID, err)
	}
	defer unix.Close(fd)
	if !p.alive() {
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
func (p process) awaitBurial() {
	limited, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	_ = poll(limited, func() (bool, error) { return !exists(fmt.Sprintf("/proc/%d", p.PID)), nil })
}
