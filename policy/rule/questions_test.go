package rule_test

import (
	"fmt"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"github.com/apptier/apptier/policy/kube"
	"github.com/apptier/apptier/policy/rule"
)

func TestAsk(t *testing.T) {
	const spec = `
podSelector: {matchLabels: {app: db}}
ingress:
- from:
  - {podSelector: {matchExpressions: [{key: role, operator: Exists}]}}
  - {namespaceSelector: {matchLabels: {team: ops}}, podSelector: {}}
  - {ipBlock: {cidr: "::ffff:10.0.0.0/104", except: [10.9.0.0/16, 10.9.0.0/16]}}
  ports: [{port: 80, endPort: 90}, {port: 91}, {port: 65535}, {port: pg}, {protocol: UDP}]
- ports: [{port: 80}]
`
	var written networkingv1.NetworkPolicySpec
	if err := yaml.UnmarshalStrict([]byte(spec), &written); err != nil {
		t.Fatal(err)
	}
	policy := kube.ReadPolicy(types.NamespacedName{Namespace: "shop", Name: "db"}, &written)
	q := rule.Ask(&policy)
	for what, pair := range map[string][2]any{
		"labels of subjects":   {q.Subjects, "map[app:true]"},
		"labels of peers":      {q.Peers, "map[role:true]"},
		"labels of namespaces": {q.Namespaces, "map[team:true]"},
		"namespaces":           {q.Within, "map[shop:true]"},
		"names of ports":       {q.Names, "map[pg:true]"},
		"blocks":               {q.Blocks, "[10.0.0.0/8 10.9.0.0/16]"},
		"edges":                {q.Edges, "map[TCP:[80 81 91 92 65535] UDP:[1]]"},
	} {
		if got := fmt.Sprint(pair[0]); got != pair[1] {
			t.Errorf("%s: got %s, want %s", what, got, pair[1])
		}
	}
}
