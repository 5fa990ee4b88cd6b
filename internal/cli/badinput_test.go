package cli_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// A document that is wrong is reported with its file, its place in it, and what is wrong; the documents
// around it are judged all the same, and nothing passes.
func TestBadDocumentsKeepNoOthersFromBeingJudged(t *testing.T) {
	const ours = "apiVersion: policy.apptier.dev/v1alpha1\nkind: AppTier\n"
	const policy = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: bad}\n"
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for _, test := range []struct{ name, document, want string }{
		{"no YAML", "kind: AppTier\nspec: [\n", "standard input:11 (document 2): not valid YAML: line 11: did not find expected node content"},
		{"no text", "\x00\x01", "standard input (document 2): not valid YAML: control characters are not allowed"},
		{"no UTF-8", "kind: \xff", "standard input (document 2): not valid YAML: invalid leading UTF-8 octet"},
		{"a word", "hello\n", "standard input:9 (document 2): not a Kubernetes object: a string where an object is wanted"},
		{"a sequence", "- kind: AppTier\n", "standard input:9 (document 2): not a Kubernetes object: a list where an object is wanted"},
		{"no kind", "spec: {}\n", "standard input:9 (document 2): not a Kubernetes object: it has no apiVersion or no kind"},
		{"a kind that is no word", "apiVersion: v1\nkind: {}\n", "standard input:9 (document 2): not a Kubernetes object: kind: an object where a string is wanted"},
		{"another kind of ours", "apiVersion: policy.apptier.dev/v1alpha1\nkind: Apptier\n", "standard input:10 (document 2): kind: Apptier of policy.apptier.dev/v1alpha1 is not known here"},
		{"another version of ours", "apiVersion: policy.apptier.dev/v9\nkind: AppTier\n", "standard input:10 (document 2): kind: AppTier of policy.apptier.dev/v9 is not known here"},
		{"keys given twice", ours + "spec:\n  tiers: []\n  tiers: []\n", `standard input:13 (document 2): not valid YAML: unmarshal errors: line 13: key "tiers" already set in map`},
		{"unknown fields of an AppTier", ours + "spec:\n  teirs: []\n", "standard input:12 (document 2): AppTier: spec.teirs: unknown field"},
		{"unknown fields of a policy", policy + "spec:\n  podSelector: {}\n  ingres: []\n", "standard input:14 (document 2): NetworkPolicy bad: spec.ingres: unknown field"},
		{"wrong types in an AppTier", ours + "spec: {tiers: {}}\n", "standard input:11 (document 2): AppTier: spec.tiers: an object where a list is wanted"},
		{"wrong types in a policy", policy + "spec:\n  podSelector: {}\n  policyTypes: Ingress\n", "standard input:14 (document 2): NetworkPolicy bad: spec.policyTypes: a string where a list is wanted"},
		{"wrong types in what is only looked at", "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec: {containers: web}\n", "standard input:12 (document 2): Pod web: spec.containers: a string where a list is wanted"},
		{"an item of a list", "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Namespace}\n- spec: {}\n", "standard input:13 (document 2, item 2): not a Kubernetes object: it has no apiVersion or no kind"},
		{"a list within a list", "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: List\n  items: [{}]\n", "standard input:12 (document 2, item 1): a list within a list"},
		{"items that are no sequence", "apiVersion: v1\nkind: List\nitems: {a: b}\n", "standard input:11 (document 2): items: an object where a list is wanted"},
		{"too deep for YAML", ours + "spec: " + deep(20_000) + "\n", "standard input:11 (document 2): not valid YAML: line 11: exceeded max depth of 10000"},
		{"deep where a list is wanted", ours + "spec: {tiers: " + deep(5_000) + "}\n", "standard input:11 (document 2): AppTier: spec.tiers[0]: a list where an object is wanted"},
		{"aliases of aliases", ours + aliases(12) + "\n", "standard input:9 (document 2): not valid YAML: document contains excessive aliasing"},
		{"10 MB of an unknown field", ours + "spec: {note: " + strings.Repeat("x", 10<<20) + "}\n", "standard input:11 (document 2): AppTier: spec.note: unknown field"},
		{"10 MB of opening brackets", strings.Repeat("[", 10<<20), "standard input:9 (document 2): not valid YAML: line 9: exceeded max depth of 10000"},
	} {
		t.Run(test.name, func(t *testing.T) {
			stdout, stderr, code := run(t, strings.Join([]string{tierless("first"), test.document, tierless("last")}, "\n---\n"), "lint", "-f", "-")
			if code != 1 || strings.Contains(stderr, "error:") {
				t.Errorf("exits with %d: %.500s", code, stderr)
			}
			want := strings.Replace(test.want, "): ", "): error: ", 1)
			if !slices.ContainsFunc(strings.Split(stdout, "\n"), func(line string) bool { return strings.HasPrefix(line, want) }) {
				t.Errorf("says %.900s\nand not %s", stdout, want)
			}
			for _, other := range []string{"(document 1): error: AppTier default/first: spec.tiers", "(document 3): error: AppTier default/last: spec.tiers"} {
				if !strings.Contains(stdout, other) {
					t.Errorf("does not judge %s: %.500s", other, stdout)
				}
			}
		})
	}
}

