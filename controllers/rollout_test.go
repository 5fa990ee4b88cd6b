package controllers

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"
	"pgregory.net/rapid"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/expand"
)

// Whatever an AppTier becomes, and wherever its rollout is cut short and starts over, perhaps for
// yet another spec: what every spec that was being rolled out allows is allowed all the time, and
// what none of them allows never is, at either end.
func TestRolloutsNeverCutWhatStaysAllowed(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		first, second, third := drawSpec(t, "first"), drawSpec(t, "second"), drawSpec(t, "third")
		start := rollout{policies: map[string]*networkingv1.NetworkPolicy{}, since: []halves{unprotected}, replaced: map[*networkingv1.NetworkPolicy]bool{}}
		start.finish(t, first)
		for cut := 0; ; cut++ {
			interrupted := start.clone()
			more := interrupted.attempt(t, second, cut)
			again, changed := interrupted.clone(), interrupted.clone()
			again.finish(t, second)
			changed.finish(t, third)
			changed.remove(t)
			if !more {
				return
			}
		}
	})
}

// Interrupted over and over, a rollout still keeps what every spec allows.
func TestRolloutsThatNeverFinish(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := rollout{policies: map[string]*networkingv1.NetworkPolicy{}, since: []halves{unprotected}, replaced: map[*networkingv1.NetworkPolicy]bool{}}
		for range rapid.IntRange(1, 6).Draw(t, "attempts") {
			r.attempt(t, drawSpec(t, "spec"), rapid.IntRange(0, 9).Draw(t, "cut after"))
		}
		r.finish(t, drawSpec(t, "last"))
	})
}

// rollout is the policies of one AppTier in the API server's stead.
type rollout struct {
	policies map[string]*networkingv1.NetworkPolicy
	// since is what each spec allows of those that left their traces in the policies.
	since []halves
	// objects were created so far.
	objects int
	// replaced were written over: a later step of the same plan may still know them as they were.
	replaced map[*networkingv1.NetworkPolicy]bool
}

func (r *rollout) clone() rollout {
	return rollout{policies: maps.Clone(r.policies), since: slices.Clone(r.since), objects: r.objects, replaced: maps.Clone(r.replaced)}
}

// finish rolls a spec out to its end.
func (r *rollout) finish(t *rapid.T, app *v1alpha1.AppTier) {
	r.attempt(t, app, 1000)
	r.attempt(t, app, 1000) // once more, as the first has the AppTier reconciled again
	want := map[string]networkingv1.NetworkPolicySpec{}
	for _, policy := range expand.NetworkPolicies(app, expand.DefaultEnvironment()) {
		want[keyOf(policy.Name, app.Spec.Mode == v1alpha1.Audit)] = policy.Spec
	}
	have := map[string]networkingv1.NetworkPolicySpec{}
	for name, policy := range r.policies {
		have[name] = policy.Spec
	}
	if diff := cmp.Diff(want, have); diff != "" {
		t.Fatalf("the end is not what is wanted (-want +have):\n%s", diff)
	}
	if todo := r.plan(t, app); len(todo) > 0 {
		t.Fatalf("there is more to do after the end: %v", todo)
	}
	r.since = []halves{allowedBy(r.enforced())}
	r.checkOwners(t, app)
}

// checkOwners: when the AppTier is deleted, what denies the namespace goes first.
func (r *rollout) checkOwners(t *rapid.T, app *v1alpha1.AppTier) {
	denial := r.policies[expand.NamespacePolicyName(app.Name)]
	for name, policy := range r.policies {
		if !metav1.IsControlledBy(policy, app) {
			t.Fatalf("%s is not the AppTier's: %v", name, policy.OwnerReferences)
		}
		if denial != nil && policy != denial && !isStaged(policy) && !slices.ContainsFunc(policy.OwnerReferences, func(o metav1.OwnerReference) bool { return o.UID == denial.UID }) {
			t.Fatalf("%s may go before %s: %v", name, denial.Name, policy.OwnerReferences)
		}
	}
}

