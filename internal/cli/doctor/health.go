package doctor

import (
	"cmp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// What enforcers write about nodes: enforcer/health.
const (
	recovered   = "Enforcing"
	prefix      = "apptier's enforcer: "
	notReady    = "not ready: "
	warning     = "warning: "
	notEnforced = "NotEnforced" // about policies: enforcer/agent
	// lasting is how long an Event counts after it was last written: what lasts is told again every 20 minutes.
	lasting = 25 * time.Minute
)

// fixes are what to do about each reason of enforcer/health, beside what its message says.
var fixes = map[string]string{
	"AddressesNotBound": "run the enforcer without --bind-addresses=false",
	"BridgeUnseen": "on the node: modprobe br_netfilter && sysctl -w net.bridge.bridge-nf-call-iptables=1 " +
		"net.bridge.bridge-nf-call-ip6tables=1; and the same in /etc/modules-load.d and /etc/sysctl.d",
	"ChangesWait":        "kubectl logs -n apptier-enforcer POD: it says why the kernel refuses the rules",
	"ConnectionsNotRead": "kubectl logs -n apptier-enforcer POD: it says why; packets are filtered all the same, and denied shows nothing of the node",
	"KernelLacks": "load the module, or run a kernel that has what the message names: " +
		"" + documentsNetworks + "#what-the-kernel-must-have",
	"MarkShared": "give the enforcer bits of marks that nobody else uses, by --ct-mark-mask: " +
		"" + documentsNetworks + "#who-else-uses-connections-marks",
	"NodeMissing":       "restart the kubelet of the node, which makes its object again",
	"NotStamped":        "kubectl logs -n apptier-enforcer POD: every packet is judged until old marks are cleared",
	"NotSynced":         "kubectl logs -n apptier-enforcer POD: it says what the first sync waits for",
	"NotWatched":        "see whether the node reaches the API server: kubectl logs -n apptier-enforcer POD",
	"PassedByFlowTable": "remove the rules that name the flow tables: nft list ruleset",
	"PodOffTheNode":     "connect these pods by veth, or leave the enforcer out: " + documentsNetworks,
	"PortUnbound":       "see what the bridge learns: bridge fdb show; pods must use the addresses that they were given",
	"ProxiedByIPVS":     "set kube-proxy's mode to nftables or iptables, and restart it on the node",
	"RangesMismatch":    "let the container runtime announce pods (NRI), or set spec.podCIDRs to what the plugin gives addresses from",
	"RedirectedByEBPF":  leaveOut,
}

// health tells what enforcers say of their nodes.
func health(f *Facts, now time.Time) []Finding {
	if f.DaemonSets.Unread == "" && len(f.enforcers()) == 0 {
		return nil
	}
	if out := unread(checkHealth, f.Events.Unread); out != nil {
		return out
	}
	type problem struct{ reason, message string }
	well := map[string]time.Time{} // since when nothing was wrong on a node
	on := map[problem][]string{}
	for _, e := range f.Events.Items {
		if node := e.InvolvedObject.Name; isAbout(e, "Node") && e.Reason == recovered && lastOf(e).After(well[node]) {
			well[node] = lastOf(e)
		}
	}
	for _, e := range f.Events.Items {
		at, node := lastOf(e), e.InvolvedObject.Name
		if !isAbout(e, "Node") || e.Reason == recovered || !at.After(well[node]) || now.Sub(at) > lasting {
			continue
		}
		p := problem{e.Reason, strings.TrimPrefix(e.Message, prefix)}
		on[p] = append(on[p], node)
	}
	var out []Finding
	for p, where := range on {
		slices.Sort(where)
		status, message := Fail, strings.TrimPrefix(p.message, notReady)
		if strings.HasPrefix(p.message, warning) {
			status, message = Warn, strings.TrimPrefix(p.message, warning)
		}
		out = append(out, Finding{Check: checkHealth, Status: status, Objects: names("Node", slices.Compact(where)),
			Message: p.reason + ": " + message,
			Fix:     cmp.Or(fixes[p.reason], "kubectl logs -n apptier-enforcer POD")})
	}
	slices.SortFunc(out, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Status, b.Status), cmp.Compare(a.Message, b.Message))
	})
	if len(out) > 0 {
		return out
	}
	return pass(checkHealth, "no enforcer says that something is wrong on its node")
}

// policies tells which policies enforcers cannot enforce. Each is told once, and forgotten after an hour.
func policies(f *Facts, _ time.Time) []Finding {
	if f.DaemonSets.Unread == "" && len(f.enforcers()) == 0 {
		return nil
	}
	if out := unread(checkPolicies, f.Events.Unread); out != nil {
		return out
	}
	var out []Finding
	for _, e := range f.Events.Items {
		if e.Reason == notEnforced && !isAbout(e, "Node") {
			out = append(out, Finding{Check: checkPolicies, Status: Warn, Message: e.Message,
				Objects: []string{e.InvolvedObject.Kind + " " + e.InvolvedObject.Namespace + "/" + e.InvolvedObject.Name},
				Fix:     "kubectl apptier lint --cluster, and " + documentation + "limits.md"})
		}
	}
	slices.SortFunc(out, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Objects[0], b.Objects[0]), cmp.Compare(a.Message, b.Message))
	})
	if len(out) > 0 {
		return slices.CompactFunc(out, func(a, b Finding) bool { return a.Objects[0] == b.Objects[0] && a.Message == b.Message })
	}
	return pass(checkPolicies, "within the last hour no enforcer said that it cannot enforce a policy")
}

func isAbout(e corev1.Event, kind string) bool { return e.InvolvedObject.Kind == kind }

// lastOf is when an Event was last seen: those of series say it there.
func lastOf(e corev1.Event) time.Time {
	last := e.LastTimestamp.Time
	for _, t := range []time.Time{e.EventTime.Time, e.CreationTimestamp.Time} {
		if t.After(last) {
			last = t
		}
	}
	if e.Series != nil && e.Series.LastObservedTime.After(last) {
		last = e.Series.LastObservedTime.Time
	}
	return last
}
