package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/apptier/apptier/test/cluster/host"
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
		group.Go(func() error { return p.Kill(killTimeout) })
	}
	if err := group.Wait(); err != nil {
		return fmt.Errorf("take down %s: %w", name, err)
	}
	networks, err := host.OwnNetns(name)
	if err != nil {
		return err
	}
	for _, network := range networks {
		err = errors.Join(err, host.DeleteNetns(network))
	}
	if err := errors.Join(err, host.RemoveCgroups(name)); err != nil {
		return fmt.Errorf("take down %s: %w", name, err)
	}
	return os.RemoveAll(dir)
}

// processesOf finds what to end: the inits on record, and whoever else is in the cluster's network
// namespaces, such as an init that was started just before its maker was killed.
func processesOf(name, dir string) ([]host.Process, error) {
	found := map[int]host.Process{}
	s, err := readState(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	for _, p := range s.Inits {
		if p.Alive() {
			found[p.PID] = p
		}
	}
	networks, err := host.OwnNetns(name)
	if err != nil {
		return nil, err
	}
	for _, pid := range host.ProcessesIn(networks) {
		if p, err := host.Identify(pid); err == nil {
			found[pid] = p
		}
	}
	list := make([]host.Process, 0, len(found))
	for _, p := range found {
		list = append(list, p)
	}
	return list, nil
}
