package netpol

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/lint/words"
)

// NamespaceLabelName reports where a namespace is selected by a label that nothing sets.
var NamespaceLabelName = register(check.Check{
	ID: "namespace-label-name", Severity: check.Warn, About: check.OfBoth,
	Title: "A namespace selected by the label name",
	Text: `Nothing sets a label ` + "`name`" + ` on namespaces. The API server sets ` + "`kubernetes.io/metadata.name`" + ` on every one. If the
namespace is not known, a person may have set the label, and the finding is a note.`,
})

// checkNamespaceLabel finds selectors for a label "name", which nothing sets automatically: namespaces
// have kubernetes.io/metadata.name
// (https://kubernetes.io/docs/reference/labels-annotations-taints/#kubernetes-io-metadata-name).
func checkNamespaceLabel(r *check.Report, v *view, at func(string) *field.Path, selector *metav1.LabelSelector) bool {
	if selector == nil || v.HasNameLabel { // someone does set it
		return false
	}
	for _, wanted := range words.Wanted(selector) {
		key, value := wanted[0], wanted[1]
		if key != "name" {
			continue
		}
		path, fix := at("namespaceSelector"), "write "+corev1.LabelMetadataName+": "+value
		if v.KnowsNamespaces() || v.At(value).Exists {
			r.Find(NamespaceLabelName, path, fix, "nothing sets the label name automatically, so this matches no namespace")
		} else {
			r.Add(NamespaceLabelName, check.Note, path, fix,
				"nothing sets the label name automatically; it is not known whether somebody did by hand")
		}
		return true
	}
	return false
}
