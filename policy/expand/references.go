package expand

import (
	"cmp"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/apptier/apptier/api/v1alpha1"
)

// References are what an AppTier refers to: what has to be in its Environment.
type References struct {
	// AppTiers and Services are sorted, each once.
	AppTiers, Services []types.NamespacedName
	// Nodes, APIServer and ClusterDNS say whether the spec needs them.
	Nodes, APIServer, ClusterDNS bool
}

// ReferencesOf collects what AppTiers refer to.
func ReferencesOf(apps ...*v1alpha1.AppTier) References {
	var r References
	for _, app := range apps {
		r.collect(app)
	}
	r.AppTiers, r.Services = sortedOnce(r.AppTiers), sortedOnce(r.Services)
	return r
}

func (r *References) collect(app *v1alpha1.AppTier) {
	for i := range app.Spec.Tiers {
		for _, rule := range ingressRules(app, i) {
			r.visit(app, rule.rule.From)
		}
		for _, rule := range egressRules(app, i) {
			r.visit(app, rule.rule.To)
		}
	}
	r.visit(app, app.Spec.DNS.To)
	r.ClusterDNS = r.ClusterDNS || app.Spec.DNS.Mode == v1alpha1.DNSClusterDNS || app.Spec.DNS.Mode == ""
}

func (r *References) visit(app *v1alpha1.AppTier, peers []v1alpha1.Peer) {
	for _, peer := range peers {
		switch {
		case peer.AppTier != nil:
			r.AppTiers = append(r.AppTiers, types.NamespacedName{Namespace: namespaceOf(peer.AppTier.Namespace, app), Name: peer.AppTier.Name})
		case peer.Service != nil:
			r.Services = append(r.Services, types.NamespacedName{Namespace: namespaceOf(peer.Service.Namespace, app), Name: peer.Service.Name})
		case peer.Nodes != nil:
			r.Nodes = true
		case peer.KubeAPIServer != nil:
			r.APIServer = true
		}
	}
}

func sortedOnce(names []types.NamespacedName) []types.NamespacedName {
	slices.SortFunc(names, func(a, b types.NamespacedName) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return slices.Compact(names)
}
