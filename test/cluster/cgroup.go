package cluster

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const cgroupMount = "/sys/fs/cgroup"

// cgroupRoot is the cgroup above all pods of a node.
func cgroupRoot(cluster, node string) string { return "/apptier-" + cluster + "/" + node }

// hierarchies are the folders at which control groups are mounted: one with version 2, and one for each
// controller with version 1.
func hierarchies() ([]string, error) {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return nil, fmt.Errorf("find the control groups: %w", err)
	}
	var found []string
	for line := range strings.Lines(string(mounts)) {
		fields := strings.Fields(line)
		if len(fields) > 2 && strings.HasPrefix(fields[2], "cgroup") && strings.HasPrefix(fields[1], cgroupMount) {
			found = append(found, fields[1])
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("no control groups are mounted at %s, and containers need them", cgroupMount)
	}
	return found, nil
}

// makeCgroups makes the cgroup of a node's pods, because the kubelet wants it to be there.
func makeCgroups(cluster, node string) error {
	mounts, err := hierarchies()
	if err != nil {
		return err
	}
	for _, mount := range mounts {
		dir := filepath.Join(mount, cgroupRoot(cluster, node))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("make the control group of %s: %w", node, err)
		}
	}
	return nil
}

// removeCgroups removes every cgroup of a cluster. A cgroup can go when its processes are gone, and the
// kernel takes a moment for that after they are dead.
func removeCgroups(cluster string) error {
	mounts, err := hierarchies()
	if err != nil {
		return err
	}
	for _, mount := range mounts {
		top := filepath.Join(mount, filepath.Dir(cgroupRoot(cluster, "-")))
		for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(pollInterval) {
			err = removeTree(top)
			if err == nil || time.Now().After(deadline) {
				break
			}
		}
		if err != nil {
			return fmt.Errorf("remove the control groups: %w", err)
		}
	}
	return nil
}

// removeTree removes a cgroup and those below. Only folders can be removed; their files go with them.
func removeTree(top string) error {
	var dirs []string
	err := filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			dirs = append(dirs, path)
		}
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, dir := range slices.Backward(dirs) {
		if err := os.Remove(dir); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}
