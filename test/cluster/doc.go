// Package cluster boots a real multi-node Kubernetes on one machine, for tests and for trying things:
// etcd, the API server, controller manager and scheduler, and on each node a kubelet, containerd with
// runc, kube-proxy and the CNI plugins. It needs Linux, root and Go, and from the internet only the Go
// module proxy. There is no container engine and no registry.
//
// # How it works
//
// Every program is built by "go build" from a pinned module (package build); the modules under components are apart, so
// that their dependencies never meet the project's. The result is kept in the user's cache folder under
// a key that covers all that could change it: the first run on a machine builds for 8 to 10 minutes
// (two processors, nothing cached), the next ones start in about 8 seconds.
//
// A machine of the cluster is a set of namespaces (package host): network, mount, process and host name. The network
// namespaces hang on a bridge in one more namespace, apptier-NAME-fab, so a cluster adds nothing to the
// machine's own network, and two clusters may use the same addresses:
//
//	cp  10.200.0.1    the control plane, runs no pods
//	n1  10.200.0.11   pods 10.244.1.0/24
//	n2  10.200.0.12   pods 10.244.2.0/24
//	services 10.96.0.0/16, DNS 10.96.0.10
//
// With IPv6, alone or as the second family, the same numbers are read as hexadecimal ones: the node n1 is
// fd00:10:200::11, its pods are in fd00:10:244:1::/64, the services in fd00:10:96::/112.
//
// The first process of each machine is cmd/node. It mounts a /run, /var/lib and /var/log of the machine's
// own, so that every program finds its usual paths, and starts and reaps the components on request over a
// Unix socket. It is all that must be killed to remove the machine: with the first process of a process
// namespace the kernel ends all others, and their mounts go with them. Control groups have one parent for
// each cluster; state is in the cache folder under clusters/NAME. Nothing else is left behind, and nothing
// is ever ended by its name.
//
// The control plane's machine inherits a listener on 127.0.0.1 that was opened outside, and forwards it to
// the API server; so the kubeconfig works in a plain shell. The API server reaches pods by their address,
// thus webhooks too.
//
// # How to use it
//
//	c, err := cluster.Up(ctx, cluster.Options{Name: "mytest"}) // or finds the one that is up
//	defer c.Down(ctx)
//	config, err := c.RESTConfig()
//	tar, err := build.ManagerImage().Write(ctx)
//	err = c.Load(ctx, tar)
//	reachable, err := c.Probe(ctx, pod, "10.244.2.7:8080", corev1.ProtocolTCP)
//	internet, err := c.Outside(netip.MustParseAddr("203.0.113.10"))
//	reachable, err = internet.Probe(ctx, "10.244.2.7:8080", corev1.ProtocolTCP)
//	err = c.Stop(ctx, "n1", cluster.Kubelet)
//	err = c.Command(ctx, "n1", "nft", "list", "tables").Run()
//
// or, from a shell, "go -C test run ./cluster/cmd/cluster up", and "down".
//
// # Limits
//
// Nothing restarts a component that ends by itself, so that tests see what they did; Up does when asked.
// Pods have no way out to the internet, only to what Outside makes, and the nodes share the machine's
// kernel: what belongs to the kernel as a whole, such as its modules, is not the nodes' own.
package cluster
