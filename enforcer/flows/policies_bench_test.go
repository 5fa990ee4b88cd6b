package flows_test

import (
	"fmt"
	"testing"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/enforcer/flows"
	"github.com/apptier/apptier/policy/budget"
)

// BenchmarkAPolicyChanges is a reading after one of 640 policies of a namespace has changed, where the pods of that
// namespace go on to be denied.
func BenchmarkAPolicyChanges(b *testing.B) {
	const policies, pods = 640, 200
	for _, test := range []struct {
		name  string
		rules int
	}{{"of a rule each", 1}, {"over the budget", budget.Defaults().Policy.Rules + 1}} {
		b.Run(test.name, func(b *testing.B) {
			w := newWorld(flows.Options{})
			for i := range policies {
				p := longPolicy(i, test.rules)
				w.SetPolicy(p.Key(), p, false)
			}
			for i := range pods {
				address := fmt.Sprintf("10.0.0.%d", i)
				w.announce(fmt.Sprintf("shop/pod-%d", i), fmt.Sprint(i), address, fmt.Sprintf("app=app-%d", i))
				w.packet(denied("192.0.2.1", address))
			}
			w.read()
			changed := longPolicy(0, test.rules+1)
			for b.Loop() {
				b.StopTimer()
				w.after(time.Millisecond)
				for _, e := range w.seen {
					e.count++
				}
				b.StartTimer()
				w.SetPolicy(changed.Key(), changed, false)
				w.read()
			}
		})
	}
}

// longPolicy is a policy for the pods of an app, of so many rules.
func longPolicy(i, rules int) *compile.Policy {
	object := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: fmt.Sprintf("app-%d", i)}}
	object.Spec.PodSelector.MatchLabels = map[string]string{"app": fmt.Sprintf("app-%d", i)}
	for rule := range rules {
		object.Spec.Ingress = append(object.Spec.Ingress, networkingv1.NetworkPolicyIngressRule{From: []networkingv1.NetworkPolicyPeer{
			{PodSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": fmt.Sprintf("client-%d", rule)}}},
		}})
	}
	return compile.NewPolicy(object)
}
