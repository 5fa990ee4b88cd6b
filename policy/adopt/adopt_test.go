package adopt_test

import (
	"context"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/apptier/apptier/policy/adopt"
	"github.com/apptier/apptier/policy/compare"
	"github.com/apptier/apptier/policy/expand"
)

// said is what policies become: AppTiers as text, and why others stay.
func said(t *testing.T, unjudged bool, texts ...string) (apps, stays string) {
	t.Helper()
	in := adopt.Input{Environment: expand.DefaultEnvironment(), Unjudged: func(string) bool { return unjudged }}
	for _, text := range texts {
		policy := &networkingv1.NetworkPolicy{}
		if err := yaml.UnmarshalStrict([]byte(text), policy); err != nil {
			t.Fatal(err)
		}
		in.Policies = append(in.Policies, policy)
	}
	none := func(context.Context, []*networkingv1.NetworkPolicy) (compare.Result, error) {
		return compare.Result{}, nil
	}
	out, err := adopt.Import(t.Context(), in, none)
	if err != nil {
		t.Fatal(err)
	}
	for _, app := range out.AppTiers {
		text, err := yaml.Marshal(app.Spec)
		if err != nil {
			t.Fatal(err)
		}
		apps += string(text)
	}
	for _, s := range out.Stays {
		stays += s.Reason + "\n"
	}
	return apps, stays
}

// fromMonitoring has pods accept another namespace.
func fromMonitoring(pods string) string {
	return pods + "ingress: [{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}}], ports: [{port: 9090}]}]}"
}

func policy(name, spec string) string {
	return "metadata: {namespace: shop, name: " + name + "}\nspec: " + spec
}

func TestWhatIsSaid(t *testing.T) {
	const (
		web        = "{podSelector: {matchLabels: {app: web}}, "
		api        = "{podSelector: {matchLabels: {app: api}}, "
		openEgress = web + "policyTypes: [Ingress, Egress], egress: [{}], ingress: [{ports: [{port: 80}]}]}"
		toAPI      = web + "policyTypes: [Egress], egress: [{to: [{podSelector: {matchLabels: {app: api}}}]}]}"
		fromWeb    = api + "policyTypes: [Ingress], ingress: [{from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 80}]}]}"
		moreOfAPI  = "{podSelector: {matchLabels: {version: v2}}, policyTypes: [Ingress], ingress: [{ports: [{port: 81}]}]}"
		perimeter  = "{podSelector: {}, policyTypes: [Ingress, Egress], ingress: [{from: [{podSelector: {}}]}], egress: [{to: [{podSelector: {}}]}]}"
		kubeDNS    = "{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}, podSelector: {matchLabels: {k8s-app: kube-dns}}}"
		denyEgress = "{podSelector: {matchLabels: {tier: front}}, policyTypes: [Egress]}"
	)
	text, err := yaml.Marshal(expand.Internet(nil))
	if err != nil {
		t.Fatal(err)
	}
	flat, err := yaml.YAMLToJSON(text)
	if err != nil {
		t.Fatal(err)
	}
	internet := string(flat)
	for _, test := range []struct {
		name     string
		unjudged bool
		policies []string
		// has and lacks are of the AppTiers, stays of the reasons.
		has, lacks, stays string
	}{
		{"egress that is open is not isolated", false, []string{openEgress}, "- Ingress\n", "egress:", ""},
		{"but if another policy may isolate it", false, []string{openEgress, denyEgress}, "allPorts: true", "isolate:\n    - Ingress", ""},
		{"or one that is not known", true, []string{openEgress}, "allPorts: true", "isolate:\n    - Ingress", ""},
		{"a rest that the receiver denies is left out", false, []string{toAPI, fromWeb}, "tier: web", "allPorts", ""},
		{"but not if another policy may allow it", false, []string{toAPI, fromWeb, moreOfAPI}, "allPorts: true", "", ""},
		{"or one that is not known", true, []string{toAPI, fromWeb}, "allPorts: true", "", ""},
		{"a half stays a half", false, []string{fromWeb, web + "policyTypes: [Egress]}"}, "pods:", "tier: web", ""},
		{"both address families without private ranges are the internet only if all are", false,
			[]string{web + "ingress: [{from: [{ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/8]}}, {ipBlock: {cidr: '::/0'}}]}]}"},
			"networks:", "internet", ""},
		{"an exception of a block is none of another", false,
			[]string{web + "ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}, {ipBlock: {cidr: 10.1.2.0/24}}]}]}"},
			"- 10.0.0.0/8\n        except:\n        - 10.1.0.0/16\n    - networks:\n        cidrs:\n        - 10.1.2.0/24\n", "", ""},
		{"ranges without exceptions are one peer", false,
			[]string{web + "ingress: [{from: [{ipBlock: {cidr: 10.1.0.0/16}}, {ipBlock: {cidr: 10.2.0.0/16}}]}]}"},
			"- networks:\n        cidrs:\n        - 10.1.0.0/16\n        - 10.2.0.0/16\n", "", ""},
		{"what all tiers allow is said once", false, []string{fromMonitoring(web), fromMonitoring(api)}, "everyTier:", "", ""},
		{"but not if one does not", false, []string{fromMonitoring(web), fromMonitoring(api), moreOfAPI}, "namespaces:", "everyTier", ""},
		{"the internet", false, []string{web + "policyTypes: [Ingress], ingress: [{from: " + internet + ", ports: [{port: 443}]}]}"},
			"internet: {}", "networks", ""},
		{"DNS over UDP alone is not opened over TCP", false,
			[]string{web + "policyTypes: [Egress], egress: [{to: [" + kubeDNS + "], ports: [{port: 53, protocol: UDP}]}]}"},
			"mode: Custom", "TCP", ""},
		{"nor where there is none", false, []string{web + "policyTypes: [Egress]}"}, "mode: None", "", ""},
		{"a perimeter", false, []string{perimeter}, "sameNamespace: Allow", "", ""},
		{"a perimeter with DNS", false, []string{perimeter[:len(perimeter)-2] + ", {to: [" + kubeDNS + "], ports: [{port: 53, protocol: UDP}]}]}"},
			"sameNamespace: Allow", "mode: None", ""},
		{"beside a tier that isolates ingress", false, []string{perimeter, fromWeb}, "name: api",
			"sameNamespace", "spec.podSelector: it opens the namespace to itself"},
		{"one direction for every pod", false, []string{"{podSelector: {}, policyTypes: [Ingress]}"}, "", "scope",
			"spec.policyTypes: for every pod"},
		{"rules for every pod", false, []string{"{podSelector: {}, ingress: [{ports: [{port: 80}]}]}"}, "", "scope",
			"spec.podSelector: its rules are for every pod"},
		{"what nobody can read", false, []string{web + "ingress: [{from: [{ipBlock: {cidr: ten}}]}]}"}, "", "tiers",
			`spec.ingress[0]: "ten" is no range`},
	} {
		t.Run(test.name, func(t *testing.T) {
			var texts []string
			for i, spec := range test.policies {
				texts = append(texts, policy("p"+string(rune('a'+i)), spec))
			}
			apps, stays := said(t, test.unjudged, texts...)
			if !strings.Contains(apps, test.has) || test.lacks != "" && strings.Contains(apps, test.lacks) {
				t.Errorf("has no %q, or has %q:\n%s", test.has, test.lacks, apps)
			}
			if test.stays == "" && stays != "" || !strings.Contains(stays, test.stays) {
				t.Errorf("stays for another reason than %q:\n%s", test.stays, stays)
			}
		})
	}
}

