package cli_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apptier/apptier/policy/lint"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/lint/netpol"
)

// write makes a folder of files.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	folder := t.TempDir()
	for name, text := range files {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

// found is what lint prints as JSON.
type found struct {
	Findings []struct {
		Check, Severity, File, Object, Path string
		Line, Column                        int
	}
}

func lintJSON(t *testing.T, args ...string) found {
	t.Helper()
	stdout, stderr, _ := run(t, "", append([]string{"lint", "-o", "json"}, args...)...)
	var out found
	if err := json.Unmarshal([]byte(stdout), &out); err != nil {
		t.Fatalf("%v: %s%s", err, stdout, stderr)
	}
	return out
}

// The checks that are made while files are read find their own examples, and nothing in what is put right.
func TestExamplesOfReading(t *testing.T) {
	for _, entry := range lint.Catalogue() {
		example := entry.Example()
		if entry.IsOfObjects() || example.Wrong == "" {
			continue
		}
		folder := write(t, map[string]string{"wrong.yaml": example.Wrong + "---\n" + example.World, "right.yaml": example.Right + "---\n" + example.World})
		wrong := lintJSON(t, "-f", filepath.Join(folder, "wrong.yaml")).Findings
		if len(wrong) != 1 || wrong[0].Check != string(entry.ID) || wrong[0].Severity != string(entry.Severity) || wrong[0].Line == 0 || wrong[0].Column == 0 {
			t.Errorf("%s: found %v", entry.ID, wrong)
		}
		if right := lintJSON(t, "-f", filepath.Join(folder, "right.yaml")).Findings; len(right) > 0 {
			t.Errorf("%s: found in what is put right: %v", entry.ID, right)
		}
	}
}

const policyHead = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p, namespace: shop}\nspec:\n"

// Every value of a wrong type is found, with the indexes that lead to it and its own line.
func TestWrongTypesAreFoundWhereTheyAre(t *testing.T) {
	text := policyHead + `  podSelector: {matchLabels: {app: 1}}
  ingress:
  - ports:
    - port: 80
      protocol: [TCP]
  - from:
    - podSelector:
        matchLabels:
          example.com/ok: "yes"
          example.com/on: true
    ports: {port: 80}
  egress: all
  typo: 1
`
	var got []string
	for _, f := range lintJSON(t, "-f", filepath.Join(write(t, map[string]string{"p.yaml": text}), "p.yaml")).Findings {
		got = append(got, fmt.Sprintf("%s %d:%d", f.Path, f.Line, f.Column))
	}
	want := "spec.podSelector.matchLabels.app 5:31, spec.ingress[0].ports[0].protocol 9:7, " +
		"spec.ingress[1].from[0].podSelector.matchLabels[example.com/on] 14:11, spec.ingress[1].ports 15:5, spec.egress 16:3, spec.typo 17:3"
	if text := strings.Join(got, ", "); text != want {
		t.Errorf("found\n%s, want\n%s", text, want)
	}
}

// What the API server reads in a way that a Go type does not show is read so here.
func TestReadAsTheAPIServerReads(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		want []string
	}{
		"peers that are null":   {policyHead + "  podSelector: {matchLabels: {app: a}}\n  ingress:\n  - from:\n    ports: [{port: 80}]\n", []string{"rule-allows-everyone spec.ingress[0].from"}},
		"no peers":              {policyHead + "  podSelector: {matchLabels: {app: a}}\n  ingress:\n  - ports: [{port: 80}]\n", nil},
		"a status of 1.24":      {policyHead + "  podSelector: {}\n  policyTypes: [Ingress]\nstatus: {}\n", nil},
		"a status that says so": {policyHead + "  podSelector: {}\n  policyTypes: [Ingress]\nstatus: {conditions: [{type: Accepted}]}\n", nil},
		"two generated names":   {strings.Repeat("---\n"+strings.Replace(policyHead, "name: p", "generateName: p-", 1)+"  podSelector: {}\n  policyTypes: [Ingress]\n", 2), nil},
		"an older group":        {strings.Replace(policyHead, "networking.k8s.io/v1", "extensions/v1beta1", 1) + "  podSelector: {}\n", []string{"schema apiVersion"}},
		"another spelling":      {strings.Replace(policyHead, "NetworkPolicy", "networkpolicy", 1) + "  podSelector: {}\n", []string{"schema apiVersion"}},
		"a template":            {strings.Replace(policyHead, "name: p", `name: "{{ .Release.Name }}"`, 1) + "  podSelector: {}\n", []string{"schema metadata.name"}},
		"a template in a list":  {policyHead + "  podSelector: {}\n  ingress:\n  - from: [{ipBlock: {cidr: \"${CIDR}\"}}]\n", []string{"schema spec.ingress[0].from[0].ipBlock.cidr"}},
		"no YAML but of Helm":   {policyHead + "  {{- if .Values.x }}\n  podSelector: {}\n  {{- end }}\n", []string{"schema "}},
		"braces in annotations": {strings.Replace(policyHead, "namespace: shop", `namespace: shop, annotations: {note: "{{x}}"}`, 1) + "  podSelector: {}\n  policyTypes: [Ingress]\n", nil},
		"policies of another kind": {"apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: c, namespace: shop}\nspec: {endpointSelector: {}}\n---\n" + policyHead +
			"  podSelector: {}\n  policyTypes: [Ingress]\n", []string{"not-judged kind"}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, f := range lintJSON(t, "-f", filepath.Join(write(t, map[string]string{"p.yaml": test.text}), "p.yaml")).Findings {
				got = append(got, f.Check+" "+f.Path)
			}
			if strings.Join(got, ", ") != strings.Join(test.want, ", ") {
				t.Errorf("found %q, want %q", got, test.want)
			}
		})
	}
}

