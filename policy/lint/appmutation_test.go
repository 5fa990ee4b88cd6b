package lint_test

import (
	"slices"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/lint"
	"github.com/apptier/apptier/policy/lint/apptier"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/lint/netpol"
)

// appMutation is a mistake that people make in AppTiers, and the check that finds it.
type appMutation struct {
	name  string
	check check.ID
	make  func(*drawnApp)
}

var appMutations = []appMutation{
	{"a tier's label is forgotten", apptier.TierOverlap, func(d *drawnApp) { tier, _ := d.two(); delete(tier.PodSelector.MatchLabels, "tier") }},
	{"a selector is copied", apptier.TierOverlap, func(d *drawnApp) { tier, next := d.two(); next.PodSelector = tier.PodSelector }},
	{"a pod has the labels of two tiers", apptier.TierOverlap, func(d *drawnApp) {
		tier, next := d.two()
		next.PodSelector = *selector("role", "worker")
		d.podOf(tier).Labels["role"] = "worker"
	}},
	{"another AppTier has the tier too", apptier.TierOverlap, func(d *drawnApp) {
		tier, _ := d.two()
		d.beside(v1alpha1.AppTierSpec{Tiers: []v1alpha1.Tier{{Name: "mine", PodSelector: *tier.PodSelector.DeepCopy()}}})
	}},
	{"a typo in a tier's name", apptier.UnknownReference, func(d *drawnApp) {
		tier, next := d.two()
		typo := d.typo(tier.Name)
		next.Ingress[0].From[0].Tier = &typo
	}},
	{"a typo in a port's name", apptier.UnknownReference, func(d *drawnApp) {
		_, next := d.two()
		next.Ingress[0].Ports = []v1alpha1.RulePort{{Port: intstr.FromString("htpp")}}
	}},
	{"a typo in an AppTier's name", apptier.UnknownReference, func(d *drawnApp) { at := d.reference(); at.Name = d.typo(at.Name) }},
	{"a typo in another AppTier's tier", apptier.UnknownReference, func(d *drawnApp) { at := d.reference(); at.Tier = d.typo(at.Tier) }},
	{"the AppTier's namespace is forgotten", apptier.UnknownReference, func(d *drawnApp) { d.reference().Namespace = "" }},
	{"a typo in a Service's name", apptier.UnknownReference, func(d *drawnApp) { at := d.serviceReference(); at.Name = d.typo(at.Name) }},
	{"the Service's namespace is forgotten", apptier.UnknownReference, func(d *drawnApp) { d.serviceReference().Namespace = "" }},
	{"the other owner has not agreed", apptier.PeerNotAccepted, func(d *drawnApp) { d.partner.Spec.Tiers[0].Ingress = nil }},
	{"the other owner agreed to another tier", apptier.PeerNotAccepted, func(d *drawnApp) {
		d.partner.Spec.Tiers[0].Ingress[0].From[0].AppTier.Tier = d.last().Name + "s"
	}},
	{"the other owner agreed on other ports", apptier.PeerNotAccepted, func(d *drawnApp) { d.app.Spec.Tiers[1].Egress[0].Ports = numbered(7001) }},
	{"egress to everyone", apptier.WorldEgress, func(d *drawnApp) { tier, _ := d.two(); d.reaching(tier, everyone()) }},
	{"egress to 0.0.0.0/0", apptier.WorldEgress, func(d *drawnApp) { tier, _ := d.two(); d.reaching(tier, networks("0.0.0.0/0")) }},
	{"egress to ::/0", apptier.WorldEgress, func(d *drawnApp) { tier, _ := d.two(); d.reaching(tier, networks("198.51.100.0/24", "::/0")) }},
	{"egress to two halves of everything", apptier.WorldEgress, func(d *drawnApp) {
		tier, _ := d.two()
		d.reaching(tier, networks("0.0.0.0/1", "128.0.0.0/1"))
	}},
	{"no DNS", apptier.DNSNoneWithEgress, func(d *drawnApp) { d.app.Spec.DNS.Mode = v1alpha1.DNSNone }},
	{"a tier has its Service's port", netpol.ServicePort, func(d *drawnApp) { _, next := d.two(); next.Ports[0].Port = 80 }},
	{"a rule has the Service's port", netpol.ServicePort, func(d *drawnApp) { _, next := d.two(); next.Ingress[0].Ports = numbered(80) }},
	{"egress has the Service's port", netpol.ServicePort, func(d *drawnApp) {
		rules := d.last().Egress
		rules[len(rules)-1].Ports = numbered(80)
	}},
	{"a typo in a tier's selector", netpol.SelectsNothing, func(d *drawnApp) {
		tier, _ := d.two()
		tier.PodSelector.MatchLabels["tier"] = d.typo(tier.Name)
	}},
	{"a pod in an ambient mesh", apptier.ProbeUnreachable, func(d *drawnApp) {
		_, next := d.two()
		d.podOf(next).Labels["istio.io/dataplane-mode"] = "ambient"
	}},
	{"a namespace in an ambient mesh", apptier.ProbeUnreachable, func(d *drawnApp) {
		d.world.Namespaces[0].Labels = map[string]string{"istio.io/dataplane-mode": "ambient"}
	}},
	{"a tier on its nodes' network", netpol.HostNetwork, func(d *drawnApp) { tier, _ := d.two(); d.podOf(tier).Spec.HostNetwork = true }},
	{"a peer on its node's network", netpol.HostNetwork, func(d *drawnApp) {
		d.world.Pods[d.IntN(2)].Spec.HostNetwork = true // prometheus, or admin
	}},
	{"a typo in a peer", netpol.PeerSelectsNothing, func(d *drawnApp) {
		d.last().Ingress[1].From[0].Pods.PodSelector = *selector("app", d.typo("admin"))
	}},
	{"a typo in a peer's namespace", netpol.PeerSelectsNothing, func(d *drawnApp) {
		d.app.Spec.EveryTier.Ingress[0].From[0].Pods.NamespaceSelector = selector("purpose", d.typo("monitoring"))
	}},
	{"a Service without pods", netpol.PeerSelectsNothing, func(d *drawnApp) {
		d.world.Services[len(d.world.Services)-1].Spec.Selector = map[string]string{"app": d.typo("books")}
	}},
	{"a Service without a selector", netpol.PeerSelectsNothing, func(d *drawnApp) {
		d.world.Services[len(d.world.Services)-1].Spec.Selector = nil
	}},
	{"namespaces by the label name", netpol.NamespaceLabelName, func(d *drawnApp) {
		d.last().Ingress = append(d.last().Ingress, v1alpha1.IngressRule{From: []v1alpha1.Peer{{Namespaces: selector("name", "monitoring")}}})
	}},
	{"a peer as two items", netpol.PeerOr, func(d *drawnApp) {
		d.app.Spec.EveryTier.Ingress[0].From = []v1alpha1.Peer{
			{Namespaces: selector("purpose", "monitoring")}, {Pods: &v1alpha1.PodsPeer{PodSelector: *selector("app", "prometheus")}},
		}
	}},
	{"the load balancer is forgotten", netpol.HealthCheckUnreachable, func(d *drawnApp) {
		d.app.Spec.Tiers[0].Ingress[0].From = []v1alpha1.Peer{{Pods: &v1alpha1.PodsPeer{PodSelector: *selector("app", "admin")}}}
	}},
	{"the health check's port is forgotten", netpol.HealthCheckUnreachable, func(d *drawnApp) {
		first := &d.app.Spec.Tiers[0]
		i := d.IntN(2)
		first.Ports = slices.Delete(first.Ports, i, i+1)
	}},
	{"a perimeter around isolated tiers", apptier.SameNamespaceConflict, func(d *drawnApp) { d.app.Spec.Isolation = perimeter().Isolation }},
	{"an AppTier beside a perimeter", apptier.SameNamespaceConflict, func(d *drawnApp) { d.beside(perimeter()) }},
	{"an empty selector", apptier.EmptySelector, func(d *drawnApp) { tier, _ := d.two(); tier.PodSelector.MatchLabels = nil }},
	{"declared at the sender", apptier.DeclaredAtReceiver, func(d *drawnApp) { tier, next := d.two(); d.reaching(tier, v1alpha1.Peer{Tier: &next.Name}) }},
	{"declared ports are forgotten", apptier.PortsMissing, func(d *drawnApp) {
		_, next := d.two()
		next.Ports, next.Ingress[0].Ports = nil, nil
	}},
	{"egress without ports", apptier.PortsMissing, func(d *drawnApp) { d.last().Egress[0].Ports = nil }},
	{"two tiers of one name", apptier.Duplicate, func(d *drawnApp) { tier, next := d.two(); next.Name = tier.Name }},
	{"rules of a direction that is open", netpol.DeadRules, func(d *drawnApp) { d.last().Isolate = []v1alpha1.Direction{v1alpha1.Ingress} }},
	{"a range written as an address", netpol.Invalid, func(d *drawnApp) { d.last().Egress[0].To[0].Networks.CIDRs[0] = "203.0.113.7" }},
	{"bits beyond the prefix", netpol.Invalid, func(d *drawnApp) { d.last().Egress[0].To[0].Networks.CIDRs[0] = "203.0.113.7/24" }},
	{"two kinds in one peer", netpol.Invalid, func(d *drawnApp) { d.last().Egress[0].To[0].Internet = &v1alpha1.InternetPeer{} }},
	{"a range of ports backwards", netpol.Invalid, func(d *drawnApp) { tier, _ := d.two(); tier.Ports[0].EndPort = backwards() }},
	{"a label that cannot be", netpol.Invalid, func(d *drawnApp) { tier, _ := d.two(); tier.PodSelector.MatchLabels["tier"] = "not a label" }},
	{"who is let in may not connect", netpol.HalfOpen, func(d *drawnApp) { d.add("admin", selector("app", "admin"), networkingv1.PolicyTypeEgress) }},
	{"all but some beside all", netpol.ExcludesNobody, func(d *drawnApp) {
		some := selector("purpose", "monitoring")
		some.MatchExpressions = []metav1.LabelSelectorRequirement{{Key: "team", Operator: metav1.LabelSelectorOpNotIn, Values: []string{"red"}}}
		from := []v1alpha1.Peer{{Namespaces: some}, {Namespaces: selector("purpose", "monitoring")}}
		d.last().Ingress = append(d.last().Ingress, v1alpha1.IngressRule{From: from})
	}},
	{"nobody to let in", netpol.Invalid, func(d *drawnApp) { _, next := d.two(); next.Ingress[0].From = nil }},
}

// reference is the peer that is another AppTier's tier.
func (d *drawnApp) reference() *v1alpha1.AppTierReference {
	return d.app.Spec.Tiers[1].Egress[0].To[0].AppTier
}

// serviceReference is the peer that is a Service.
func (d *drawnApp) serviceReference() *v1alpha1.ServiceReference {
	rules := d.last().Egress
	return rules[len(rules)-1].To[0].Service
}

// Mistakes injected at random places into clean AppTiers: they are clean without, and nearly every
// mistake is found by the check that is meant to.
func TestMutationsOfAppTiers(t *testing.T) {
	for seed := range uint64(rounds) {
		d := drawApp(seed)
		for _, app := range d.world.AppTiers {
			if findings := lint.AppTierIn(app, d.world); len(findings) > 0 {
				t.Fatalf("AppTier %s of set %d is not clean: %v", app.Name, seed, findings)
			}
		}
	}
	var made []mistake
	for _, m := range appMutations {
		made = append(made, mistake{m.name, m.check, func(seed uint64) []check.Finding {
			d := drawApp(seed)
			m.make(d)
			return lint.AppTierIn(d.app, d.world)
		}})
	}
	wantMostFound(t, made)
}
