package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"
)

const killTimeout = 30 * time.Second

// Down removes the cluster and all that it left on the machine.
func (c *Cluster) Down(ctx context.Context) error { return Down(ctx, c.state.Name) }

// Down removes whatever there is of a cluster, also one that was never whole. It is no error when there
// is nothing.
func Down(ctx context.Context, name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	if err := needRoot(); err != nil {
		return err
	}
	dir, unlock, err := claim(ctx, name)
	if err != nil {
		return err
	}
	defer unlock()
	if err := remove(name, dir); err != nil {
		return err
	}
	return os.Remove(lockFile(dir))
}

// remove ends the machines, which ends their processes and mounts, then takes away the rest. The folder
// goes last, and only when all else is gone, so that it can be tried again.
func remove(name, dir string) error {
	victims, err := processesOf(name, dir)
	if err != nil {
		return err
	}
	var group errgroup.Group
	for _, p := range victims {
		group.Go(func() error { return p.kill(killTimeout) })
	}
	if err := group.Wait(); err != nil {
		return fmt.Errorf("take down %s: %w", name, err)
	}
	networks, err := ownNetns(name)
	if err != nil {
		return err
	}
	for _, network := range networks {
		err = errors.Join(err, deleteNetns(network))
	}
	if err := errors.Join(err, removeCgroups(name)); err != nil {
		return fmt.Errorf("take down %s: %w", name, err)
	}
	return os.RemoveAll(dir)
}

// processesOf finds what to end: the inits on record, and whoever else is in the cluster's network
// namespaces, such as an init that was started just before its maker was killed.
func processesOf(name, dir string) ([]process, error) {
	found := map[int]process{}
	s, err := readState(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	for _, p := range s.Inits {
		if p.alive() {
			found[p.PID] = p
		}
	}
	networks, err := ownNetns(name)
	if err != nil {
		return nil, err
	}
	var ours []os.FileInfo
	for _, network := range networks {
		if info, err := os.Stat(filepath.Join(netnsDir, network)); err == nil {
			ours = append(ours, info)
		}
	}
	for _, pid := range inNetworks(ours) {
		if p, err := identify(pid); err == nil {
			found[pid] = p
		}
	}
	list := make([]process, 0, len(found))
	for _, p := range found {
		list = append(list, p)
	}
	return list, nil
}

// inNetworks lists the processes, other than this one, in any of the given network namespaces.
func inNetworks(networks []os.FileInfo) []int {
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
