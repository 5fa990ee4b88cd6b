package webhooks

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/lint/world"
	"github.com/apptier/apptier/policy/model"
)

// around are the lists that judging an AppTier needs beside the prepared index: all AppTiers and Services, to
// recognise a mistyped name, and the pods of the namespaces that matter.
func (c *Cluster) around(app *v1alpha1.AppTier) world.World {
	w := world.World{
		Whole: true, Known: world.Parts{Namespaces: true, AppTiers: true, Pods: true, Services: true, Policies: true},
		AppTiers: typed[*v1alpha1.AppTier](c.appTiers.List()),
	}
	wanted := map[string]bool{app.Namespace: true}
	references := model.ReferencesOf(app)
	if len(references.Services) > 0 {
		w.Services = typed[*corev1.Service](c.services.List())
	}
	for _, service := range references.Services {
		wanted[service.Namespace] = true
	}
	for namespace := range wanted {
		w.Pods = append(w.Pods, c.pods.in(namespace)...)
	}
	return w
}