// In a folder, what is no manifest is named and left out; the rest is judged.
func TestAFolderWithMoreThanManifests(t *testing.T) {
	folder := write(t, map[string]string{
		"kustomization.yaml": "resources: [policy.yaml]\npatches: [{path: patch.yaml}]\nnamePrefix: x-\n",
		"patch.yaml":         policyHead + "  policyTypes: [Ingress, Egress]\n",
		"patch6902.yaml":     "- {op: remove, path: /spec/ingress}\n",
		"values.yaml":        "replicas: 1\n",
		"policy.yaml":        "# the policy\n" + policyHead + "  podSelector: {matchLabels: {app: a}}\n  ingress:\n  - from: []\n    ports: [{port: 80}]\n",
	})
	left := map[string]bool{}
	for _, f := range lintJSON(t, "-f", folder).Findings {
		if f.Check == string(check.NotJudged) {
			left[filepath.Base(f.File)] = true
		} else if f.Check != string(netpol.RuleAllowsEveryone) || f.Line != 8 {
			t.Errorf("found %v", f)
		}
	}
	if len(left) != 3 || !left["patch.yaml"] || !left["patch6902.yaml"] || !left["values.yaml"] {
		t.Errorf("leaves out %v", left)
	}
	built := lintJSON(t, "-k", folder).Findings
	if len(built) != 1 || filepath.Base(built[0].File) != "policy.yaml" || built[0].Line != 8 || built[0].Object != "NetworkPolicy shop/x-p" {
		t.Errorf("of what is built, found %v", built)
	}
}

// A policy of another kind makes an answer unknown where it could decide, and nowhere else.
func TestOtherPoliciesAreNotIgnored(t *testing.T) {
	const pods = "apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: shop, labels: {app: a}}\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: b, namespace: shop, labels: {app: b}}\n---\n"
	admin := func(spec string) string {
		return "apiVersion: policy.networking.k8s.io/v1alpha1\nkind: AdminNetworkPolicy\nmetadata: {name: p}\nspec: " + spec + "\n"
	}
	for name, test := range map[string]struct {
		policy string
		code   int
	}{
		"for the namespace of the destination": {admin("{subject: {namespaces: {matchLabels: {kubernetes.io/metadata.name: shop}}}, ingress: [{action: Deny}]}"), 3},
		"for another namespace":                {admin("{subject: {namespaces: {matchLabels: {kubernetes.io/metadata.name: prod}}}, ingress: [{action: Deny}]}"), 0},
		"for namespaces whose labels decide":   {admin("{subject: {namespaces: {matchLabels: {team: x}}}, ingress: [{action: Deny}]}"), 3},
		"for the destination's labels":         {admin("{subject: {pods: {namespaceSelector: {}, podSelector: {matchLabels: {app: b}}}}, ingress: [{action: Deny}]}"), 3},
		"for the source, about ingress":        {admin("{subject: {pods: {namespaceSelector: {}, podSelector: {matchLabels: {app: a}}}}, ingress: [{action: Deny}]}"), 0},
		"for the source, about egress":         {admin("{subject: {pods: {namespaceSelector: {}, podSelector: {matchLabels: {app: a}}}}, egress: [{action: Deny}]}"), 3},
		"of Cilium, in the namespace":          {"apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: p, namespace: shop}\nspec: {endpointSelector: {}}\n", 3},
		"of Cilium, in another":                {"apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: p, namespace: prod}\nspec: {endpointSelector: {}}\n", 0},
		"of Calico, for all":                   {"apiVersion: projectcalico.org/v3\nkind: GlobalNetworkPolicy\nmetadata: {name: p}\nspec: {selector: all()}\n", 3},
		"of Calico, staged":                    {"apiVersion: projectcalico.org/v3\nkind: StagedGlobalNetworkPolicy\nmetadata: {name: p}\nspec: {selector: all()}\n", 0},
	} {
		t.Run(name, func(t *testing.T) {
			if stdout, stderr, code := run(t, pods+test.policy, "can", "shop/a", "shop/b", "--port", "80", "-f", "-"); code != test.code {
				t.Errorf("exits with %d, want %d: %s%s", code, test.code, stdout, stderr)
			}
		})
	}
}

// APIs of other servers, and webhooks that convert, are called by the API server too.
func TestBackendsOfUntypedKinds(t *testing.T) {
	const app = `---
apiVersion: v1
kind: Service
metadata: {name: api, namespace: shop}
spec: {selector: {app: api}, ports: [{port: 443, targetPort: 6443}]}
---
apiVersion: v1
kind: Pod
metadata: {name: api, namespace: shop, labels: {app: api}}
spec: {containers: [{name: c, image: c}]}
---
` + policyHead + "  podSelector: {matchLabels: {app: api}}\n  policyTypes: [Ingress]\n"
	for _, caller := range []string{
		"apiVersion: apiregistration.k8s.io/v1\nkind: APIService\nmetadata: {name: v1.example.com}\nspec: {service: {name: api, namespace: shop}}\n",
		"apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: things.example.com}\nspec: {conversion: {webhook: {clientConfig: {service: {name: api, namespace: shop, port: 443}}}}}\n",
	} {
		stdout, _, _ := run(t, caller+app, "lint", "-f", "-")
		if !strings.Contains(stdout, "(apiserver-unreachable)") {
			t.Errorf("%s\nis not found: %s", caller, stdout)
		}
	}
}
