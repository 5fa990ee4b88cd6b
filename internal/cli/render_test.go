package cli_test

import (
	"bytes"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/cli-runtime/pkg/printers"
	"sigs.k8s.io/yaml"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/expand"
	"github.com/apptier/apptier/policy/model"
)

// appTiers reads AppTiers as the manager sees them: the API server has filled the defaults in.
func appTiers(t *testing.T, file string) []*v1alpha1.AppTier {
	t.Helper()
	text, err := os.ReadFile("testdata/input/" + file)
	if err != nil {
		t.Fatal(err)
	}
	var apps []*v1alpha1.AppTier
	for document := range bytes.SplitSeq(text, []byte("\n---\n")) {
		var app v1alpha1.AppTier
		if err := yaml.UnmarshalStrict(document, &app); err != nil {
			t.Fatal(err)
		}
		fillDefaults(&app.Spec)
		apps = append(apps, &app)
	}
	return apps
}

func fillDefaults(spec *v1alpha1.AppTierSpec) {
	spec.Mode = v1alpha1.Enforce
	spec.Isolation = v1alpha1.Isolation{Scope: v1alpha1.ScopeTiers, SameNamespace: v1alpha1.SameNamespaceDeny}
	spec.DNS = v1alpha1.DNS{Mode: v1alpha1.DNSClusterDNS, NodeLocal: v1alpha1.NodeLocalAuto}
	for i := range spec.Tiers {
		if len(spec.Tiers[i].Isolate) == 0 {
			spec.Tiers[i].Isolate = []v1alpha1.Direction{v1alpha1.Ingress, v1alpha1.Egress}
		}
		for j := range spec.Tiers[i].Ports {
			spec.Tiers[i].Ports[j].Protocol = corev1.ProtocolTCP
		}
	}
}

// cluster is what testdata/input/cluster.yaml comes to, written by hand.
func cluster(apps []*v1alpha1.AppTier) expand.Environment {
	tcp := func(port int32) model.Port { return model.Port{Protocol: corev1.ProtocolTCP, Start: port} }
	udp := func(port int32) model.Port { return model.Port{Protocol: corev1.ProtocolUDP, Start: port} }
	addresses := func(text string) []netip.Addr { return []netip.Addr{netip.MustParseAddr(text)} }
	env := expand.Environment{
		DNS: expand.ClusterDNS{
			Namespace:    "kube-system",
			PodSelector:  map[string]string{"k8s-app": "kube-dns"},
			ServicePorts: []model.Port{udp(53), tcp(53)},
			TargetPorts:  []model.Port{udp(1053), tcp(1053)},
			Addresses:    addresses("10.96.0.10"),
		},
		AppTiers: map[types.NamespacedName]*v1alpha1.AppTier{},
		Services: map[types.NamespacedName]expand.Service{
			{Namespace: "cache", Name: "redis"}: {PodSelector: map[string]string{"app": "redis"}, TargetPorts: []model.Port{tcp(6380), tcp(9121)}},
		},
		Nodes: addresses("192.168.0.1"),
		APIServer: expand.APIServer{
			Endpoints: []expand.Listener{{Addresses: addresses("192.168.0.9"), Ports: []model.Port{tcp(6443)}}},
			Service:   expand.Listener{Addresses: addresses("10.96.0.1"), Ports: []model.Port{tcp(443)}},
		},
	}
	for _, app := range apps {
		env.AppTiers[types.NamespacedName{Namespace: app.Namespace, Name: app.Name}] = app
	}
	return env
}

// What is rendered is what the manager applies, byte for byte: the same function makes both, of what
// the objects say.
func TestRenderPrintsWhatTheManagerApplies(t *testing.T) {
	for _, test := range []struct {
		name, args string
		apps       []*v1alpha1.AppTier
		env        func([]*v1alpha1.AppTier) expand.Environment
	}{
		{"alone", input("shop.yaml"), appTiers(t, "shop.yaml"), func([]*v1alpha1.AppTier) expand.Environment { return expand.DefaultEnvironment() }},
		{"with references", input("references.yaml", "cluster.yaml"), appTiers(t, "references.yaml"), cluster},
	} {
		t.Run(test.name, func(t *testing.T) {
			var want bytes.Buffer
			printer := &printers.YAMLPrinter{}
			for _, app := range test.apps {
				for _, policy := range expand.NetworkPolicies(app, test.env(test.apps)) {
					if err := printer.PrintObj(policy, &want); err != nil {
						t.Fatal(err)
					}
				}
			}
			got, stderr, code := run(t, "", strings.Fields("render"+test.args)...)
			if code != 0 || stderr != "" {
				t.Fatalf("exits with %d: %s", code, stderr)
			}
			if diff := cmp.Diff(want.String(), got); diff != "" {
				t.Errorf("differs (-applied +rendered):\n%s", diff)
			}
		})
	}
}

func TestRenderReadsStandardInput(t *testing.T) {
	text, err := os.ReadFile("testdata/input/shop.yaml")
	if err != nil {
		t.Fatal(err)
	}
	want, _, _ := run(t, "", "render", "-f", "testdata/input/shop.yaml")
	got, stderr, code := run(t, string(text), "render", "-f", "-")
	if code != 0 || stderr != "" || got != want {
		t.Errorf("exits with %d: %s\n%s", code, stderr, cmp.Diff(want, got))
	}
}
