package cluster

import (
	"context"
	"fmt"
	"os"

	"golang.org/x/sync/errgroup"
)

// Load puts the images of tars on every node, under the names that the tars give.
func (c *Cluster) Load(ctx context.Context, tars ...string) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, name := range c.Nodes() {
		group.Go(func() error {
			for _, tar := range tars {
				if err := c.loadInto(ctx, name, tar); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// loadInto feeds the tar by standard input, because its path may mean something else on the node.
func (c *Cluster) loadInto(ctx context.Context, machine, tar string) error {
	file, err := os.Open(tar)
	if err != nil {
		return fmt.Errorf("open the image: %w", err)
	}
	defer file.Close()
	cmd := c.Command(ctx, machine, inBin+"/ctr", "--address="+containerdSocket, "--namespace=k8s.io",
		"images", "import", "--snapshotter="+snapshotter(c.dir), "-")
	cmd.Stdin = file
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("load %s into %s: %w\n%s", tar, machine, err, out)
	}
	return nil
}
