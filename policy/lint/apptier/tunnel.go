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

// MeshTunnel reports where a mesh tunnels every port through one, which policies cannot look into.
var MeshTunnel = register(check.Check{
	ID: "mesh-tunnel", Severity: check.Note, About: check.OfAppTiers,
	Title: "A mesh that tunnels every port through one",
	Text: `The proxies of Linkerd and of Istio's ambient mesh accept connections for any TCP port on a port of their own,
which must be open between pods that may connect on any port. Policies see only this port, so a peer that may use one
port of a tier may use all. The mesh's own authorization can restrict ports.`,
})

func init() { runs[MeshTunnel] = checkTunnel }

// checkTunnel notes tiers that allow a peer only some of their TCP ports, in a mesh whose proxies accept connections for
// any port on one of their own: for policies, a peer that may use one port may use all.
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
					"the mesh carries connections to any port through TCP %d, so a peer that may use one port of tier %s may use all: "+
						"policies cannot restrict this",
					tunnel, tier.Name)
				break
			}
		}
	}
}
