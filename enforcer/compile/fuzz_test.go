package compile_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/apptier/apptier/enforcer/compile"
	"github.com/apptier/apptier/policy/reach"
)

// Whatever policies, pods and namespaces say, a node compiles them; and what it is told of by and by
// comes to what it would be told of at once.
func FuzzCompile(f *testing.F) {
	const pod = `{"metadata":{"namespace":"a","name":"web","labels":{"app":"web"}},"spec":{"nodeName":"node","containers":[{"ports":[{"name":"http","containerPort":80}]}]},"status":{"podIPs":[{"ip":"10.0.0.1"},{"ip":"fd00::1"}]}}`
	f.Add([]byte(`{"metadata":{"namespace":"a","name":"p"},"spec":{"podSelector":{},"ingress":[{"from":[{"podSelector":{}}],"ports":[{"port":80,"endPort":90},{"port":"http"}]}]}}`),
		[]byte(`{"metadata":{"namespace":"a","name":"q"},"spec":{"podSelector":{"matchExpressions":[{"key":"app","operator":"In","values":["web"]}]},"egress":[{"to":[{"ipBlock":{"cidr":"10.0.0.0/8","except":["10.1.0.0/16"]}}]}]}}`),
		[]byte(pod))
	f.Add([]byte(`{"metadata":{"namespace":"a","name":"p"},"spec":{"podSelector":{},"policyTypes":["Egress"],"egress":[{"to":[{"namespaceSelector":{"matchLabels":{"team":"a"}}}],"ports":[{"protocol":"SCTP"}]}]}}`),
		[]byte(`{"metadata":{"namespace":"a","name":"p"},"spec":{"podSelector":{"matchExpressions":[{"key":"app","operator":"Near"}]},"ingress":[{}]}}`), []byte(pod))
	f.Fuzz(func(t *testing.T, one, other, pod []byte) {
		s := reach.Snapshot{
			Nodes:      []*corev1.Node{{ObjectMeta: metav1.ObjectMeta{Name: "node"}, Spec: corev1.NodeSpec{PodCIDRs: []string{"10.0.0.0/24"}}}},
			Namespaces: []*corev1.Namespace{{ObjectMeta: metav1.ObjectMeta{Name: "a", Labels: map[string]string{"team": "a"}}}},
			Pods:       []*corev1.Pod{{}, member(0)},
			Policies:   []*networkingv1.NetworkPolicy{{}, {}},
		}
		if yaml.Unmarshal(one, s.Policies[0]) != nil || yaml.Unmarshal(other, s.Policies[1]) != nil || yaml.Unmarshal(pod, s.Pods[0]) != nil {
			return
		}
		atOnce := compile.Compile(s, "node")
		for _, problem := range atOnce.Problems {
			if problem.Policy == "" || problem.Err == nil {
				t.Errorf("a problem without a place or a reason: %+v", problem)
			}
		}
		c := compile.New("node")
		c.Tell(s)
		c.Ruleset()
		c.SetPolicy(s.Policies[0])
		c.Tell(s)
		if got, want := c.Ruleset().Table(1).String(), atOnce.Table(1).String(); got != want {
			t.Errorf("by and by:\n%s\nat once:\n%s", got, want)
		}
	})
}
