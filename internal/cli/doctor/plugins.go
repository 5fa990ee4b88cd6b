package doctor

import (
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/yaml"
)

// path says whether packets of pods pass the hook of the kernel where the enforcer judges them.
type path int

const (
	seen path = iota
	untested
	unseen
)

// answer is yes, no or not known.
type answer int

const (
	no answer = iota
	yes
	perhaps
)

// plugin is a network plugin, or a part of one, that is known by its DaemonSet: docs/networks.md has them all.
type plugin struct {
	name       string
	daemonSets []string
	// group is of its API, which is served, or left over, where DaemonSets may not be read.
	group string
	path  path
	// why is what is to be known of its path.
	why string
	// enforces tells whether it enforces NetworkPolicies by itself.
	enforces func(*Facts, appsv1.DaemonSet) answer
}

func always(is answer) func(*Facts, appsv1.DaemonSet) answer {
	return func(*Facts, appsv1.DaemonSet) answer { return is }
}

// plugins are those that are known.
var plugins = []plugin{
	{name: "Calico", daemonSets: []string{"calico-node", "canal", "rke2-canal"}, group: "crd.projectcalico.org", enforces: always(yes)},
	{name: "Cilium", daemonSets: []string{"cilium", "anetd"}, group: "cilium.io", path: unseen,
		why: "eBPF programs take packets past the rules", enforces: ciliumEnforces},
	{name: "Antrea", daemonSets: []string{"antrea-agent"}, group: "crd.antrea.io", path: unseen,
		why: "Open vSwitch takes packets past the rules", enforces: always(yes)},
	{name: "OVN-Kubernetes", daemonSets: []string{"ovnkube-node"}, group: "k8s.ovn.org", path: unseen,
		why: "Open vSwitch takes packets past the rules", enforces: always(yes)},
	{name: "Kube-OVN", daemonSets: []string{"kube-ovn-cni"}, group: "kubeovn.io", path: unseen,
		why: "Open vSwitch takes packets past the rules", enforces: always(yes)},
	{name: "kube-router", daemonSets: []string{"kube-router"}, enforces: func(_ *Facts, set appsv1.DaemonSet) answer {
		return unless(told(set, "--run-firewall=false"), yes)
	}},
	{name: "kube-network-policies", daemonSets: []string{"kube-network-policies"}, enforces: always(yes)},
	{name: "kindnet", daemonSets: []string{"kindnet"}, enforces: always(perhaps)}, // from kind 0.24 on
	{name: "Weave Net", daemonSets: []string{"weave-net"}, path: untested, why: "nobody has tried its bridge",
		enforces: func(_ *Facts, set appsv1.DaemonSet) answer { return unless(!hasContainer(set, "weave-npc"), yes) }},
	{name: "flannel", daemonSets: []string{"kube-flannel-ds", "kube-flannel"}, enforces: always(no)},
	{name: "AWS VPC CNI", daemonSets: []string{"aws-node"}, enforces: func(_ *Facts, set appsv1.DaemonSet) answer {
		return unless(!told(set, "--enable-network-policy=true"), yes)
	}},
	{name: "Azure NPM", daemonSets: []string{"azure-npm"}, path: untested, why: "nobody has tried Azure's network plugin",
		enforces: always(yes)},
	{name: "Multus", daemonSets: []string{"kube-multus-ds", "multus"}, path: untested,
		why: "what pods send by second interfaces is not judged", enforces: always(no)},
}

func unless(not bool, is answer) answer {
	if not {
		return no
	}
	return is
}

// told tells whether a container has an argument.
func told(set appsv1.DaemonSet, argument string) bool {
	for _, c := range set.Spec.Template.Spec.Containers {
		if slices.Contains(slices.Concat(c.Command, c.Args), argument) {
			return true
		}
	}
	return false
}

func hasContainer(set appsv1.DaemonSet, name string) bool {
	for _, c := range set.Spec.Template.Spec.Containers {
		if c.Name == name {
			return true
		}
	}
	return false
}

// ciliumEnforces: its ConfigMap may turn policies off.
func ciliumEnforces(f *Facts, set appsv1.DaemonSet) answer {
	if f.ConfigMaps.Unread != "" {
		return perhaps
	}
	for _, m := range f.ConfigMaps.Items {
		if m.Namespace == set.Namespace && m.Name == "cilium-config" && m.Data["enable-policy"] == "never" {
			return no
		}
	}
	return yes
}

// running is a plugin of a cluster.
type running struct {
	plugin
	set appsv1.DaemonSet
}

func (r running) object() string { return "DaemonSet " + r.set.Namespace + "/" + r.set.Name }

// found are the plugins that run.
func (f *Facts) found() []running {
	var out []running
	for _, p := range plugins {
		for _, set := range f.DaemonSets.Items {
			if slices.Contains(p.daemonSets, set.Name) {
				out = append(out, running{p, set})
			}
		}
	}
	return out
}

// traces are the plugins whose API is served, which may be left over.
func (f *Facts) traces() []string {
	var out []string
	for _, p := range plugins {
		if p.group != "" && slices.Contains(f.Groups.Items, p.group) {
			out = append(out, p.name)
		}
	}
	return out
}

// k3s tells whether nodes are k3s's, which has kube-router's controller of policies inside.
func (f *Facts) k3s() bool {
	for _, n := range f.Nodes.Items {
		if strings.Contains(n.Status.NodeInfo.KubeletVersion, "+k3s") {
			return true
		}
	}
	return false
}

// proxiesByIPVS tells whether kube-proxy is configured to.
func (f *Facts) proxiesByIPVS() bool {
	for _, m := range f.ConfigMaps.Items {
		if m.Name != "kube-proxy" {
			continue
		}
		var config struct {
			Mode string `json:"mode"`
		}
		if err := yaml.Unmarshal([]byte(m.Data["config.conf"]), &config); err == nil && config.Mode == "ipvs" {
			return true
		}
	}
	return false
}
