package apptier

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/connset"
	"github.com/apptier/apptier/policy/expand"
	"github.com/apptier/apptier/policy/kube"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/model"
)

// MeshTunnel is found where a mesh carries any port through one, which policies cannot look into.
var MeshTunnel = register(check.Check{
	ID: "mesh-tunnel", Severity: check.Note, About: check.OfAppTiers,
	Title: "A mesh that carries any port through one",
	Text: `The proxies of Linkerd and of Istio's ambient mesh take connections for any TCP port on a port of their own,
which has to be open between pods that may talk at all. Policies see this port alone, so who may use one port of a tier
may use all of them. The mesh's own authorization can tell ports apart.`,
})

func init() { runs[MeshTunnel] = checkTunnel }

// checkTunnel notes tiers that let somebody in on some of their TCP ports, in a mesh whose proxies take
// connections for any port on one of their own: to policies, whoever may use one port may use all.
func checkTunnel(r *check.Report, in *appView) {
	app := in.App
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
			opened, _ := connset.RulePorts(rule.PortsOf(tier).OfPolicy())
			if slices.ContainsFunc(tier.Ports, func(p v1alpha1.TierPort) bool {
				return kube.Protocol(p.Protocol) == corev1.ProtocolTCP && !opened.Contains(connset.PortOf(corev1.ProtocolTCP, p.Port))
			}) {
				r.Find(MeshTunnel, field.NewPath("spec", "mesh"), "restrict ports with the mesh's own authorization policies",
					"the mesh carries connections to any port through TCP %d, which is open to whoever tier %s lets in on one: "+
						"policies cannot keep them from its other ports",
					tunnel, tier.Name)
				break
			}
		}
	}
}
