package scenario_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/apptier/apptier/internal/testenv/manifests"
	"github.com/apptier/apptier/internal/testenv/repository"

	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/yaml"
)

// The components change config/default as they say.
func TestComponents(t *testing.T) {
	for component, check := range map[string]struct{ has, lacks []string }{
		"no-enforcer": {
			has:   []string{"name: apptier-manager\n"},
			lacks: []string{"apptier-enforcer", "NET_ADMIN"},
		},
		"enforcer-metrics": {
			has: []string{"- --metrics-bind-address=:9808\n", "- --metrics-secure\n", "name: system:auth-delegator\n"},
		},
		"enforcer-monitors": {
			has: []string{"clusterIP: None\n", "kind: ServiceMonitor\n"},
		},
		"monitors": {
			has: []string{"kind: ServiceMonitor\n", "bearerTokenFile: "},
		},
		"no-nri": {
			has:   []string{"- --nri-socket=\n", "name: apptier-enforcer\n"},
			lacks: []string{"/var/run/nri", "name: nri"},
		},
		"strict": {
			has: []string{"failurePolicy: Ignore", "failurePolicy: Fail\n  matchConditions:", "failurePolicy: Fail\n  name: apptier.policy.apptier.dev\n"},
		},
		"widen-verb": {
			has:   []string{"name: apptier-widening\n", "policyName: apptier-widening\n", "- widen\n", "name: apptier-widener-role\n"},
			lacks: []string{"- '*'\n"},
		},
		"cert-manager": {
			has: []string{"kind: Certificate", "cert-manager.io/inject-ca-from: apptier-system/apptier-webhook", "--rotate-certs=false", "secretName: apptier-webhook-cert"},
			// The manager keeps the certificate of the API of connections all the same.
			lacks: []string{"  name: apptier-webhook-cert\n", "  - apptier-webhook-cert\n", "emptyDir",
				"  - validatingwebhookconfigurations\n  verbs:\n  - get\n  - list\n  - patch"},
		},
	} {
		t.Run(component, func(t *testing.T) {
			manifests := string(build(t, "components: ["+config(t, "components", component)+"]"))
			for _, text := range check.has {
				if !strings.Contains(manifests, text) {
					t.Errorf("no %q in the manifests", text)
				}
			}
			for _, text := range check.lacks {
				if strings.Contains(manifests, text) {
					t.Errorf("%q in the manifests", text)
				}
			}
		})
	}
}

// Other pods reach the manager's metrics, its webhook and its API of connections, and nothing else; and the patch that the
// manifest shows leaves the latter two to the API server.
func TestManagersNetworkPolicy(t *testing.T) {
	text, err := os.ReadFile(config(t, "manager", "network_policy.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var patch strings.Builder
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "#   "); ok {
			patch.WriteString(rest)
		}
	}
	for name, try := range map[string]struct {
		more string
		want []string
	}{
		"by default":     {"", []string{"8443 from anyone", "9443 from anyone", "9444 from anyone"}},
		"with its patch": {patch.String(), []string{"8443 from anyone", "9443 from 192.0.2.10/32", "9444 from 192.0.2.10/32"}},
	} {
		t.Run(name, func(t *testing.T) {
			var policy networkingv1.NetworkPolicy
			for document := range strings.SplitSeq(string(build(t, try.more)), "\n---\n") {
				if strings.Contains(document, "kind: NetworkPolicy\n") && strings.Contains(document, "name: apptier-manager\n") {
					if err := yaml.UnmarshalStrict([]byte(document), &policy); err != nil {
						t.Fatal(err)
					}
				}
			}
			var got []string
			for _, rule := range policy.Spec.Ingress {
				from := "anyone"
				for _, peer := range rule.From {
					from = peer.IPBlock.CIDR
				}
				for _, port := range rule.Ports {
					got = append(got, port.Port.String()+" from "+from)
				}
			}
			if !slices.Equal(got, try.want) || !slices.Equal(policy.Spec.PolicyTypes, []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}) {
				t.Errorf("lets in %v, and is about %v", got, policy.Spec.PolicyTypes)
			}
			if policy.Spec.PodSelector.MatchLabels["app.kubernetes.io/component"] != "manager" {
				t.Errorf("selects %v", policy.Spec.PodSelector)
			}
		})
	}
}

// config is a path in the repository's config folder.
func config(t *testing.T, elements ...string) string {
	t.Helper()
	root, err := repository.Dir(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(append([]string{root, "config"}, elements...)...)
}

// build makes a kustomization on top of config/default.
func build(t *testing.T, more string) []byte {
	t.Helper()
	dir := t.TempDir()
	relative := func(path string) string {
		out, err := filepath.Rel(dir, path)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	base := config(t)
	text := "resources: [" + relative(filepath.Join(base, "default")) + "]\n" + strings.ReplaceAll(more, base, relative(base)) + "\n"
	if err := os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := manifests.KustomizeDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