// tierless is an AppTier that is refused.
func tierless(name string) string {
	return "apiVersion: policy.apptier.dev/v1alpha1\nkind: AppTier\nmetadata:\n  name: " + name + "\nspec:\n  tiers:\n  - {name: web, podSelector: {}}"
}

// aliases is a mapping that each level repeats ten times what the one before is.
func aliases(levels int) string {
	text := "a0: &a0 x"
	for i := range levels {
		text += fmt.Sprintf("\na%d: &a%d [%s]", i+1, i+1, strings.Join(slices.Repeat([]string{fmt.Sprint("*a", i)}, 10), ", "))
	}
	return text
}

// What is not ours to judge is left alone, however large or deep it is.
func TestOtherKindsAreLeftAlone(t *testing.T) {
	deep := strings.Repeat("[", 5_000) + strings.Repeat("]", 5_000)
	for name, document := range map[string]string{
		"another kind":            "apiVersion: v1\nkind: ConfigMap\ndata: [any, thing]\n",
		"another kind of the API": "apiVersion: networking.k8s.io/v1\nkind: Ingress\nspec: 7\n",
		"10 MB":                   "apiVersion: v1\nkind: ConfigMap\ndata: {text: " + strings.Repeat("x", 10<<20) + "}\n",
		"a deep one":              "apiVersion: example.com/v1\nkind: Nest\nspec: " + deep + "\n",
		"fields to come of a pod": "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec: {later: 1}\n",
		"nothing":                 "# nothing\n",
	} {
		t.Run(name, func(t *testing.T) {
			stdout, stderr, code := run(t, document+"---\n"+tierless("last"), "lint", "-f", "-")
			if code != 1 || !strings.HasPrefix(stderr, "judged 1 AppTier and 0 NetworkPolicies") || !strings.Contains(stdout, "error: AppTier default/last: spec.tiers") {
				t.Errorf("exits with %d: %.500s\n%.500s", code, stdout, stderr)
			}
		})
	}
}

// A check that would have to know what could not be read says nothing: here, whether another policy
// lets the pods resolve names.
func TestWhatCannotBeReadIsNotTakenToBeMissing(t *testing.T) {
	policy := `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web}
spec:
  podSelector: {matchLabels: {app: web}}
  policyTypes: [Egress]
  egress: [{to: [{podSelector: {matchLabels: {app: api}}}], ports: [{port: 80}]}]
`
	if stdout, _, code := run(t, policy, "lint", "-f", "-"); code != 0 || !strings.Contains(stdout, "(dns-missing)") {
		t.Fatalf("exits with %d: %s", code, stdout)
	}
	if stdout, _, code := run(t, policy+"---\n[\n", "lint", "-f", "-"); code != 1 || strings.Contains(stdout, "dns-missing") {
		t.Errorf("exits with %d: %s", code, stdout)
	}
}

// An address is no file, and kubectl's own -f takes one: the way there is said.
func TestAnAddressOfAFile(t *testing.T) {
	_, stderr, code := run(t, "", "lint", "-f", "https://example.com/shop.yaml")
	if want := "curl -sSL https://example.com/shop.yaml | kubectl apptier lint -f -"; code != 2 || !strings.Contains(stderr, want) {
		t.Errorf("exits with %d: %s", code, stderr)
	}
}

// What a command is about comes before what all of kubectl's commands have.
func TestHelpPartsFlags(t *testing.T) {
	stdout, _, _ := run(t, "", "lint", "--help")
	own, kubectls, isParted := strings.Cut(stdout, "\nFlags of kubectl, for finding a cluster:\n")
	if !isParted || !strings.Contains(own, "--fail-on") || strings.Contains(own, "--token") || !strings.Contains(kubectls, "--token") || strings.Contains(kubectls, "--namespace") {
		t.Errorf("prints:\n%s", stdout)
	}
	stdout, _, _ = run(t, "", "checks", "--help")
	if strings.Contains(stdout, "Flags of kubectl") {
		t.Errorf("prints:\n%s", stdout)
	}
}

// A selector with a choice of no values, which the API server refuses, is no reason to break down.
func TestASelectorOfNoValues(t *testing.T) {
	const policy = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: bad, namespace: shop}\n" +
		"spec: {podSelector: {matchExpressions: [{key: app, operator: In}]}, ingress: [{from: [{podSelector: " +
		"{matchExpressions: [{key: app, operator: In, values: []}]}}]}]}\n"
	for _, command := range [][]string{{"import", "-"}, {"map", "-f", "-"}} {
		if _, stderr, code := run(t, policy, command...); code != 0 {
			t.Errorf("%s exits with %d: %.500s", command[0], code, stderr)
		}
	}
}
