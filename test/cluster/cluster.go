package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/apptier/apptier/test/cluster/build"
	"github.com/apptier/apptier/test/cluster/host"
)

// ErrNotFound says that there is no cluster of that name.
var ErrNotFound = errors.New("no such cluster")

// Cluster is a cluster on this machine. It lives on when the program that made it ends; Open finds it.
type Cluster struct {
	API
	dir string

	mu    sync.Mutex // guards state
	state state
}

// Up makes a cluster, or finds the one of that name that is there already and starts whatever of it has
// stopped. When it fails it takes down what it made.
func Up(ctx context.Context, o Options) (*Cluster, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	if err := needRoot(); err != nil {
		return nil, err
	}
	programs, err := build.All(ctx, o.Progress)
	if err != nil {
		return nil, err
	}
	dir, unlock, err := claim(ctx, o.Name)
	if err != nil {
		return nil, err
	}
	defer unlock()
	existing, err := revive(ctx, dir, o)
	if err != nil || existing != nil {
		return existing, err
	}
	c := &Cluster{API: apiIn(dir), dir: dir, state: state{
		Name: o.Name, Created: time.Now(), Shape: o.Shape, Bin: programs.Bin, Init: programs.Init,
		Version: filepath.Base(programs.Bin), Inits: map[string]host.Process{},
	}}
	c.state.Version, _, _ = strings.Cut(c.state.Version, "-")
	if err := c.create(ctx, o); err != nil {
		if !o.Keep {
			err = errors.Join(err, remove(o.Name, dir), os.Remove(lockFile(dir)))
		}
		return nil, fmt.Errorf("bring up the cluster %s: %w", o.Name, err)
	}
	return c, nil
}

// claim finds a cluster's folder and locks the cluster against being made and removed at once.
func claim(ctx context.Context, name string) (dir string, unlock func(), err error) {
	clusters, err := clustersDir()
	if err != nil {
		return "", nil, err
	}
	dir = filepath.Join(clusters, name)
	unlock, err = host.Lock(ctx, lockFile(dir))
	return dir, unlock, err
}

// lockFile is beside the folder, because the folder comes and goes under the lock.
func lockFile(dir string) string { return dir + ".lock" }

// revive looks for the cluster that is asked for. What is left of one that cannot be used is removed.
func revive(ctx context.Context, dir string, o Options) (*Cluster, error) {
	c, err := open(dir)
	if errors.Is(err, ErrNotFound) {
		return nil, remove(o.Name, dir)
	}
	if err != nil {
		return nil, err
	}
	if !c.alive() {
		return nil, remove(o.Name, dir)
	}
	if c.state.Shape != o.Shape {
		return nil, fmt.Errorf("the cluster %s is up with another shape (%+v, not %+v): take it down first", o.Name, c.state.Shape, o.Shape)
	}
	if err := c.restart(ctx); err != nil {
		return nil, fmt.Errorf("restart the cluster %s: %w", o.Name, err)
	}
	return c, nil
}

// Open finds a cluster that is up.
func Open(name string) (*Cluster, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	clusters, err := clustersDir()
	if err != nil {
		return nil, err
	}
	c, err := open(filepath.Join(clusters, name))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return c, nil
}

func open(dir string) (*Cluster, error) {
	s, err := readState(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	return &Cluster{API: apiIn(dir), dir: dir, state: s}, nil
}

// List finds all clusters of this user on this machine.
func List() ([]*Cluster, error) {
	clusters, err := clustersDir()
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(clusters)
	if err != nil {
		return nil, err
	}
	var found []*Cluster
	for _, entry := range entries {
		c, err := open(filepath.Join(clusters, entry.Name()))
		if errors.Is(err, ErrNotFound) || !entry.IsDir() {
			continue
		}
		if err != nil {
			return nil, err
		}
		found = append(found, c)
	}
	return found, nil
}

// alive tells whether every node of the cluster runs.
func (c *Cluster) alive() bool {
	for _, machine := range c.machines() {
		if !c.state.Inits[machine].Alive() {
			return false
		}
	}
	return true
}

// Name is the cluster's name.
func (c *Cluster) Name() string { return c.state.Name }

// Shape is how the cluster was made.
func (c *Cluster) Shape() Shape { return c.state.Shape }

// Version is the version of Kubernetes that it runs.
func (c *Cluster) Version() string { return c.state.Version }

// Created is when it was made.
func (c *Cluster) Created() time.Time { return c.state.Created }

// Alive tells whether all its nodes run, as the machine sees them.
func (c *Cluster) Alive() bool { return c.alive() }

// Nodes are the names of the nodes that run pods.
func (c *Cluster) Nodes() []string {
	var names []string
	for i := 1; i <= c.state.Shape.Nodes; i++ {
		names = append(names, node(i))
	}
	return names
}

// machines are the control plane's node and the others.
func (c *Cluster) machines() []string { return slices.Insert(c.Nodes(), 0, controlPlane) }
