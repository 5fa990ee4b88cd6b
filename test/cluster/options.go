package cluster

import (
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
)

// DefaultName is the name of the cluster that is meant when none is given.
const DefaultName = "apptier"

// ProxyMode is how kube-proxy makes services work.
type ProxyMode string

// The modes of kube-proxy.
const (
	ProxyNFTables ProxyMode = "nftables"
	ProxyIPTables ProxyMode = "iptables"
)

// CNIKind is how pods are connected to their node.
type CNIKind string

// The kinds of pod network.
const (
	CNIPtp    CNIKind = "ptp"    // a cable from the node to each pod, so all pod traffic is routed
	CNIBridge CNIKind = "bridge" // a bridge on each node
)

// IPFamily is what addresses a cluster has.
type IPFamily string

// The families. With both, IPv4 is the primary one: that of a Service which asks for nothing.
const (
	IPv4      IPFamily = "ipv4"
	IPv6      IPFamily = "ipv6"
	DualStack IPFamily = "dual"
)

// Shape is what cannot change while a cluster is up.
type Shape struct {
	Nodes    int       `json:"nodes"`
	Proxy    ProxyMode `json:"proxy"`
	CNI      CNIKind   `json:"cni"`
	IPFamily IPFamily  `json:"ipFamily"`
}

// Options say what Up makes. The zero value is good.
type Options struct {
	Name string // DefaultName when empty
	Shape
	// Keep leaves a cluster that failed to come up as it is, for a look at it.
	Keep bool
	// Progress is told what happens; nil is silence.
	Progress io.Writer
}

// Names end up in the names of namespaces and folders, and the latter in a socket's path.
var clusterName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,22}[a-z0-9])?$`)

func checkName(name string) error {
	if !clusterName.MatchString(name) {
		return fmt.Errorf("the cluster name %q: use up to 24 lower-case letters, digits and dashes", name)
	}
	return nil
}

// complete fills in what was left open and checks the rest.
func (o *Options) complete() error {
	if o.Name == "" {
		o.Name = DefaultName
	}
	if o.Nodes == 0 {
		o.Nodes = 2
	}
	if o.Proxy == "" {
		o.Proxy = ProxyNFTables
	}
	if o.CNI == "" {
		o.CNI = CNIPtp
	}
	if o.IPFamily == "" {
		o.IPFamily = IPv4
	}
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	var errs []error
	errs = append(errs, checkName(o.Name))
	if o.Nodes < 1 || o.Nodes > maxNodes {
		errs = append(errs, fmt.Errorf("%d nodes: have between 1 and %d", o.Nodes, maxNodes))
	}
	if o.Proxy != ProxyNFTables && o.Proxy != ProxyIPTables {
		errs = append(errs, fmt.Errorf("the proxy mode %q: use %s or %s", o.Proxy, ProxyNFTables, ProxyIPTables))
	}
	if o.CNI != CNIPtp && o.CNI != CNIBridge {
		errs = append(errs, fmt.Errorf("the CNI %q: use %s or %s", o.CNI, CNIPtp, CNIBridge))
	}
	if o.IPFamily != IPv4 && o.IPFamily != IPv6 && o.IPFamily != DualStack {
		errs = append(errs, fmt.Errorf("the IP family %q: use %s, %s or %s", o.IPFamily, IPv4, IPv6, DualStack))
	}
	return errors.Join(errs...)
}

// ErrNeedsRoot says that a cluster cannot be made by this user.
var ErrNeedsRoot = errors.New("needs root: it makes network namespaces; run with sudo")

func needRoot() error {
	if os.Geteuid() != 0 {
		return ErrNeedsRoot
	}
	return nil
}
