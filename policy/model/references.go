package model

import (
	"cmp"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/apptier/apptier/api/v1alpha1"
)

// References are what AppTiers refer to.
type References struct {
	// AppTiers and Services are sorted, each once.
	AppTiers, Services []types.NamespacedName
	// Nodes, APIServer and ClusterDNS say whether the specs need them.
	Nodes, APIServer, ClusterDNS bool
}

// ReferencesOf collects what AppTiers refer to.
func ReferencesOf(apps ...*v1alpha1.AppTier) References {
	var r References
	for _, app := range apps {
		c := collector{app, &r}
		for rule := range Rules(&app.Spec) {
			c.collect(rule.Peers)
		}
		c.collect(app.Spec.DNS.To)
		r.ClusterDNS = r.ClusterDNS || app.Spec.DNS.Mode == v1alpha1.DNSClusterDNS || app.Spec.DNS.Mode == ""
	}
	r.AppTiers, r.Services = sortedOnce(r.AppTiers), sortedOnce(r.Services)
	return r
}

// collector collects what the peers of an AppTier refer to.
type collector struct {
	app *v1alpha1.AppTier
	to  *References
}

func (c collector) collect(peers []v1alpha1.Peer) {
	for i := range peers {
		Visit(&peers[i], c)
	}
}

func (c collector) AppTier(reference *v1alpha1.AppTierReference) (none struct{}) {
	c.to.AppTiers = append(c.to.AppTiers, Key(c.app, reference.Namespace, reference.Name))
	return none
}

func (c collector) Service(reference *v1alpha1.ServiceReference) (none struct{}) {
	c.to.Services = append(c.to.Services, Key(c.app, reference.Namespace, reference.Name))
	return none
}

func (c collector) Nodes() (none struct{}) {
	c.to.Nodes = true
	return none
}

func (c collector) KubeAPIServer() (none struct{}) {
	c.to.APIServer = true
	return none
}

func (collector) Tier(string) (none struct{})                      { return none }
func (collector) Pods(*v1alpha1.PodsPeer) (none struct{})          { return none }
func (collector) Namespaces(*metav1.LabelSelector) (none struct{}) { return none }
func (collector) Networks(*v1alpha1.NetworksPeer) (none struct{})  { return none }
func (collector) Internet() (none struct{})                        { return none }
func (collector) Everyone() (none struct{})                        { return none }
func (collector) Nobody() (none struct{})                          { return none }

// Key is the full name of what an AppTier refers to: an empty namespace is the AppTier's own.
func Key(app *v1alpha1.AppTier, namespace, name string) types.NamespacedName {
	return types.NamespacedName{Namespace: cmp.Or(namespace, app.Namespace), Name: name}
}

func sortedOnce(names []types.NamespacedName) []types.NamespacedName {
	slices.SortFunc(names, func(a, b types.NamespacedName) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return slices.Compact(names)
}
