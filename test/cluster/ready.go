package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apptier/apptier/test/cluster/host"
)

const containerdSocket = "/run/containerd/containerd.sock"

// Await waits until a component that was started answers. Those that have nothing to ask need only run.
func (c *Cluster) Await(ctx context.Context, machine, component string) error {
	return c.await(ctx, machine, component, func(ctx context.Context) error {
		switch component {
		case Etcd:
			return c.get(ctx, machine, "http://"+etcdAddress+"/health")
		case APIServer:
			return c.ready(ctx)
		case Containerd:
			return c.reachable(machine, containerdSocket)
		case Kubelet:
			return c.get(ctx, machine, "http://127.0.0.1:10248/healthz")
		case KubeProxy:
			return c.get(ctx, machine, "http://127.0.0.1:10256/healthz")
		}
		return nil
	})
}

// await waits until a component answers, and gives up at once when it has died.
func (c *Cluster) await(ctx context.Context, machine, component string, ask func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	return host.PollUntil(ctx, componentTimeout, "wait for "+component, func(ctx context.Context) error {
		err := ask(ctx)
		if err != nil && c.died(ctx, machine, component) {
			cancel(fmt.Errorf("%s died:\n%s", component, c.logTail(machine, component)))
		}
		return err
	})
}

func (c *Cluster) died(ctx context.Context, machine, component string) bool {
	processes, err := c.processes(ctx, machine)
	if err != nil {
		return false
	}
	for _, p := range processes {
		if p.Name == component {
			return !p.Running
		}
	}
	return true
}

// get asks for a page in a machine's network and wants it to be good.
func (c *Cluster) get(ctx context.Context, machine, url string) error {
	transport := &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			return c.Dial(ctx, machine, network, address)
		},
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, response.Status)
	}
	return nil
}

// ready asks the API server whether it is.
func (c *Cluster) ready(ctx context.Context) error {
	clients, err := c.clientset()
	if err != nil {
		return err
	}
	return clients.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
}

// reachable tells whether someone listens on a socket of a machine. The path goes by the machine's root,
// which is too long for a socket's address, hence by way of a descriptor.
func (c *Cluster) reachable(machine, socket string) error {
	dir, err := os.Open(filepath.Join("/proc", strconv.Itoa(c.state.Inits[machine].PID), "root", filepath.Dir(socket)))
	if err != nil {
		return err
	}
	defer dir.Close()
	conn, err := net.Dial("unix", fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(socket)))
	if err != nil {
		return err
	}
	return conn.Close()
}

// awaitNode waits until a node says that it can run pods.
func (c *Cluster) awaitNode(ctx context.Context, name string) error {
	clients, err := c.clientset()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	return host.PollUntil(ctx, nodeTimeout, "wait for the node "+name, func(ctx context.Context) error {
		for _, component := range []string{Kubelet, KubeProxy} {
			if c.died(ctx, name, component) {
				cancel(fmt.Errorf("%s died:\n%s", component, c.logTail(name, component)))
			}
		}
		node, err := clients.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		for _, condition := range node.Status.Conditions {
			if condition.Type == corev1.NodeReady {
				if condition.Status == corev1.ConditionTrue {
					return nil
				}
				return errors.New(condition.Message)
			}
		}
		return errors.New("no word from its kubelet")
	})
}
