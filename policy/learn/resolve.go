package learn

import (
	"cmp"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/apptier/apptier/policy/expand"
	"github.com/apptier/apptier/policy/kube"
	"github.com/apptier/apptier/policy/model"
)

// party is an end, looked up: a workload, or what is no pod.
type party struct {
	*workload
	is      Kind
	address netip.Addr
}

// String names the party as reports do.
func (p party) String() string {
	switch {
	case p.workload != nil:
		return p.qualified()
	case p.is != "":
		return string(p.is)
	default:
		return p.address.String()
	}
}

// same says whether two parties are one, whatever their addresses; of what has nothing else, its address.
func (p party) key() party {
	if p.workload != nil || p.is != "" {
		p.address = netip.Addr{}
	}
	return p
}

const (
	whyNoPod    = "nothing is known of this pod but its name: give its manifest, or that of its workload"
	whyNoLabels = "this workload has no label by which it can be selected"
	whyService  = "no pod is known behind this Service: give it and its workload"
	whyNothing  = "nothing says what this end is"
	whyProtocol = "AppTiers know TCP, UDP and SCTP alone"
)

// resolver looks ends up.
type resolver struct {
	in        *Input
	workloads *workloads
	owners    map[netip.Addr]party
	services  map[netip.Addr]*corev1.Service
	named     map[types.NamespacedName]*corev1.Service
	apiServer map[netip.Addr]bool
	hosts     map[netip.Addr][]string // the names of nodes
	pods      []*corev1.Pod
	podNode   map[types.NamespacedName]string
	// onNodes are pods that have their node's addresses.
	onNodes map[types.NamespacedName]bool
}

func newResolver(in *Input) *resolver {
	r := &resolver{
		in: in, workloads: newWorkloads(), owners: map[netip.Addr]party{}, services: map[netip.Addr]*corev1.Service{},
		named: map[types.NamespacedName]*corev1.Service{}, apiServer: map[netip.Addr]bool{}, hosts: map[netip.Addr][]string{},
		podNode: map[types.NamespacedName]string{}, onNodes: map[types.NamespacedName]bool{},
	}
	for _, node := range in.Nodes {
		for _, address := range expand.NodeAddresses([]*corev1.Node{node}) {
			r.hosts[address.Unmap()] = append(r.hosts[address.Unmap()], node.Name)
		}
	}
	for _, listener := range append(slices.Clone(in.Environment.APIServer.Endpoints), in.Environment.APIServer.Service) {
		for _, address := range listener.Addresses {
			r.apiServer[address.Unmap()] = true
		}
	}
	for _, service := range in.Services {
		r.named[kube.NameOf(service)] = service
		for _, text := range append([]string{service.Spec.ClusterIP}, service.Spec.ClusterIPs...) {
			if address, err := netip.ParseAddr(text); err == nil {
				r.services[address.Unmap()] = service
			}
		}
	}
	for _, pod := range in.Pods {
		if !kube.Finished(pod.Pod) {
			r.addPod(pod)
		}
	}
	return r
}

func (r *resolver) addPod(pod Pod) {
	r.podNode[kube.NameOf(pod.Pod)] = pod.Spec.NodeName
	if pod.Spec.HostNetwork {
		r.onNodes[kube.NameOf(pod.Pod)] = true
		for _, address := range kube.Addresses(pod.Pod) {
			r.hosts[address] = append(r.hosts[address], pod.Spec.NodeName)
		}
		return
	}
	r.pods = append(r.pods, pod.Pod)
	found := r.workloads.add(pod)
	for _, address := range kube.Addresses(pod.Pod) {
		r.owners[address] = party{workload: found}
	}
}

// connection is a connection with both ends looked up.
type connection struct {
	from, to party
	protocol corev1.Protocol
	port     int32
	// dns says that it is for the cluster's DNS.
	dns bool
}

// connections are those that an observation is about: one for each workload behind a Service. The reason says why it
// cannot be learned.
func (r *resolver) connections(o Observation) (out []connection, reason string) {
	c := connection{protocol: kube.Protocol(o.Protocol), port: o.Port}
	known := []corev1.Protocol{corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP}
	if !slices.Contains(known, c.protocol) || c.port < 1 || c.port > 65535 {
		return nil, whyProtocol
	}
	if c.from, reason = r.end(o.Source, o.Destination); reason != "" {
		return nil, "the source: " + reason
	}
	isPod := o.Destination.Pod != "" || o.Destination.Workload != "" || len(o.Destination.Labels) > 0
	if service := r.serviceOf(o.Destination); service != nil && !isPod {
		return r.behind(service, c)
	}
	if c.to, reason = r.end(o.Destination, o.Source); reason != "" {
		return nil, "the destination: " + reason
	}
	c.dns = r.isDNS(c.to, c, r.in.Environment.DNS.TargetPorts)
	return []connection{c}, ""
}

