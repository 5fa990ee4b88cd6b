package cluster

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/apptier/apptier/test/cluster/build"
	"github.com/apptier/apptier/test/cluster/host"
)

// How long to wait for things that take a few seconds on an idle machine.
const (
	componentTimeout = 90 * time.Second
	nodeTimeout      = 120 * time.Second
)

// create makes the cluster from nothing. Its state is on disk before anything else exists.
func (c *Cluster) create(ctx context.Context, o Options) error {
	began := time.Now()
	say := func(format string, args ...any) {
		fmt.Fprintf(o.Progress, "%5.1fs  %s\n", time.Since(began).Seconds(), fmt.Sprintf(format, args...))
	}
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return err
	}
	if err := c.state.write(c.dir); err != nil {
		return err
	}
	if err := wire(c.state.Name, o.Shape); err != nil {
		return err
	}
	if err := c.startMachines(ctx); err != nil {
		return err
	}
	say("network and %d machines made", len(c.machines()))
	return c.boot(ctx, say)
}

// startMachines opens the API server's port on this machine, then prepares and starts every machine.
func (c *Cluster) startMachines(ctx context.Context) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("open a port for the API server: %w", err)
	}
	defer listener.Close()
	c.state.Server = "https://" + listener.Addr().String()
	ca, err := newAuthority("apptier-" + c.state.Name)
	if err != nil {
		return err
	}
	if err := ca.kubeconfig(c.Kubeconfig(), "apptier-"+c.state.Name, c.state.Server, "admin", "system:masters"); err != nil {
		return err
	}
	file, err := listener.(*net.TCPListener).File()
	if err != nil {
		return err
	}
	defer file.Close()
	if err := prepareControlPlane(c.machineDir(controlPlane), c.state.Shape.plan(), ca); err != nil {
		return fmt.Errorf("prepare the control plane: %w", err)
	}
	for i, name := range c.Nodes() {
		if err := prepareNode(c.machineDir(name), i+1, c.state.Shape, ca); err != nil {
			return fmt.Errorf("prepare %s: %w", name, err)
		}
		if err := host.MakeCgroups(c.state.Name, name); err != nil {
			return err
		}
	}
	for _, machine := range c.machines() {
		var forward *os.File
		if machine == controlPlane {
			forward = file
		}
		if err := c.startInit(ctx, machine, forward); err != nil {
			return fmt.Errorf("start %s: %w", machine, err)
		}
	}
	return nil
}

// boot starts the components, each as soon as what it needs is there.
func (c *Cluster) boot(ctx context.Context, say func(string, ...any)) error {
	group, ctx := errgroup.WithContext(ctx)
	serving := make(chan struct{})
	group.Go(func() error {
		if err := c.bootControlPlane(ctx); err != nil {
			return err
		}
		say("API server ready at %s", c.state.Server)
		close(serving)
		if err := c.launch(ctx, controlPlane, controllerManagerSpec()); err != nil {
			return err
		}
		if err := c.launch(ctx, controlPlane, schedulerSpec()); err != nil {
			return err
		}
		if err := c.applyDNS(ctx); err != nil {
			return err
		}
		return c.addServiceAccount(ctx)
	})
	for i, name := range c.Nodes() {
		group.Go(func() error {
			if err := c.bootNode(ctx, i+1, serving); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			say("%s ready", name)
			return nil
		})
	}
	return group.Wait()
}

func (c *Cluster) bootControlPlane(ctx context.Context) error {
	if err := c.launch(ctx, controlPlane, etcdSpec()); err != nil {
		return err
	}
	if err := c.Await(ctx, controlPlane, Etcd); err != nil {
		return err
	}
	if err := c.launch(ctx, controlPlane, apiServerSpec(c.state.Shape.plan())); err != nil {
		return err
	}
	return c.Await(ctx, controlPlane, APIServer)
}

// bootNode loads the small images before the kubelet starts, since no pod runs without them, and the
// large one after, while the kubelet is busy with itself.
func (c *Cluster) bootNode(ctx context.Context, i int, serving <-chan struct{}) error {
	name := node(i)
	if err := c.launch(ctx, name, containerdSpec()); err != nil {
		return err
	}
	if err := c.Await(ctx, name, Containerd); err != nil {
		return err
	}
	programs := build.Programs{Bin: c.state.Bin, Init: c.state.Init}
	if err := c.loadInto(ctx, name, programs.PauseTar()); err != nil {
		return err
	}
	select {
	case <-serving:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if err := c.register(ctx, i); err != nil {
		return err
	}
	if err := c.launch(ctx, name, kubeletSpec(i, c.state.Shape.plan())); err != nil {
		return err
	}
	if err := c.launch(ctx, name, kubeProxySpec(i, c.state.Shape)); err != nil {
		return err
	}
	for _, tar := range []string{programs.DNSTar(), programs.AgnhostTar()} {
		if err := c.loadInto(ctx, name, tar); err != nil {
			return err
		}
	}
	return c.awaitNode(ctx, name)
}

// bootOrder is the order in which components need each other.
var bootOrder = []string{Etcd, APIServer, ControllerManager, Scheduler, Containerd, Kubelet, KubeProxy}

// restart starts what has stopped in a cluster whose machines run, and waits until it is whole.
func (c *Cluster) restart(ctx context.Context) error {
	for _, machine := range c.machines() {
		if err := c.restartMachine(ctx, machine); err != nil {
			return err
		}
	}
	for _, name := range c.Nodes() {
		if err := c.awaitNode(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cluster) restartMachine(ctx context.Context, machine string) error {
	processes, err := c.processes(ctx, machine)
	if err != nil {
		return err
	}
	for _, component := range bootOrder {
		for _, p := range processes {
			if p.Name != component {
				continue
			}
			if err := c.Start(ctx, machine, component); err != nil {
				return err
			}
			if err := c.Await(ctx, machine, component); err != nil {
				return err
			}
		}
	}
	return nil
}

// machineDir is a machine's state folder.
func (c *Cluster) machineDir(machine string) string { return filepath.Join(c.dir, machine) }

// LogFile is where a component of a machine writes what it has to say. The machine's own init is "init".
func (c *Cluster) LogFile(machine, component string) string {
	return filepath.Join(c.machineDir(machine), "log", component+".log")
}

// logTail is the end of a component's log, for errors.
func (c *Cluster) logTail(machine, component string) string {
	const most = 3000
	file, err := os.Open(c.LogFile(machine, component))
	if err != nil {
		return "(no log)"
	}
	defer file.Close()
	if info, err := file.Stat(); err == nil && info.Size() > most {
		_, _ = file.Seek(-most, io.SeekEnd)
	}
	tail, _ := io.ReadAll(file)
	return string(tail)
}
