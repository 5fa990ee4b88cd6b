package host

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// netnsDir is where "ip netns" and everyone else look for named network namespaces.
const netnsDir = "/run/netns"

// NetnsName is a network namespace's name on the machine; it carries the cluster's.
func NetnsName(cluster, machine string) string { return "apptier-" + cluster + "-" + machine }

// OwnNetns lists the network namespaces of a cluster that exist.
func OwnNetns(cluster string) ([]string, error) {
	entries, err := os.ReadDir(netnsDir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list the network namespaces: %w", err)
	}
	// To the end, so that the cluster "a" does not claim what is "a-n1"'s.
	own := regexp.MustCompile("^" + regexp.QuoteMeta(NetnsName(cluster, "")) + "(fab|cp|n[0-9]+)$")
	var names []string
	for _, entry := range entries {
		if own.MatchString(entry.Name()) {
			names = append(names, entry.Name())
		}
	}
	return names, nil
}

// onThread runs a function on a thread that ends with it, so that the function may move the thread to
// other namespaces.
func onThread(run func() error) error {
	result := make(chan error)
	go func() {
		runtime.LockOSThread()
		result <- run()
	}()
	return <-result
}

// CreateNetns makes a named network namespace.
func CreateNetns(name string) error {
	return onThread(func() error {
		ns, err := netns.NewNamed(name)
		if err != nil {
			return fmt.Errorf("make the network namespace %s: %w", name, err)
		}
		return ns.Close()
	})
}

// DeleteNetns removes one, or what is left of it.
func DeleteNetns(name string) error {
	path := filepath.Join(netnsDir, name)
	// Not a mount when its making failed half-way.
	if err := unix.Unmount(path, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("unmount the network namespace %s: %w", name, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("delete the network namespace %s: %w", name, err)
	}
	return nil
}

// InNetns runs a function in a named network namespace.
func InNetns(name string, run func() error) error {
	return onThread(func() error {
		ns, err := netns.GetFromName(name)
		if err != nil {
			return fmt.Errorf("open the network namespace %s: %w", name, err)
		}
		defer ns.Close()
		if err := netns.Set(ns); err != nil {
			return fmt.Errorf("enter the network namespace %s: %w", name, err)
		}
		return run()
	})
}

// ProcessesIn lists the processes, other than this one, in any of the given network namespaces.
func ProcessesIn(names []string) []int {
	var networks []os.FileInfo
	for _, name := range names {
		if info, err := os.Stat(filepath.Join(netnsDir, name)); err == nil {
			networks = append(networks, info)
		}
	}
	if len(networks) == 0 {
		return nil
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var pids []int
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		info, err := os.Stat(filepath.Join("/proc", entry.Name(), "ns", "net"))
		if err != nil {
			continue
		}
		for _, network := range networks {
			if os.SameFile(info, network) {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}
