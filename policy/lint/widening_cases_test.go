package lint_test

import (
	"net/netip"
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/apptier/apptier/policy/lint"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/lint/netpol"
	"github.com/apptier/apptier/policy/lint/widening"
)

// ledger is the AppTier that the cases are about: web may be reached from the internet, api by web,
// and by any namespace of team ops on 9090; db by api.
const ledger = `
apiVersion: policy.apptier.dev/v1alpha1
kind: AppTier
metadata: {name: ledger, namespace: app}
spec:
  tiers:
  - name: web
    podSelector: {matchLabels: {tier: web}}
    ports: [{port: 8080}]
    ingress: [{from: [{internet: {}}]}]
  - name: api
    podSelector: {matchLabels: {tier: api}}
    ports: [{port: 8080}]
    ingress:
    - from: [{tier: web}]
    - from: [{namespaces: {matchLabels: {team: ops}}}]
      ports: [{port: 9090}]
    - from: [{networks: {cidrs: [10.0.0.0/8]}}]
      ports: [{port: 7070}]
  - name: db
    podSelector: {matchLabels: {tier: db}}
    ports: [{port: 5432}]
    isolate: [Ingress]
    ingress: [{from: [{tier: api}]}]
`

func TestWidening(t *testing.T) {
	const pods = `
---
apiVersion: v1
kind: Pod
metadata: {name: db-0, namespace: app, labels: {tier: db, app: postgres}}
spec: {containers: [{name: main, ports: [{name: pg, containerPort: 5432}, {name: metrics, containerPort: 9187}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: x, namespace: app, labels: {app: x}}
`
	const namespaces = `
---
apiVersion: v1
kind: Namespace
metadata: {name: ops, labels: {team: ops}}
---
apiVersion: v1
kind: Namespace
metadata: {name: sales}
`
	const refused, warned, silent = "error ", "warning ", ""
	for _, test := range []struct{ name, spec, world, want string }{
		{
			"any pod of the namespace, though none is there yet",
			"{podSelector: {matchLabels: {tier: db}}, ingress: [{from: [{podSelector: {}}], ports: [{port: 5432}]}]}", "",
			refused + "would let any pod of namespace app reach a pod of tier db of namespace app on TCP 5432; AppTier ledger allows only tier api",
		},
		{
			"any pod, with one that is there",
			"{podSelector: {matchLabels: {tier: db}}, ingress: [{from: [{podSelector: {}}], ports: [{port: 5432}]}]}", pods,
			refused + "would let any pod of namespace app (for example app/db-0) reach app/db-0 on TCP 5432; AppTier ledger allows only tier api",
		},
		{
			"what is declared, in the same words", "{podSelector: {matchLabels: {tier: db}}, ingress: [{from: [{podSelector: {matchLabels: {tier: api}}}], ports: [{port: 5432}]}]}", pods, silent,
		},
		{
			"less than what is declared", "{podSelector: {matchLabels: {tier: db}}, ingress: [{from: [{podSelector: {matchLabels: {tier: api, release: v1}}}], ports: [{port: 5432}]}]}", "", silent,
		},
		{
			"another port", "{podSelector: {matchLabels: {tier: db}}, ingress: [{from: [{podSelector: {matchLabels: {tier: api}}}], ports: [{port: 5432, endPort: 5433}]}]}", "",
			refused + "would let pods tier=api of namespace app (for example one labelled tier=api) reach a pod of tier db of namespace app on TCP 5433; AppTier ledger allows nothing to connect to it on this port",
		},
		{
			"no pod is selected that the AppTier isolates", "{podSelector: {matchLabels: {app: x}}, ingress: [{}]}", pods, silent,
		},
		{
			"a pod that is selected by other labels", "{podSelector: {matchLabels: {app: postgres}}, ingress: [{from: [{ipBlock: {cidr: 192.0.2.0/24}}], ports: [{port: 5432}]}]}", pods,
			refused + "would let addresses of 192.0.2.0/24 (for example 192.0.2.1) reach app/db-0 on TCP 5432",
		},
		{
			"other labels, and no pod known", "{podSelector: {matchLabels: {app: postgres}}, ingress: [{ports: [{port: 5432}]}]}", "",
			warned + "it is not known whether this opens what an AppTier closes: it selects other labels than the AppTiers do",
		},
		{
			"a direction that the tier does not isolate", "{podSelector: {matchLabels: {tier: db}}, policyTypes: [Egress], egress: [{}]}", pods, silent,
		},
		{
			"egress", "{podSelector: {matchLabels: {tier: web}}, policyTypes: [Egress], egress: [{to: [{podSelector: {matchLabels: {tier: db}}}], ports: [{port: 5432}]}]}", "",
			refused + "would let a pod of tier web of namespace app reach pods tier=db of namespace app (for example one labelled tier=db) on TCP 5432; AppTier ledger allows it to connect to nothing on this port",
		},
		{
			"denial", "{podSelector: {}, policyTypes: [Ingress, Egress]}", pods, silent,
		},
		{
			"a namespace whose labels the AppTier allows", "{podSelector: {matchLabels: {tier: api}}, ingress: [{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: ops}}}], ports: [{port: 9090}]}]}", namespaces, silent,
		},
		{
			"a namespace whose labels it does not allow", "{podSelector: {matchLabels: {tier: api}}, ingress: [{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: sales}}}], ports: [{port: 9090}]}]}", namespaces,
			refused + "would let any pod of namespace sales reach a pod of tier api of namespace app on TCP 9090; AppTier ledger allows only any pod of namespaces team=ops",
		},
		{
			"a namespace whose labels are not known", "{podSelector: {matchLabels: {tier: api}}, ingress: [{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: elsewhere}}}], ports: [{port: 9090}]}]}", namespaces,
			warned + "it is not known whether this opens what an AppTier closes: the AppTiers allow namespaces by labels",
		},
		{
			"pods whose addresses may be allowed", "{podSelector: {matchLabels: {tier: api}}, ingress: [{from: [{podSelector: {matchLabels: {app: x}}}], ports: [{port: 7070}]}]}", "",
			warned + "it is not known whether this opens what an AppTier closes: the AppTiers allow ranges of addresses",
		},
		{
			"pods beside the internet that is allowed", "{podSelector: {matchLabels: {tier: web}}, ingress: [{from: [{podSelector: {matchLabels: {app: x}}}], ports: [{port: 8080}]}]}", pods,
			refused + "would let pods app=x of namespace app (for example app/x) reach a pod of tier web",
		},
		{
			"a port by its name, which is another one", "{podSelector: {matchLabels: {tier: db}}, ingress: [{from: [{podSelector: {matchLabels: {tier: api}}}], ports: [{port: metrics}]}]}", pods,
			refused + "reach app/db-0 on TCP 9187",
		},
		{
			"a port by its name, whose number may change", "{podSelector: {matchLabels: {tier: db}}, ingress: [{from: [{podSelector: {matchLabels: {tier: api}}}], ports: [{port: pg}]}]}", pods,
			warned + "it is not known whether this opens what an AppTier closes: the number of a named port depends on the pods",
		},
		{
			"every port", "{podSelector: {matchLabels: {tier: db}}, ingress: [{}]}", pods,
			refused + "would let anyone (for example 203.0.113.7) reach app/db-0 on TCP 5432; AppTier ledger allows only tier api",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			text := "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: judged, namespace: app}\nspec: " + test.spec + "\n"
			objects := parse(t, text+"---"+ledger+test.world)
			var got []string
			for _, finding := range lint.NetworkPolicy(objects[0].(*networkingv1.NetworkPolicy), worldOf(objects)) {
				if finding.Check == netpol.Widens {
					got = append(got, string(finding.Severity)+" "+finding.Message)
				}
			}
			answer := strings.Join(got, "\n")
			for _, part := range strings.SplitN(test.want, " ", 2) {
				if !strings.Contains(answer, part) || test.want == silent && answer != "" {
					t.Errorf("got:  %s\nwant: %s", answer, test.want)
				}
			}
		})
	}
}

