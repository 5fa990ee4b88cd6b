package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Where the node finds its state folder and the programs, whatever their place on the machine: fixed and
// short, because a Unix socket's path has at most 107 bytes.
const (
	stateMount = "/run/apptier/state"
	binMount   = "/run/apptier/bin"
)

// kubeletSysctls are kernel settings of the whole machine that the kubelet sets unless they are already
// so. The node sees files that say they are, so that the machine's own settings stay as they were.
var kubeletSysctls = map[string]string{
	"vm/overcommit_memory":      "1",
	"vm/panic_on_oom":           "0",
	"kernel/panic":              "10",
	"kernel/panic_on_oops":      "1",
	"kernel/keys/root_maxkeys":  "1000000",
	"kernel/keys/root_maxbytes": "25000000",
}

// setUpMounts gives the node folders of its own for all that a Kubernetes node writes, at the paths that
// its programs expect.
func setUpMounts(state, bin string) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make the mounts private: %w", err)
	}
	// Held open, because they may lie under what the next mounts hide.
	stateFD, err := unix.Open(state, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", state, err)
	}
	binFD, err := unix.Open(bin, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", bin, err)
	}
	if err := unix.Mount("tmpfs", "/run", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755"); err != nil {
		return fmt.Errorf("mount /run: %w", err)
	}
	steps := []func() error{
		func() error { return bindFD(stateFD, stateMount) },
		func() error { return bindFD(binFD, binMount) },
		func() error { return bind(stateMount+"/lib", "/var/lib") },
		func() error { return bind(stateMount+"/log", "/var/log") },
		func() error { return unix.Mount("proc", "/proc", "proc", 0, "") },
		func() error { return narrowCgroups(os.Getenv("NODE_CGROUP")) },
		maskSysctls,
		// Volumes that pods mount with propagation need shared mounts, as systemd makes them on a real node.
		func() error { return unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, "") },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return fmt.Errorf("set up the node's mounts: %w", err)
		}
	}
	return nil
}

func bindFD(fd int, target string) error {
	defer unix.Close(fd)
	if err := os.MkdirAll(target, 0o755); err != nil {
		return err
	}
	return bind(fmt.Sprintf("/proc/self/fd/%d", fd), target)
}

func bind(source, target string) error {
	if err := unix.Mount(source, target, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("bind %s to %s: %w", source, target, err)
	}
	return nil
}

// narrowCgroups makes one cgroup look like the root of each hierarchy, so that all cgroups that the node's
// programs make are below it.
func narrowCgroups(cgroup string) error {
	if cgroup == "" {
		return nil
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(mounts)) {
		fields := strings.Fields(line)
		if len(fields) < 3 || (fields[2] != "cgroup" && fields[2] != "cgroup2") {
			continue
		}
		if err := narrow(fields[1], filepath.Join(fields[1], cgroup)); err != nil {
			return err
		}
	}
	return nil
}

// narrow replaces a mount by a part of itself. The whole must go, since runc looks at the first mount of
// a hierarchy that it finds, be it covered or not.
func narrow(mount, part string) error {
	const aside = "/run/apptier/cgroup"
	if err := os.MkdirAll(aside, 0o755); err != nil {
		return err
	}
	if err := bind(part, aside); err != nil {
		return err
	}
	if err := unix.Unmount(mount, unix.MNT_DETACH); err != nil {
		return fmt.Errorf("unmount %s: %w", mount, err)
	}
	if err := unix.Mount(aside, mount, "", unix.MS_MOVE, ""); err != nil {
		return fmt.Errorf("move %s to %s: %w", aside, mount, err)
	}
	return nil
}

func maskSysctls() error {
	for name, value := range kubeletSysctls {
		target := filepath.Join("/proc/sys", name)
		if _, err := os.Stat(target); err != nil {
			continue // this kernel does not have it, and then the kubelet fails by itself
		}
		source := filepath.Join("/run/apptier/sys", name)
		if err := os.MkdirAll(filepath.Dir(source), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(source, []byte(value+"\n"), 0o644); err != nil {
			return err
		}
		if err := bind(source, target); err != nil {
			return err
		}
	}
	return nil
}