// attempt takes the first steps towards a spec, and says whether there are more.
func (r *rollout) attempt(t *rapid.T, app *v1alpha1.AppTier, steps int) (more bool) {
	if app.Spec.Mode == v1alpha1.Audit {
		r.since = append(r.since, unprotected)
	} else {
		r.since = append(r.since, allowedBy(expand.NetworkPolicies(app, expand.DefaultEnvironment())))
	}
	todo := r.plan(t, app)
	for i, s := range todo {
		if i == steps {
			return true
		}
		r.take(t, s)
		r.check(t, todo[:i+1])
	}
	return false
}

// remove rolls an AppTier back to nothing, as no spec can say it: what scope Tiers without tiers
// would be.
func (r *rollout) remove(t *rapid.T) {
	r.finish(t, appTier(v1alpha1.AppTierSpec{Isolation: v1alpha1.Isolation{Scope: v1alpha1.ScopeTiers}}))
	if len(r.policies) > 0 {
		t.Fatalf("left behind: %v", r.policies)
	}
}

func (r *rollout) plan(t *rapid.T, app *v1alpha1.AppTier) plan {
	todo, err := newRollout(app, expand.NetworkPolicies(app, expand.DefaultEnvironment()), slices.Collect(maps.Values(r.policies)))
	if err != nil {
		t.Fatal(err)
	}
	return todo
}

// take does what the API server does with a step.
func (r *rollout) take(t *rapid.T, s step) {
	key := keyOf(s.name, s.staged)
	if s.have != r.policies[key] && s.have != nil && !r.replaced[s.have] {
		t.Fatalf("%s was not seen as it is", s.name)
	}
	if s.want == nil {
		if r.policies[key] == nil {
			t.Fatalf("%s is removed and does not exist", key)
		}
		delete(r.policies, key)
		return
	}
	written := s.want.DeepCopy()
	r.objects++
	written.UID = types.UID(fmt.Sprint(r.objects))
	if s.have != nil {
		written.UID = s.have.UID
	}
	r.policies[key] = written
	if s.have != nil {
		r.replaced[s.have] = true
	}
}

// enforced are the policies that are not staged.
func (r *rollout) enforced() []*networkingv1.NetworkPolicy {
	return slices.DeleteFunc(slices.Collect(maps.Values(r.policies)), isStaged)
}

// check holds the present against every spec that left its traces.
func (r *rollout) check(t *rapid.T, taken plan) {
	now := allowedBy(r.enforced())
	for i, flow := range everyFlow {
		always, cut := true, !now.egress[i] || !now.ingress[i]
		mayLeave, mayEnter := false, false
		for _, spec := range r.since {
			always = always && spec.egress[i] && spec.ingress[i]
			mayLeave, mayEnter = mayLeave || spec.egress[i], mayEnter || spec.ingress[i]
		}
		switch {
		case always && cut:
			t.Fatalf("%v is cut after %s", flow, taken)
		case now.egress[i] && !mayLeave:
			t.Fatalf("egress of %v is open after %s", flow, taken)
		case now.ingress[i] && !mayEnter:
			t.Fatalf("ingress of %v is open after %s", flow, taken)
		}
	}
}

func (p plan) String() string {
	var words []string
	for _, s := range p {
		word := "write " + called(s)
		if s.want == nil {
			word = "remove " + called(s)
		}
		words = append(words, word)
	}
	return strings.Join(words, ", ")
}

// The longest names that an AppTier and a tier may have leave room for the name of a copy.
func TestCopiesHaveValidNames(t *testing.T) {
	longest := strings.Repeat("x", 63)
	policy := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Name: expand.TierPolicyName(longest, longest)}}
	kept := copyOf(appTier(v1alpha1.AppTierSpec{}), policy)
	if problems := validation.IsDNS1123Subdomain(kept.Name); len(problems) > 0 {
		t.Errorf("%s: %v", kept.Name, problems)
	}
}