// serviceOf is the Service that a destination is; nil if it is none. That of the API server is the API server.
func (r *resolver) serviceOf(e End) *corev1.Service {
	service := r.services[e.Address.Unmap()]
	if service == nil && !e.Address.IsValid() {
		service = r.named[e.Service]
	}
	if service != nil && kube.NameOf(service) == kube.APIServer {
		return nil
	}
	return service
}

// behind are the connections with the workloads behind a Service, on their own ports.
func (r *resolver) behind(service *corev1.Service, c connection) ([]connection, string) {
	var out []connection
	port := c.port
	for _, p := range service.Spec.Ports {
		if p.Port != port || kube.Protocol(p.Protocol) != c.protocol {
			continue
		}
		for _, number := range kube.TargetPorts(service, p, r.pods) {
			for _, w := range r.workloads.in[service.Namespace] {
				if kube.Selects(service, &corev1.Pod{ObjectMeta: objectMeta(w)}) {
					c.to, c.port = party{workload: w}, number
					c.dns = r.isDNS(c.to, c, r.in.Environment.DNS.TargetPorts)
					out = append(out, c)
				}
			}
		}
	}
	if len(out) > 0 {
		return out, ""
	}
	dns := r.in.Environment.DNS
	c.dns = slices.ContainsFunc(dns.Addresses, func(a netip.Addr) bool { return r.services[a.Unmap()] == service }) && has(dns.ServicePorts, c)
	if c.dns {
		c.to.address = dns.Addresses[0]
		return []connection{c}, ""
	}
	return nil, "the destination: " + whyService
}

func has(ports []model.Port, c connection) bool { return hasPorts(ports, c.protocol, c.port) }

func hasPorts(ports []model.Port, protocol corev1.Protocol, number int32) bool {
	return slices.ContainsFunc(ports, func(p model.Port) bool { return kube.Protocol(p.Protocol) == protocol && p.Start == number })
}

// isDNS says whether a connection is for the cluster's DNS, which spec.dns allows.
func (r *resolver) isDNS(to party, c connection, ports []model.Port) bool {
	dns := r.in.Environment.DNS
	if to.workload != nil {
		return to.namespace == dns.Namespace && len(dns.PodSelector) > 0 && has(ports, c) &&
			labels.SelectorFromSet(dns.PodSelector).Matches(to.labels)
	}
	return (to.address == nodeLocal || slices.Contains(dns.Addresses, to.address)) && has(dns.ServicePorts, c)
}

// nodeLocal is where the cache of a node listens (https://kubernetes.io/docs/tasks/administer-cluster/nodelocaldns/).
var nodeLocal = netip.MustParseAddr("169.254.20.10")

// end looks an end up; the other one says which node is its own.
func (r *resolver) end(e, other End) (party, string) {
	address := e.Address.Unmap()
	if e.Is != "" {
		return party{is: e.Is, address: address}, ""
	}
	isOnNode := r.onNodes[types.NamespacedName{Namespace: e.Namespace, Name: e.Pod}]
	if w := r.workloads.of(e); w != nil && !isOnNode {
		if len(w.labels) == 0 {
			return party{}, whyNoLabels
		}
		return party{workload: w}, ""
	}
	if owner, found := r.owners[address]; found {
		return owner, ""
	}
	switch nodes := r.hosts[address]; {
	case r.apiServer[address] || e.Service == kube.APIServer:
		return party{is: APIServer, address: address}, ""
	case len(nodes) > 0 || isOnNode:
		own := r.podNode[types.NamespacedName{Namespace: other.Namespace, Name: other.Pod}]
		is := Nodes
		if slices.Contains(nodes, own) && own != "" {
			is = OwnNode
		}
		return party{is: is, address: address}, ""
	case e.Pod != "" || e.Workload != "":
		return party{}, whyNoPod
	case !address.IsValid():
		return party{}, cmp.Or(map[bool]string{true: whyService}[e.Service.Name != ""], whyNothing)
	default:
		return party{address: address}, ""
	}
}
