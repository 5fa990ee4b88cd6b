package lint_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/lint/netpol"
	"github.com/apptier/apptier/policy/lint/world"
)

// mutation is a mistake that people make, and the check that finds it.
type mutation struct {
	name  string
	check check.ID
	make  func(*drawn)
}

// some returns a component, with one after it.
func (d *drawn) some() (c, next *component) {
	i := d.IntN(len(d.components) - 1)
	return &d.components[i], &d.components[i+1]
}

// eachDNS changes every rule for DNS; one that is not to be kept is removed.
func (d *drawn) eachDNS(change func(*networkingv1.NetworkPolicyEgressRule) bool) {
	for _, policy := range d.world.Policies {
		kept := policy.Spec.Egress[:0]
		for _, rule := range policy.Spec.Egress {
			isDNS := len(rule.Ports) > 0 && rule.Ports[0].Port != nil && rule.Ports[0].Port.IntVal == 53
			if !isDNS || change(&rule) {
				kept = append(kept, rule)
			}
		}
		policy.Spec.Egress = kept
	}
}

// ingressOf returns the rule of c that lets another component in.
func ingressOf(c *component) *networkingv1.NetworkPolicyIngressRule { return &c.policy.Spec.Ingress[0] }

var mutations = []mutation{
	{"DNS is forgotten", netpol.DNSMissing, func(d *drawn) {
		d.eachDNS(func(*networkingv1.NetworkPolicyEgressRule) bool { return false })
	}},
	{"DNS goes to pods that are none of it", netpol.DNSMissing, func(d *drawn) {
		d.eachDNS(func(rule *networkingv1.NetworkPolicyEgressRule) bool {
			rule.To[0].PodSelector = selector("k8s-app", "coredns")
			return true
		})
	}},
	{"DNS over UDP only", netpol.DNSUDPOnly, func(d *drawn) {
		d.eachDNS(func(rule *networkingv1.NetworkPolicyEgressRule) bool { rule.Ports = rule.Ports[:1]; return true })
	}},
	{"DNS peer as two items", netpol.DNSPeerOr, func(d *drawn) {
		d.eachDNS(func(rule *networkingv1.NetworkPolicyEgressRule) bool {
			pods := rule.To[0].PodSelector
			rule.To[0].PodSelector = nil
			rule.To = append(rule.To, networkingv1.NetworkPolicyPeer{PodSelector: pods})
			return true
		})
	}},
	{"peer as two items", netpol.PeerOr, func(d *drawn) {
		c, _ := d.some()
		rule := &c.policy.Spec.Ingress[len(c.policy.Spec.Ingress)-1]
		rule.From = append(rule.From, networkingv1.NetworkPolicyPeer{PodSelector: rule.From[0].PodSelector})
		rule.From[0].PodSelector = nil
	}},
	{"namespace by the label name", netpol.NamespaceLabelName, func(d *drawn) {
		d.eachDNS(func(rule *networkingv1.NetworkPolicyEgressRule) bool {
			rule.To[0].NamespaceSelector = selector("name", "kube-system")
			return true
		})
	}},
	{"an empty rule", netpol.RuleAllowsEveryone, func(d *drawn) {
		c, _ := d.some()
		c.policy.Spec.Ingress = append(c.policy.Spec.Ingress, networkingv1.NetworkPolicyIngressRule{})
	}},
	{"from: []", netpol.RuleAllowsEveryone, func(d *drawn) {
		c, _ := d.some()
		c.policy.Spec.Ingress[d.IntN(len(c.policy.Spec.Ingress))].From = []networkingv1.NetworkPolicyPeer{}
	}},
	{"to: []", netpol.RuleAllowsEveryone, func(d *drawn) {
		c, _ := d.some()
		c.policy.Spec.Egress = append(c.policy.Spec.Egress, networkingv1.NetworkPolicyEgressRule{To: []networkingv1.NetworkPolicyPeer{}})
	}},
	{"rules under an undeclared type", netpol.DeadRules, func(d *drawn) {
		c, _ := d.some()
		c.policy.Spec.PolicyTypes = c.policy.Spec.PolicyTypes[d.IntN(2):][:1]
	}},
	{"policyTypes left out, egress meant", netpol.PolicyTypesOmitted, func(d *drawn) {
		c, _ := d.some()
		c.policy.Spec.PolicyTypes, c.policy.Spec.Ingress = nil, nil
	}},
	{"egress left empty and believed denied", netpol.PolicyTypesOmitted, func(d *drawn) {
		c, _ := d.some()
		c.policy.Spec.PolicyTypes, c.policy.Spec.Egress = nil, []networkingv1.NetworkPolicyEgressRule{}
	}},
	{"a typo in podSelector", netpol.SelectsNothing, func(d *drawn) {
		c, _ := d.some()
		c.policy.Spec.PodSelector = *selector("app", d.typo(c.name))
	}},
	{"a typo in a peer", netpol.PeerSelectsNothing, func(d *drawn) {
		c, next := d.some()
		if d.IntN(2) == 0 {
			c.policy.Spec.Egress[len(c.policy.Spec.Egress)-1].To[0].PodSelector = selector("app", d.typo(next.name))
		}
		ingressOf(next).From[0].PodSelector = selector("app", d.typo(c.name))
	}},
	{"a namespace that does not exist", netpol.PeerSelectsNothing, func(d *drawn) {
		c, _ := d.some()
		rule := &c.policy.Spec.Ingress[len(c.policy.Spec.Ingress)-1]
		rule.From[0].NamespaceSelector = selector("purpose", d.typo("monitoring"))
	}},
	{"a Service's port, at the receiver", netpol.ServicePort, func(d *drawn) {
		_, next := d.some()
		ingressOf(next).Ports = ports(next.service)
	}},
	{"a Service's port, at the sender", netpol.ServicePort, func(d *drawn) {
		c, next := d.some()
		for i := range c.policy.Spec.Egress {
			if to := c.policy.Spec.Egress[i].To[0].PodSelector; to != nil && to.MatchLabels["app"] == next.name {
				c.policy.Spec.Egress[i].Ports = ports(next.service)
			}
		}
	}},
	{"a port name that nobody has", netpol.NamedPortUnresolved, func(d *drawn) {
		_, next := d.some()
		ingressOf(next).Ports[0].Port = ptr.To(intstr.FromString("htpp"))
	}},
	{"a peer on its node's network", netpol.HostNetwork, func(d *drawn) {
		for _, pod := range d.world.Pods {
			pod.Spec.HostNetwork = pod.Spec.HostNetwork || pod.Name == "prometheus"
		}
	}},
	{"the receiver does not let the sender in", netpol.HalfOpen, func(d *drawn) {
		_, next := d.some()
		next.policy.Spec.Ingress = next.policy.Spec.Ingress[1:]
	}},
	{"the sender may not reach the receiver", netpol.HalfOpen, func(d *drawn) {
		c, next := d.some()
		c.policy.Spec.Egress = slices.DeleteFunc(c.policy.Spec.Egress, func(rule networkingv1.NetworkPolicyEgressRule) bool {
			return rule.To[0].PodSelector != nil && rule.To[0].PodSelector.MatchLabels["app"] == next.name
		})
	}},
	{"halves on different ports", netpol.HalfOpen, func(d *drawn) {
		_, next := d.some()
		ingressOf(next).Ports = ports(next.port + 1000)
	}},
	{"the internet with private ranges left in", netpol.PrivateRangesIncomplete, func(d *drawn) {
		block := d.components[0].policy.Spec.Ingress[0].From[d.IntN(2)].IPBlock
		i := d.IntN(len(block.Except))
		block.Except = slices.Delete(block.Except, i, i+1)
	}},
	{"the metadata service left in", netpol.MetadataAddress, func(d *drawn) {
		last := d.components[len(d.components)-1].policy
		for i := range last.Spec.Egress {
			if block := last.Spec.Egress[i].To[0].IPBlock; block != nil {
				block.Except, last.Spec.Egress[i].Ports = nil, nil
			}
		}
	}},
	{"the health check's port is forgotten", netpol.HealthCheckUnreachable, func(d *drawn) {
		rule := &d.components[0].policy.Spec.Ingress[0]
		i := d.IntN(2)
		rule.Ports = slices.Delete(rule.Ports, i, i+1)
	}},
	{"a port beside every port", netpol.ExcludesNobody, func(d *drawn) {
		rule := &d.components[1].policy.Spec.Ingress[0]
		rule.Ports = append(rule.Ports, networkingv1.NetworkPolicyPort{Protocol: ptr.To(corev1.ProtocolTCP)})
	}},
	{"a rule for every port beside one for some", netpol.ExcludesNobody, func(d *drawn) {
		policy := d.components[1].policy
		open := *policy.Spec.Ingress[0].DeepCopy()
		open.Ports = nil
		policy.Spec.Ingress = append(policy.Spec.Ingress, open)
	}},
	{"everyone beside all but some", netpol.ExcludesNobody, func(d *drawn) {
		c, _ := d.some()
		not := metav1.LabelSelectorRequirement{Key: "purpose", Operator: metav1.LabelSelectorOpNotIn, Values: []string{"testing"}}
		from := []networkingv1.NetworkPolicyPeer{
			{NamespaceSelector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{not}}},
			{NamespaceSelector: &metav1.LabelSelector{}},
		}
		c.policy.Spec.Ingress = append(c.policy.Spec.Ingress, networkingv1.NetworkPolicyIngressRule{From: from, Ports: ports(c.port)})
	}},
	{"a range beside all of it but some", netpol.ExcludesNobody, func(d *drawn) {
		last := d.components[len(d.components)-1].policy
		last.Spec.Egress = append(last.Spec.Egress, networkingv1.NetworkPolicyEgressRule{
			To: []networkingv1.NetworkPolicyPeer{{IPBlock: &networkingv1.IPBlock{CIDR: "0.0.0.0/0"}}}, Ports: ports(443),
		})
	}},
	{"a port's name towards addresses", netpol.NamedPortUnresolved, func(d *drawn) {
		last := d.components[len(d.components)-1].policy
		for i := range last.Spec.Egress {
			if last.Spec.Egress[i].To[0].IPBlock != nil {
				last.Spec.Egress[i].Ports[0].Port = ptr.To(intstr.FromString("https"))
			}
		}
	}},
	{"the API server is shut out of a webhook", netpol.APIServerUnreachable, func(d *drawn) {
		_, next := d.some()
		d.world.Backends = append(d.world.Backends, world.Backend{
			By: "ValidatingWebhookConfiguration orders", Service: types.NamespacedName{Namespace: namespace, Name: next.name}, Port: next.service,
		})
	}},
	{"port 53, where DNS listens on another", netpol.DNSPort, func(d *drawn) {
		for _, pod := range d.world.Pods {
			if pod.Namespace == "kube-system" {
				pod.Spec.Containers[0].Ports[0].ContainerPort = 5353
			}
		}
		for _, service := range d.world.Services {
			if service.Namespace == "kube-system" {
				service.Spec.Ports[0].TargetPort = intstr.FromInt32(5353)
			}
		}
	}},
	{"the same policy twice", netpol.Redundant, func(d *drawn) {
		c, _ := d.some()
		d.add("twin", &c.policy.Spec.PodSelector).Spec = *c.policy.Spec.DeepCopy()
	}},
	{"a policy opens an AppTier's tier", netpol.Widens, func(d *drawn) {
		everyPod := networkingv1.NetworkPolicyPeer{PodSelector: &metav1.LabelSelector{}}
		peers := [][]networkingv1.NetworkPolicyPeer{
			{everyPod}, {{NamespaceSelector: &metav1.LabelSelector{}}}, {{PodSelector: selector("app", "frontend")}}, {{IPBlock: &networkingv1.IPBlock{CIDR: "10.0.0.0/8"}}}, nil,
		}
		subjects := []*metav1.LabelSelector{selector("tier", "vault"), {}, {MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "tier", Operator: metav1.LabelSelectorOpExists}}}}
		policy := d.add("opens", subjects[d.IntN(len(subjects))], networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress)
		if d.IntN(2) == 0 {
			policy.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{From: peers[d.IntN(len(peers))], Ports: ports(7000)}}
		} else {
			policy.Spec.Egress = []networkingv1.NetworkPolicyEgressRule{{To: peers[d.IntN(len(peers))], Ports: ports(7000)}}
		}
	}},
	{"a range written as an address", netpol.Invalid, func(d *drawn) {
		d.components[0].policy.Spec.Ingress[0].From[0].IPBlock.CIDR = "203.0.113.7"
	}},
	{"a range of ports backwards", netpol.Invalid, func(d *drawn) {
		rule := &d.components[0].policy.Spec.Ingress[0]
		rule.Ports[0].EndPort = ptr.To(rule.Ports[0].Port.IntVal - 1)
	}},
	{"a label that cannot be", netpol.Invalid, func(d *drawn) {
		c, _ := d.some()
		c.policy.Spec.PodSelector.MatchLabels["app"] = "not a label"
	}},
}

