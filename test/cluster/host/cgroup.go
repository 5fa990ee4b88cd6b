package host

import (
	"context"
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

// CgroupRoot is the cgroup above all pods of a node. The node's init mounts it where the node's programs
// look for the root, because with the kubelet's own setting for this containerd still starts at the root.
func CgroupRoot(cluster, node string) string { return "/apptier-" + cluster + "/" + node }

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

// MakeCgroups makes the cgroup that a node takes for the root of all. Containers inherit from it what a
// new cgroup does not have by itself.
func MakeCgroups(cluster, node string) error {
	mounts, err := hierarchies()
	if err != nil {
		return err
	}
	for _, mount := range mounts {
		dir := mount
		for _, part := range strings.Split(strings.Trim(CgroupRoot(cluster, node), "/"), "/") {
			if err := makeCgroup(dir, filepath.Join(dir, part)); err != nil {
				return fmt.Errorf("make the control group of %s: %w", node, err)
			}
			dir = filepath.Join(dir, part)
		}
	}
	return nil
}

func makeCgroup(parent, dir string) error {
	// Version 2 gives a cgroup only the controllers that its parent hands down.
	if controllers, err := os.ReadFile(filepath.Join(parent, "cgroup.controllers")); err == nil {
		for _, controller := range strings.Fields(string(controllers)) {
			// One at a time and if possible: some cannot be handed down everywhere.
			_ = os.WriteFile(filepath.Join(parent, "cgroup.subtree_control"), []byte("+"+controller), 0)
		}
	}
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	// Version 1 lets no process into a cpuset that is empty, as new ones are.
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
		if Exists(filepath.Join(parent, "cgroup.controllers")) {
			break
		}
		value, err := os.ReadFile(filepath.Join(parent, file))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, file), value, 0); err != nil {
			return err
		}
	}
	return nil
}

// RemoveCgroups removes every cgroup of a cluster. A cgroup can go when its processes are gone, and the
// kernel takes a moment for that after they are dead.
func RemoveCgroups(cluster string) error {
	mounts, err := hierarchies()
	if err != nil {
		return err
	}
	for _, mount := range mounts {
		top := filepath.Join(mount, filepath.Dir(CgroupRoot(cluster, "-")))
		err := PollUntil(context.Background(), 5*time.Second, "remove the control groups", func(context.Context) error {
			return removeTree(top)
		})
		if err != nil {
			return err
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
