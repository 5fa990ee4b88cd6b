package lint

import (
	"cmp"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"pgregory.net/rapid"

	"github.com/apptier/apptier/policy/connset"
	"github.com/apptier/apptier/policy/kube"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/lint/words"
	"github.com/apptier/apptier/policy/reach"
	"github.com/apptier/apptier/policy/reach/reachtest"
)

// What is looked up, or decided once for many, is what going through everything finds. These tests go
// through everything.

func drawView(t *rapid.T) (*view, World) {
	s := reachtest.Snapshot(reachtest.MaxPods(12)).Draw(t, "world")
	judged := reachtest.Policy("judged").Draw(t, "judged")
	if rapid.Bool().Draw(t, "named ports") {
		named := []networkingv1.NetworkPolicyPort{{Port: ptr.To(intstr.FromString("http"))}}
		for i := range judged.Spec.Ingress {
			judged.Spec.Ingress[i].Ports = named
		}
		for i := range judged.Spec.Egress {
			judged.Spec.Egress[i].Ports = named
		}
	}
	if rapid.Bool().Draw(t, "every pod") {
		judged.Spec.PodSelector = metav1.LabelSelector{}
	}
	w := World{Whole: true, Known: Parts{Namespaces: true, Pods: true, Services: true, Policies: true}, Namespaces: s.Namespaces, Pods: s.Pods}
	for _, policy := range s.Policies {
		switch rapid.IntRange(0, 3).Draw(t, "is") {
		case 0, 3:
			policy.Namespace = judged.Namespace
			w.Generated = append(w.Generated, policy)
		case 1:
			policy.Namespace, policy.Name = judged.Namespace, judged.Name // as it was
			fallthrough
		default:
			w.Policies = append(w.Policies, policy)
		}
	}
	return newView(judged, inPolicy{}, NewIndex(w), new(check.Work)), w
}

// eachClause calls judge with every clause of the judged policy.
func (v *view) eachClause(judge func(networkingv1.PolicyType, connset.Clause)) {
	for _, direction := range []networkingv1.PolicyType{ingress, egress} {
		for _, clause := range v.Policy.Clauses(direction) {
			judge(direction, clause)
		}
	}
}

// often checks a property in which several objects must meet, which is rare.
func often(t *testing.T, property func(*rapid.T)) {
	for range 10 {
		rapid.Check(t, property)
	}
}

func TestPeersAreThosePodsThatMatch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v, world := drawView(t)
		v.eachClause(func(_ networkingv1.PolicyType, clause connset.Clause) {
			var want []*corev1.Pod
			for _, pod := range world.Pods {
				if !reach.Finished(pod) && clause.Box.Match(connset.Namespace, v.At(pod.Namespace).Labels) && clause.Box.Match(connset.Peer, pod.Labels) {
					want = append(want, pod)
				}
			}
			slices.SortStableFunc(want, func(a, b *corev1.Pod) int {
				return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
			})
			var got []*corev1.Pod
			for _, pod := range v.Peers(clause.Box) {
				got = append(got, pod.Pod)
			}
			if !slices.Equal(got, want) {
				t.Fatalf("%+v: %d peers, want %d", clause.Box, len(got), len(want))
			}
		})
	})
}

// halfOpenByPairs asks about every pair of pods, and every policy, by themselves.
func halfOpenByPairs(v *view, world World, direction networkingv1.PolicyType, clause connset.Clause, subjects, peers []*Pod) bool {
	pairs := 0
	for _, peer := range peers {
		policies := []*networkingv1.NetworkPolicy{v.Policy.NetworkPolicy}
		for _, other := range slices.Concat(world.Policies, world.Generated) {
			if other.Namespace != v.Policy.Namespace || other.Name != v.Policy.Name {
				policies = append(policies, other)
			}
		}
		var allowing []*Policy
		isolated := false
		for _, policy := range policies {
			selected := connset.Read(policy).Selected
			if policy.Namespace == peer.Namespace && kube.Isolates(&policy.Spec, opposite(direction)) && !selected.IsEmpty() && selected.Match(connset.Subject, peer.Labels) {
				isolated = true
				allowing = append(allowing, policyOf(policy))
			}
		}
		for _, subject := range subjects {
			if subject == peer {
				continue
			}
			pairs++
			want := clause.Box.Ports.Union(Resolve(clause.Named, destination(direction, subject, peer)))
			if want.IsEmpty() || !isolated || !want.Intersect(portsBetween(allowing, peer, subject, opposite(direction))).IsEmpty() {
				return false
			}
		}
	}
	return pairs > 0
}

func TestHalvesAreOpenAsEveryPairOfPodsSays(t *testing.T) {
	count := map[bool]int{}
	often(t, func(t *rapid.T) {
		v, world := drawView(t)
		v.eachClause(func(direction networkingv1.PolicyType, clause connset.Clause) {
			subjects, peers := v.Subjects(), OnPodNetwork(v.Peers(clause.Box))
			r := &check.Report{}
			checkOtherHalf(r, v, direction, clause, subjects, peers)
			want := halfOpenByPairs(v, world, direction, clause, subjects, peers)
			if got := len(r.Findings) > 0; got != want {
				t.Fatalf("%s %+v: %v, want %v", direction, clause, got, want)
			}
			count[want]++
		})
	})
	if count[true] == 0 || count[false] == 0 {
		t.Errorf("always the same answer: %v", count)
	}
}

// What is left in one namespace is taken to be left in others of its kind, and what is opened at one
// pod, at others like it.
func TestWhatIsAlikeIsJudgedAlike(t *testing.T) {
	alike, scopes := map[string]int{}, map[networkingv1.PolicyType]connset.Scope{ingress: connset.Subject, egress: connset.Peer}
	often(t, func(t *rapid.T) {
		v, _ := drawView(t)
		v.eachClause(func(direction networkingv1.PolicyType, clause connset.Clause) {
			d := declaredIn(v.View, direction)
			boxes := onPorts(onlyOf(clause.Box, d.certain), clause.Box.Ports)
			if direction == egress { // only pods know names
				for i := range boxes {
					boxes[i].Kinds &= connset.Pods
				}
			}
			shared := remainders{}
			for _, at := range d.places(clause.Box) {
				known := len(shared)
				left, unknown := d.undeclared(at, boxes, shared)
				alone, aloneUnknown := d.undeclared(at, boxes, remainders{})
				if len(left) != len(alone) || unknown != aloneUnknown {
					t.Fatalf("%d boxes are left, and %d by themselves; %q, %q", len(left), len(alone), unknown, aloneUnknown)
				}
				if len(shared) == known {
					alike["namespaces"]++
				}
			}
			opened := map[string]bool{}
			for _, pod := range d.knowing(clause) {
				like, is := d.likeness(connset.Unlike(slices.Concat(boxes, d.every), scopes[direction]), scopes[direction], d.ranges(boxes), pod), d.openedAt(clause, boxes, pod) != nil
				if was, found := opened[like]; found {
					alike["pods"]++
					if was != is {
						t.Fatalf("%s is like another pod, and judged otherwise", words.Pod(pod))
					}
				}
				opened[like] = is
			}
		})
	})
	if alike["namespaces"] == 0 || alike["pods"] == 0 {
		t.Errorf("nothing was ever alike: %v", alike)
	}
}