// With scope Namespace every pod of the namespace is the AppTier's, whatever its labels.
func TestWideningAPerimeter(t *testing.T) {
	const perimeter = `
apiVersion: policy.apptier.dev/v1alpha1
kind: AppTier
metadata: {name: perimeter, namespace: app}
spec: {isolation: {scope: Namespace, sameNamespace: Allow}}
`
	for spec, want := range map[string]string{
		"{podSelector: {matchLabels: {app: batch}}, ingress: [{from: [{podSelector: {}}]}]}":                                   "",
		"{podSelector: {matchLabels: {app: batch}}, ingress: [{from: [{namespaceSelector: {}}], ports: [{port: 80}]}]}":        "any pod of any namespace reach a pod of namespace app on TCP 80; AppTier perimeter allows only any pod of namespace app",
		"{podSelector: {matchLabels: {app: batch}}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 192.0.2.0/24}}]}]}": "a pod of namespace app reach addresses of 192.0.2.0/24 (for example 192.0.2.1)",
	} {
		text := "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: judged, namespace: app}\nspec: " + spec + "\n"
		objects := parse(t, text+"---"+perimeter)
		findings := check.WithSeverity(lint.NetworkPolicy(objects[0].(*networkingv1.NetworkPolicy), worldOf(objects)), check.Reject)
		if want == "" && len(findings) > 0 || want != "" && (len(findings) != 1 || !strings.Contains(findings[0].Message, want)) {
			t.Errorf("%s\ngot:  %v\nwant: %s", spec, findings, want)
		}
	}
}

// Whoever means it says why, and is warned instead of refused.
func TestWideningWithAReason(t *testing.T) {
	example := findEntry(t, netpol.Widens).Example()
	for reason, want := range map[string]check.Severity{"the backup of ticket 42": check.Warn, "": check.Reject, "  ": check.Reject} {
		objects := parse(t, example.Wrong+"---\n"+example.World)
		policy := objects[0].(*networkingv1.NetworkPolicy)
		policy.Annotations = map[string]string{widening.Annotation: reason}
		findings := lint.NetworkPolicy(policy, worldOf(objects))
		if len(findings) != 1 || findings[0].Severity != want || !strings.Contains(findings[0].Message, strings.TrimSpace(reason)) {
			t.Errorf("%q: %v, want %s with the reason", reason, findings, want)
		}
	}
}

// Where the ranges of pods are known, addresses decide too.
func TestWideningWithPodNetworks(t *testing.T) {
	text := "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: judged, namespace: app}\nspec: {podSelector: {matchLabels: {tier: api}}, ingress: [{from: [{podSelector: {matchLabels: {app: x}}}], ports: [{port: 7070}]}]}\n"
	objects := parse(t, text+"---"+ledger)
	for network, want := range map[string]bool{"10.244.0.0/16": false, "192.168.0.0/16": true} {
		world := worldOf(objects)
		world.PodNetworks = []netip.Prefix{netip.MustParsePrefix(network)}
		if got := has(lint.NetworkPolicy(objects[0].(*networkingv1.NetworkPolicy), world), netpol.Widens); got != want {
			t.Errorf("with pods in %s: %v, want %v", network, got, want)
		}
	}
}

func findEntry(t *testing.T, id check.ID) check.Check {
	t.Helper()
	for _, entry := range lint.Catalogue() {
		if entry.ID == id {
			return entry
		}
	}
	t.Fatalf("%s is not in the catalogue", id)
	return check.Check{}
}
