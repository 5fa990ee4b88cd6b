package packets

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// Right is one that a plan needs.
type Right struct{ Verb, Resource, Subresource, Namespace string }

// String is the right as kubectl auth can-i takes it.
func (r Right) String() string {
	resource := r.Resource
	if r.Subresource != "" {
		resource += "/" + r.Subresource
	}
	return fmt.Sprintf("%s %s in namespace %s", r.Verb, resource, r.Namespace)
}

// rights are those that a job needs.
func (j Job) rights() []Right {
	verbs := []Right{{Verb: "get", Resource: "pods"}, {Verb: "patch", Resource: "pods", Subresource: "ephemeralcontainers"}}
	if j.New {
		verbs = []Right{{Verb: "get", Resource: "pods"}, {Verb: "create", Resource: "pods"}, {Verb: "delete", Resource: "pods"}}
	}
	for i := range verbs {
		verbs[i].Namespace = j.Pod.Namespace
	}
	return verbs
}

// Rights are those that the plan needs, sorted, each once.
func (p Plan) Rights() []Right {
	var all []Right
	for _, job := range p.Jobs {
		all = append(all, job.rights()...)
	}
	slices.SortFunc(all, func(a, b Right) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Resource, b.Resource), cmp.Compare(a.Subresource, b.Subresource),
			cmp.Compare(a.Verb, b.Verb))
	})
	return slices.Compact(all)
}

// Without is the plan without the jobs for which a right is missing. A job whose source a case names is an error: the case
// cannot be tried without it.
func (p Plan) Without(missing []Right) (Plan, error) {
	var needed []Right
	out := Plan{Places: slices.Clone(p.Places)}
	moved, refused := map[int]int{}, map[int]Right{}
	for i, job := range p.Jobs {
		lacks := slices.DeleteFunc(job.rights(), func(r Right) bool { return !slices.Contains(missing, r) })
		switch {
		case len(lacks) == 0:
			moved[i] = len(out.Jobs)
			out.Jobs = append(out.Jobs, job)
		case job.Named:
			needed = append(needed, lacks...)
		default:
			refused[i] = lacks[0]
		}
	}
	if len(needed) > 0 {
		var all []string
		for _, right := range missing {
			if slices.Contains(needed, right) {
				all = append(all, right.String())
			}
		}
		return Plan{}, fmt.Errorf("you may not %s, which --packets needs: docs/packets.md says who needs which rights, and why",
			strings.Join(all, ", nor "))
	}
	for i, place := range out.Places {
		if place.NotTried != "" {
			continue
		}
		if right, found := refused[place.Job]; found {
			out.Places[i] = Place{NotTried: fmt.Sprintf("you may not %s", right)}
			continue
		}
		out.Places[i].Job = moved[place.Job]
	}
	return out, nil
}

// Missing asks the API server which of the rights you do not have.
func Missing(ctx context.Context, client kubernetes.Interface, rights []Right) ([]Right, error) {
	var missing []Right
	for _, r := range rights {
		review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
			ResourceAttributes: &authorizationv1.ResourceAttributes{
				Namespace: r.Namespace, Verb: r.Verb, Resource: r.Resource, Subresource: r.Subresource,
			},
		}}
		answer, err := client.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
		if err != nil {
			return nil, fmt.Errorf("asking whether you may %s: %w", r, err)
		}
		if !answer.Status.Allowed {
			missing = append(missing, r)
		}
	}
	return missing, nil
}
