package doctor

import (
	"fmt"
	"strings"
	"time"
)

const leaveOut = "leave the enforcer out (the component config/components/no-enforcer, or the chart's value enforcer.enabled=false), " +
	"or have pods connected by a plugin of " + documentsNetworks

// network tells whether the enforcer sees what pods send. Nodes tell by Events too: see health.
func network(f *Facts, _ time.Time) []Finding {
	if out := unread(checkNetwork, f.DaemonSets.Unread); out != nil {
		if traces := f.traces(); len(traces) > 0 {
			out[0].Message += fmt.Sprintf("; the API of %s is served", strings.Join(traces, " and of "))
		}
		return out
	}
	if len(f.enforcers()) == 0 {
		return nil // whatever the plugin is, it enforces by itself, or nothing does
	}
	var out []Finding
	var fine []string
	for _, r := range f.found() {
		finding := Finding{Check: checkNetwork, Objects: []string{r.object()}, Message: r.name + ": " + r.why}
		switch r.path {
		case seen:
			fine = append(fine, r.name)
			continue
		case untested:
			finding.Status = Warn
			finding.Fix = "compare the rules of nodes with the policies: kubectl exec -n apptier-enforcer POD -- /enforcer dump " +
				"--prove; see " + documentsNetworks
		default:
			finding.Status, finding.Fix = Fail, leaveOut
		}
		out = append(out, finding)
	}
	if f.proxiesByIPVS() {
		out = append(out, Finding{Check: checkNetwork, Status: Fail, Objects: names("ConfigMap", []string{"kube-system/kube-proxy"}),
			Message: "kube-proxy is in the mode ipvs, which sends pods' packets to Services past the rules",
			Fix:     "set its mode to nftables or iptables, and restart it on every node"})
	}
	out = append(out, unread(checkNetwork, f.ConfigMaps.Unread)...)
	switch {
	case len(out) > 0:
		return out
	case len(fine) == 0:
		return []Finding{{Check: checkNetwork, Status: Unknown, Message: "no DaemonSet of a network plugin that is known here: whether " +
			"the enforcer sees pods' packets is not known",
			Fix: "see what the plugin connects pods by in " + documentsNetworks + "; nodes where the enforcer sees that it cannot judge " +
				"write Events, which the check " + checkHealth + " reads"}}
	}
	return pass(checkNetwork, "%s: the enforcer sees what pods send", strings.Join(fine, " and "))
}

// enforcersAtOnce tells whether exactly one thing enforces NetworkPolicies.
func enforcersAtOnce(f *Facts, _ time.Time) []Finding {
	if out := unread(checkEnforcers, f.DaemonSets.Unread); out != nil {
		return out
	}
	var sure, unsure, objects []string
	for _, set := range f.enforcers() {
		sure, objects = append(sure, "apptier's enforcer"), append(objects, "DaemonSet "+set.Namespace+"/"+set.Name)
	}
	known := false
	for _, r := range f.found() {
		is := r.enforces(f, r.set)
		known = known || r.name != "Multus"
		switch is {
		case yes:
			sure, objects = append(sure, r.name), append(objects, r.object())
		case perhaps:
			unsure, objects = append(unsure, r.name), append(objects, r.object())
		default:
		}
	}
	if f.k3s() {
		unsure = append(unsure, "k3s")
	}
	finding := Finding{Check: checkEnforcers, Objects: objects}
	switch {
	case len(sure) > 1:
		finding.Status = Warn
		finding.Message = strings.Join(sure, " and ") + " enforce NetworkPolicies at once: a connection must pass all of them, and each " +
			"denies by its own reading"
		finding.Fix = "keep one: leave apptier's enforcer out (config/components/no-enforcer), or turn the plugin's policies off"
	case len(sure) == 1 && len(unsure) == 0:
		finding.Status, finding.Message = Pass, sure[0]+" enforces NetworkPolicies, and nothing else that is known here does"
	case len(unsure) > 0:
		finding.Status = Unknown
		finding.Message = "whether " + strings.Join(unsure, " and ") + " enforces NetworkPolicies depends on its version and flags"
		if len(sure) > 0 {
			finding.Message += "; " + sure[0] + " does"
		}
		finding.Fix = "keep one: k3s has --disable-network-policy, kindnet of kind 0.24 or later enforces, Cilium's ConfigMap may say " +
			"enable-policy: never"
	case known:
		finding.Status, finding.Message = Fail, "nothing that is known here enforces NetworkPolicies: AppTiers are written, and "+
			"everything passes"
		finding.Fix = "install apptier's enforcer, or a network plugin that enforces: " + documentsNetworks
	default:
		finding.Status, finding.Message = Unknown, "no network plugin that is known here: whether it enforces NetworkPolicies is not known"
		finding.Fix = "see the plugin's documentation, or install apptier's enforcer: " + documentsNetworks
	}
	// Whether nodes are k3s's they say themselves.
	out := unread(checkEnforcers, f.Nodes.Unread)
	if len(out) > 0 && finding.Status == Pass {
		return out
	}
	return append([]Finding{finding}, out...)
}
