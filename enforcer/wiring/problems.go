package wiring

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/apptier/apptier/enforcer/bind"
	"github.com/apptier/apptier/enforcer/health"
	"github.com/apptier/apptier/enforcer/links"
)

// Why packets on this node are not judged, or not by who sends them.
const (
	// bridgeUnseen: the kernel shows the rules nothing of what passes between the pods of a bridge.
	bridgeUnseen health.Reason = "BridgeUnseen"
	// ipvs: kube-proxy sends what is for services past the hook that forwards.
	ipvs health.Reason = "ProxiedByIPVS"
	// podElsewhere: no link of this node leads to a pod of it.
	podElsewhere health.Reason = "PodOffTheNode"
	// redirected: programs of eBPF take packets from pods' links.
	redirected health.Reason = "RedirectedByEBPF"
	// portUnbound: it is not known which port of a bridge is a pod's.
	portUnbound health.Reason = "PortUnbound"
	// notBound: addresses are not bound, by configuration.
	notBound health.Reason = "AddressesNotBound"
)

// settles is how long a pod may have no link: it has just come, or is on its way out.
const settles = 30 * time.Second

// state is what was seen of the node's wiring.
type state struct {
	bridged bool // pods are on bridges
	ipvs    bool
	ebpf    string
	// elsewhere are pods that no link leads to, and unbound those whose port is not known, by name, since when.
	elsewhere, unbound map[string]time.Time
}

// note remembers what was seen, for Problems.
func (n *Node) note(all []links.Link, pods []bind.Pod, now time.Time) {
	n.mu.Lock()
	before := n.state
	n.mu.Unlock()
	after := state{elsewhere: map[string]time.Time{}, unbound: map[string]time.Time{}}
	for _, l := range all {
		switch {
		case l.Name == "kube-ipvs0": // pkg/proxy/ipvs of Kubernetes: a dummy link with all services' addresses
			after.ipvs = true
		case l.Name == "cilium_host": // pkg/defaults of Cilium
			after.ebpf = "Cilium (its link " + l.Name + ")"
		case l.Kind == "netkit": // a link for pods whose packets eBPF programs forward
			after.ebpf = "programs of links of the kind netkit (" + l.Name + ")"
		}
	}
	bound := map[string]bool{}
	for _, b := range n.bound {
		bound[b.Pod] = true
	}
	fine := make(map[string]netip.Addr, len(pods))
	for _, p := range pods {
		switch kind := n.reached(p, bound[p.Name]); {
		case kind == vethKind && len(p.Addresses) > 0:
			fine[p.Name] = p.Addresses[0]
		case kind == bridgeKind:
			after.unbound[p.Name] = since(before.unbound, p.Name, now)
		case kind != vethKind:
			after.elsewhere[p.Name] = since(before.elsewhere, p.Name, now)
		}
	}
	after.bridged = len(n.found.Bridges) > 0 || len(after.unbound) > 0
	n.fine = fine
	n.mu.Lock()
	defer n.mu.Unlock()
	n.state = after
}

func since(before map[string]time.Time, name string, now time.Time) time.Time {
	if t, ok := before[name]; ok {
		return t
	}
	return now
}

// reached returns the kind of the link that leads to a pod; vethKind when all is well with it. Where the route
// leads out of the node, its kind does not matter.
func (n *Node) reached(p bind.Pod, bound bool) string {
	if bound || len(p.Addresses) == 0 || n.fine[p.Name] == p.Addresses[0] {
		return vethKind
	}
	l, found, err := n.Links.Toward(p.Addresses[0])
	if err != nil || !found || slices.Contains(n.found.Uplinks, l.Name) {
		return ""
	}
	return l.Kind
}

// settled says whether nothing is expected to change by itself.
func (s state) settled() bool { return len(s.elsewhere) == 0 && len(s.unbound) == 0 }

// Problems is a health.Report's check.
func (n *Node) Problems(now time.Time) []health.Problem {
	n.mu.Lock()
	s := n.state
	n.mu.Unlock()
	var out []health.Problem
	add := func(severity health.Severity, reason health.Reason, format string, args ...any) {
		out = append(out, health.Problem{Reason: reason, Severity: severity, Message: fmt.Sprintf(format, args...)})
	}
	if s.bridged {
		if unseen := n.unseen(); len(unseen) > 0 {
			add(health.NotReady, bridgeUnseen, "pods are on a bridge, and nothing that passes between them is filtered: "+
				"load the module br_netfilter and set %s (sysctl)", strings.Join(unseen, " and "))
		}
	}
	if n.Off && !n.Observed {
		add(health.Warning, notBound, "pods may send from addresses that are not their own: the enforcer runs with --bind-addresses=false")
	}
	if s.ipvs {
		add(health.NotReady, ipvs, "kube-proxy is in the mode ipvs, which sends pods' packets to services past the rules: use its mode nftables or iptables")
	}
	if s.ebpf != "" {
		add(health.NotReady, redirected, "%s may send pods' packets past the rules: leave the enforcer out where the network plugin enforces policies by itself", s.ebpf)
	}
	if names := lasting(s.elsewhere, now); names != "" {
		add(health.NotReady, podElsewhere, "no veth of this node leads to the pods %s (macvlan, ipvlan, SR-IOV or a link of another kind): "+
			"nothing that passes between them and others is filtered here", names)
	}
	if names := lasting(s.unbound, now); names != "" && !n.Off {
		add(health.Warning, portUnbound, "it is not known by which ports of bridges the pods %s send: other pods of these bridges cannot reach them, nor they others", names)
	}
	return out
}

// lasting names the ones that have lasted long enough; at most a few.
func lasting(since map[string]time.Time, now time.Time) string {
	var names []string
	for name, t := range since {
		if now.Sub(t) >= settles {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	const most = 5
	if len(names) > most {
		return fmt.Sprintf("%s and %d others", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}

// bridgeSettings are what br_netfilter must be told so that it shows the rules what bridges pass on: see
// https://docs.kernel.org/networking/ip-sysctl.html, /proc/sys/net/bridge.
var bridgeSettings = []string{"bridge-nf-call-iptables", "bridge-nf-call-ip6tables"}

// unseen returns the settings that hide what bridges pass on, as they should be.
func (n *Node) unseen() []string {
	var out []string
	for _, name := range bridgeSettings {
		if value, err := n.setting("net/bridge/" + name); err != nil || value != "1" {
			out = append(out, "net.bridge."+name+"=1")
		}
	}
	return out
}

func (n *Node) setting(name string) (string, error) {
	read := n.ReadFile
	if read == nil {
		read = os.ReadFile
	}
	value, err := read("/proc/sys/" + name)
	return strings.TrimSpace(string(value)), err
}
