package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/apptier/apptier/test/cluster/host"
	"github.com/apptier/apptier/test/cluster/internal/control"
)

// stopGrace is how long a component may take to end by itself.
const stopGrace = 10 * time.Second

// startInit starts a machine: its first process, in namespaces of its own. The network namespace is the
// one that wire made.
func (c *Cluster) startInit(ctx context.Context, machine string, forward *os.File) error {
	dir := c.machineDir(machine)
	for _, sub := range []string{"lib", "log"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return err
		}
	}
	log, err := os.Create(c.LogFile(machine, "init"))
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(filepath.Join(c.state.Init, "node"), "init", dir, c.state.Bin, machine)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	if machine != controlPlane {
		cmd.Env = append(cmd.Env, "NODE_CGROUP="+host.CgroupRoot(c.state.Name, machine))
	}
	if forward != nil {
		cmd.ExtraFiles, cmd.Env = []*os.File{forward}, append(cmd.Env, "NODE_FORWARD=1")
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setsid:     true,
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWUTS,
	}
	if err := host.InNetns(host.NetnsName(c.state.Name, machine), cmd.Start); err != nil {
		return fmt.Errorf("start the init: %w", err)
	}
	// Collected when it dies while this program runs; afterwards that falls to the machine's own init.
	go func() { _ = cmd.Wait() }()
	if err := c.record(machine, cmd.Process.Pid); err != nil {
		return errors.Join(err, cmd.Process.Kill())
	}
	return c.awaitInit(ctx, machine)
}

func (c *Cluster) record(machine string, pid int) error {
	p, err := host.Identify(pid)
	if err != nil {
		return fmt.Errorf("identify the init: %w\n%s", err, c.logTail(machine, "init"))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state.Inits[machine] = p
	return c.state.write(c.dir)
}

func (c *Cluster) awaitInit(ctx context.Context, machine string) error {
	return host.Poll(ctx, func() (bool, error) {
		if _, err := c.processes(ctx, machine); err == nil {
			return true, nil
		}
		if !c.state.Inits[machine].Alive() {
			return false, fmt.Errorf("the init died:\n%s", c.logTail(machine, "init"))
		}
		return false, nil
	})
}

func (c *Cluster) call(ctx context.Context, machine string, request control.Request) ([]control.Process, error) {
	if !slices.Contains(c.machines(), machine) {
		return nil, fmt.Errorf("no machine %q in the cluster %s; there are: %s", machine, c.state.Name, strings.Join(c.machines(), ", "))
	}
	processes, err := control.Call(ctx, filepath.Join(c.machineDir(machine), control.Socket), request)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", machine, err)
	}
	return processes, nil
}

func (c *Cluster) processes(ctx context.Context, machine string) ([]control.Process, error) {
	return c.call(ctx, machine, control.Request{Op: control.List})
}

func (c *Cluster) launch(ctx context.Context, machine string, s control.Spec) error {
	_, err := c.call(ctx, machine, control.Request{Op: control.Start, Spec: s})
	return err
}

// Start starts a component that was stopped, as it was started before; one that runs is left alone. It
// waits for nothing, see Await.
func (c *Cluster) Start(ctx context.Context, machine, component string) error {
	return c.launch(ctx, machine, control.Spec{Name: component})
}

// Stop ends a component and waits until it has ended. Pods live on without the kubelet and containerd.
func (c *Cluster) Stop(ctx context.Context, machine, component string) error {
	request := control.Request{Op: control.Stop, Spec: control.Spec{Name: component}, Grace: stopGrace}
	_, err := c.call(ctx, machine, request)
	return err
}

// Signal sends a component a signal: SIGKILL for a crash, SIGSTOP for a hang.
func (c *Cluster) Signal(ctx context.Context, machine, component string, signal syscall.Signal) error {
	request := control.Request{Op: control.Signal, Spec: control.Spec{Name: component}, Signal: int(signal)}
	_, err := c.call(ctx, machine, request)
	return err
}

// Component is the state of one component.
type Component struct {
	Machine string    `json:"machine"`
	Name    string    `json:"name"`
	Running bool      `json:"running"`
	Exit    string    `json:"exit,omitempty"` // how it ended, in words
	Since   time.Time `json:"since"`          // when it started, or when it ended
	Log     string    `json:"log"`
}

// Components lists the components of every machine.
func (c *Cluster) Components(ctx context.Context) ([]Component, error) {
	var all []Component
	for _, machine := range c.machines() {
		processes, err := c.processes(ctx, machine)
		if err != nil {
			return nil, err
		}
		for _, p := range processes {
			all = append(all, Component{Machine: machine, Name: p.Name, Running: p.Running, Exit: p.Exit,
				Since: p.Since, Log: c.LogFile(machine, p.Name)})
		}
	}
	return all, nil
}

// Command prepares a program to run in all of a machine's namespaces, for instance "nft list tables".
// The caller runs it; it ends with its context.
func (c *Cluster) Command(ctx context.Context, machine string, argv ...string) *exec.Cmd {
	pid := strconv.Itoa(c.state.Inits[machine].PID)
	cmd := exec.CommandContext(ctx, filepath.Join(c.state.Init, "node"), append([]string{"enter", pid}, argv...)...)
	// Asked rather than killed, so that it takes the program in the machine with it.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopGrace
	return cmd
}

// InNode runs a function in a machine's network namespace: sockets that it opens, and netlink, are the
// machine's. The rest of the program stays where it is.
func (c *Cluster) InNode(machine string, run func() error) error {
	return host.InNetns(host.NetnsName(c.state.Name, machine), run)
}

// Dial connects to an address as a machine would.
func (c *Cluster) Dial(ctx context.Context, machine, network, address string) (conn net.Conn, err error) {
	err = c.InNode(machine, func() error {
		conn, err = (&net.Dialer{}).DialContext(ctx, network, address)
		return err
	})
	return conn, err
}
