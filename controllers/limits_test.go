package controllers_test

import (
	"fmt"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apptier/apptier/api/v1alpha1"
)

// What the schema lets through at its bounds is what the API server takes as NetworkPolicies.
func TestControllerAtTheLimits(t *testing.T) {
	c := startController(t)
	long := strings.Repeat("x", 61)
	for name, make := range map[string]func(*v1alpha1.AppTierSpec){
		"64 tiers that all accept each other": func(spec *v1alpha1.AppTierSpec) {
			spec.Tiers = nil
			var everyone []v1alpha1.Peer
			for i := range 64 {
				name := fmt.Sprintf("%s%02d", long, i)
				spec.Tiers = append(spec.Tiers, v1alpha1.Tier{
					Name:        name,
					PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"tier": name}},
					Ports:       []v1alpha1.TierPort{{Port: 8080}},
				})
				everyone = append(everyone, v1alpha1.Peer{Tier: &name})
			}
			for i := range spec.Tiers {
				spec.Tiers[i].Ingress = []v1alpha1.IngressRule{{From: everyone[:32]}, {From: everyone[32:]}}
			}
		},
		"1,000 ranges of both families, and as many exceptions": func(spec *v1alpha1.AppTierSpec) {
			networks := &v1alpha1.NetworksPeer{}
			for i := range 500 {
				networks.CIDRs = append(networks.CIDRs, fmt.Sprintf("11.%d.%d.0/24", i/256, i%256), fmt.Sprintf("2001:db8:%x::/48", i))
				networks.Except = append(networks.Except, fmt.Sprintf("11.%d.%d.128/25", i/256, i%256), fmt.Sprintf("2001:db8:%x:1::/64", i))
			}
			spec.Tiers[0].Egress = []v1alpha1.EgressRule{{To: []v1alpha1.Peer{{Networks: networks}}, AllPorts: true}}
		},
		"overlapping tiers": func(spec *v1alpha1.AppTierSpec) {
			spec.Tiers[1].PodSelector = metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "tier", Operator: metav1.LabelSelectorOpExists}}}
		},
		"a mesh, and DNS servers of both families": func(spec *v1alpha1.AppTierSpec) {
			spec.Mesh = &v1alpha1.Mesh{Provider: v1alpha1.Istio, DataPlane: v1alpha1.Ambient}
			spec.DNS = v1alpha1.DNS{Mode: v1alpha1.DNSCustom, To: []v1alpha1.Peer{{Networks: &v1alpha1.NetworksPeer{CIDRs: []string{"9.9.9.9/32", "2620:fe::fe/128"}}}}}
			spec.Tiers[0].Ports = []v1alpha1.TierPort{{Name: strings.Repeat("p", 15), Port: 65535, Protocol: corev1.ProtocolSCTP}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := cluster{Client: c.Client, WithT: NewWithT(t)}
			ctx := t.Context()
			app := shop(c.newNamespace(ctx))
			app.Name = long + "zz"
			make(&app.Spec)
			c.Expect(c.Create(ctx, app)).To(Succeed())
			c.becomes(ctx, app, metav1.ConditionTrue)
			c.Expect(c.policies(ctx, app.Namespace)).To(HaveLen(len(app.Spec.Tiers)))
		})
	}
}