// Mistakes injected at random places into clean sets: the sets are clean without, and nearly every
// mistake is found by the check that is meant to.
func TestMutations(t *testing.T) {
	for seed := range uint64(rounds) {
		if findings := drawSet(seed).findings(); len(findings) > 0 {
			t.Fatalf("set %d is not clean: %v", seed, findings)
		}
	}
	var made []mistake
	for _, m := range mutations {
		made = append(made, mistake{m.name, m.check, func(seed uint64) []check.Finding {
			d := drawSet(seed)
			m.make(d)
			return d.findings()
		}})
	}
	wantMostFound(t, made)
}

// mistake is made in a set, and which check is meant to find it.
type mistake struct {
	name     string
	check    check.ID
	findings func(seed uint64) []check.Finding
}

// rounds is how many sets each mistake is made in.
const rounds = 10

// wantMostFound prints how many of the mistakes were found.
func wantMostFound(t *testing.T, made []mistake) {
	t.Helper()
	var table strings.Builder
	found, all := 0, 0
	for _, m := range made {
		n := 0
		for seed := range uint64(rounds) {
			findings := m.findings(seed)
			if slices.ContainsFunc(findings, func(f check.Finding) bool { return f.Check == m.check }) {
				n++
			} else {
				t.Logf("%s, set %d: missed: %v", m.name, seed, findings)
			}
		}
		fmt.Fprintf(&table, "%-42s %-26s %3d of %d\n", m.name, m.check, n, rounds)
		found, all = found+n, all+rounds
		if n*2 < rounds { // a check that does not look there at all
			t.Errorf("%s: %s finds it in %d of %d sets", m.name, m.check, n, rounds)
		}
	}
	t.Logf("\n%s%d of %d found", table.String(), found, all)
	if found*100 < all*95 {
		t.Errorf("found %d of %d, want 95 %%", found, all)
	}
}
