package lint

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/expand"
	"github.com/apptier/apptier/policy/kube"
	"github.com/apptier/apptier/policy/model"
	"github.com/apptier/apptier/policy/space"
)

// checkTunnel notes tiers that let somebody in on some of their TCP ports, in a mesh whose proxies take
// connections for any port on one of their own: to policies, whoever may use one port may use all.
func checkTunnel(r *report, app *v1alpha1.AppTier) {
	tunnel := expand.Tunnel(app.Spec.Mesh)
	if tunnel == 0 {
		return
	}
	for i := range app.Spec.Tiers {
		tier := &app.Spec.Tiers[i]
		for rule := range model.Rules(&app.Spec) {
			if rule.Direction != v1alpha1.Ingress || !rule.Restricts(&app.Spec, tier) || rule.AllPorts || len(rule.Ports) == 0 {
				continue
			}
			opened, _ := space.RulePorts(rule.PortsOf(tier).OfPolicy())
			if slices.ContainsFunc(tier.Ports, func(p v1alpha1.TierPort) bool {
				return kube.Protocol(p.Protocol) == corev1.ProtocolTCP && !opened.Contains(space.PortOf(corev1.ProtocolTCP, p.Port))
			}) {
				r.add(MeshTunnel, Note, field.NewPath("spec", "mesh"), "restrict ports with the mesh's own authorization policies",
					"the mesh carries connections to any port through TCP %d, which is open to whoever tier %s lets in on one: policies cannot keep them from its other ports", tunnel, tier.Name)
				break
			}
		}
	}
}