// The number of a port that is known by its name is that of all pods that may be meant, those of namespaces whose labels
// are not known among them.
func TestNamedPortsOfNamespacesThatAreNotKnown(t *testing.T) {
	serving := func(namespace string, number int32) adopt.Pod {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "api", Labels: map[string]string{"app": "api"}}}
		pod.Spec.Containers = []corev1.Container{{Ports: []corev1.ContainerPort{{Name: "main", ContainerPort: number}}}}
		return adopt.Pod{Pod: pod, Workload: "api"}
	}
	in := adopt.Input{
		Environment: expand.DefaultEnvironment(), Pods: []adopt.Pod{serving("known", 80), serving("not-known", 81)},
		Namespaces: []*corev1.Namespace{{ObjectMeta: metav1.ObjectMeta{Name: "known", Labels: map[string]string{"team": "a"}}}},
	}
	text := policy("web", "{podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], egress: [{to: [{namespaceSelector: "+
		"{matchLabels: {team: a}}, podSelector: {matchLabels: {app: api}}}], ports: [{port: main}]}]}")
	in.Policies = []*networkingv1.NetworkPolicy{{}}
	if err := yaml.UnmarshalStrict([]byte(text), in.Policies[0]); err != nil {
		t.Fatal(err)
	}
	none := func(context.Context, []*networkingv1.NetworkPolicy) (compare.Result, error) {
		return compare.Result{}, nil
	}
	out, err := adopt.Import(t.Context(), in, none)
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Stays) != 1 || !strings.Contains(out.Stays[0].Reason, "80 at some pods and 81 at others") {
		t.Errorf("stays %+v, and %d AppTiers", out.Stays, len(out.AppTiers))
	}
}
