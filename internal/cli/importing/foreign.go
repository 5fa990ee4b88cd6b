package importing

import (
	"errors"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/apptier/apptier/internal/cli/manifest"
	"github.com/apptier/apptier/internal/cli/report"
	"github.com/apptier/apptier/policy/adopt"
	"github.com/apptier/apptier/policy/calico"
	"github.com/apptier/apptier/policy/cilium"
)

// foreign is a policy of a network plugin, and those of Kubernetes that mean the same, if there are any.
type foreign struct {
	manifest.Object
	policies []*networkingv1.NetworkPolicy
	problem  error
}

// foreignAmong reads those of all foreign policies that are among some objects. Those of a namespace that do not say
// theirs are of the given one.
func foreignAmong(objects, all []manifest.Object, namespace string) []foreign {
	var everyone []*unstructured.Unstructured
	for _, o := range all {
		of := o.Object.(*unstructured.Unstructured)
		if isOfNamespace := of.GetKind() == "NetworkPolicy" || of.GetKind() == "CiliumNetworkPolicy"; isOfNamespace && of.GetNamespace() == "" {
			of.SetNamespace(namespace)
		}
		everyone = append(everyone, of)
	}
	var out []foreign
	for i, o := range all {
		if !slices.ContainsFunc(objects, func(given manifest.Object) bool { return given.Object == o.Object }) {
			continue
		}
		f := foreign{Object: o, problem: errors.New("kind: it is not read here")}
		switch {
		case calico.Is(everyone[i]):
			f.policies, f.problem = calico.Read(everyone[i], everyone)
		case cilium.Is(everyone[i]):
			f.policies, f.problem = cilium.Read(everyone[i])
		}
		f.Name = everyone[i].GetKind() + "." + everyone[i].GroupVersionKind().Group + " " + manifest.Qualified(everyone[i])
		out = append(out, f)
	}
	return out
}

// unjudgedIn says of namespaces whether there are policies for them that are not read.
func unjudgedIn(all []manifest.Object, others []foreign) func(string) bool {
	unread := slices.DeleteFunc(slices.Clone(all), func(o manifest.Object) bool {
		return slices.ContainsFunc(others, func(f foreign) bool { return f.Object.Object == o.Object && f.problem == nil })
	})
	return func(namespace string) bool {
		return slices.ContainsFunc(unread, func(o manifest.Object) bool {
			of := o.Object.(*unstructured.Unstructured).GetNamespace()
			return of == "" || of == namespace
		})
	}
}

func (f foreign) becomes(out adopt.Result) report.ImportedPolicy {
	var same []runtime.Object
	for _, policy := range f.policies {
		same = append(same, policy)
	}
	p := becomes(f.Object, out, same...)
	if f.problem != nil {
		p.Stays = f.problem.Error()
	} else if calico.Is(f.Object.Object.(*unstructured.Unstructured)) && p.Stays == "" {
		p.Notes = append(p.Notes, "NetworkSets that its selectors match are not peers of the AppTier")
	}
	return p
}
