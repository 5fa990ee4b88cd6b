package model_test

import (
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/model"
)

// eachKind calls do with a peer of each kind that the schema has: a field each.
func eachKind(do func(field string, peer *v1alpha1.Peer)) {
	schema := reflect.TypeFor[v1alpha1.Peer]()
	for i := range schema.NumField() {
		var peer v1alpha1.Peer
		field := reflect.ValueOf(&peer).Elem().Field(i)
		field.Set(reflect.New(field.Type().Elem()))
		name, _, _ := strings.Cut(schema.Field(i).Tag.Get("json"), ",")
		do(name, &peer)
	}
}

// What is asked answers with its name.
type named struct{}

func (named) Tier(string) string                        { return "tier" }
func (named) AppTier(*v1alpha1.AppTierReference) string { return "appTier" }
func (named) Pods(*v1alpha1.PodsPeer) string            { return "pods" }
func (named) Namespaces(*metav1.LabelSelector) string   { return "namespaces" }
func (named) Networks(*v1alpha1.NetworksPeer) string    { return "networks" }
func (named) Internet() string                          { return "internet" }
func (named) Everyone() string                          { return "everyone" }
func (named) Nodes() string                             { return "nodes" }
func (named) KubeAPIServer() string                     { return "kubeAPIServer" }
func (named) Service(*v1alpha1.ServiceReference) string { return "service" }
func (named) Nobody() string                            { return "nobody" }

// Every field of a peer is a kind, and each is visited as what it is.
func TestEveryKindIsVisited(t *testing.T) {
	eachKind(func(field string, peer *v1alpha1.Peer) {
		if peer.Kind() != v1alpha1.PeerKind(field) || model.Visit(peer, named{}) != field {
			t.Errorf("%s: kind %q, visited as %q", field, peer.Kind(), model.Visit(peer, named{}))
		}
	})
	tier := "api"
	for name, peer := range map[string]v1alpha1.Peer{"none": {}, "two": {Tier: &tier, Everyone: &v1alpha1.EveryonePeer{}}} {
		if peer.Kind() != "" || model.Visit(&peer, named{}) != "nobody" {
			t.Errorf("%s: kind %q, visited as %q", name, peer.Kind(), model.Visit(&peer, named{}))
		}
	}
}

// The schema's rules in CEL name the kinds by hand.
func TestRulesOfTheSchemaNameEveryKind(t *testing.T) {
	crd, err := os.ReadFile("../../config/crd/bases/policy.apptier.dev_apptiers.yaml")
	if err != nil {
		t.Fatal(err)
	}
	names := func(pattern string) []string {
		var out []string
		for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(crd), -1) {
			out = append(out, match[1])
		}
		slices.Sort(out)
		return slices.Compact(out)
	}
	var kinds, bringing []string
	eachKind(func(field string, peer *v1alpha1.Peer) {
		kinds = append(kinds, field)
		if model.BringsPorts(peer) {
			bringing = append(bringing, field)
		}
	})
	slices.Sort(kinds)
	slices.Sort(bringing)
	if diff := cmp.Diff(kinds, names(`\(has\(self\.(\w+)\)\s+\?\s+1\s+:\s+0\)`)); diff != "" {
		t.Errorf("exactly one of these is to be set (-kinds +rule):\n%s", diff)
	}
	if diff := cmp.Diff(bringing, names(`has\(p\.(\w+)\)`)); diff != "" {
		t.Errorf("these bring ports (-kinds +rule):\n%s", diff)
	}
}

func parse(t *testing.T, spec string) *v1alpha1.AppTier {
	t.Helper()
	app := &v1alpha1.AppTier{}
	app.Namespace, app.Name = "shop", "shop"
	if err := yaml.UnmarshalStrict([]byte(spec), &app.Spec); err != nil {
		t.Fatal(err)
	}
	return app
}

const spec = `
everyTier:
  ingress: [{from: [{everyone: {}}], ports: [{port: 9090}]}]
  egress: [{to: [{nodes: {}}, {appTier: {namespace: hub, name: hub, tier: log}}], allPorts: true}]
dns: {mode: Custom, to: [{service: {name: dns}}]}
tiers:
- name: web
  podSelector: {matchLabels: {tier: web}}
  ports: [{name: http, port: 80}, {name: many, port: 1000, endPort: 2000, protocol: UDP}]
  ingress:
  - {from: [{internet: {}}, {tier: api}]}
  - {from: [{nodes: {}}], ports: [{port: http}, {port: 443}, {port: gone}]}
- name: api
  isolate: [Egress]
  podSelector: {matchLabels: {tier: api}}
  egress: [{to: [{service: {namespace: data, name: db}}, {kubeAPIServer: {}}]}]
`

// written is a rule on one line.
func written(rule *model.Rule, tier *v1alpha1.Tier) string {
	var places []string
	for i := range rule.Peers {
		places = append(places, fmt.Sprint(rule.PeerAt(i), "=", rule.Peers[i].Kind()))
	}
	text := strings.Join(places, " ")
	if tier != nil {
		text += fmt.Sprint(" on ", rule.PortsOf(tier))
	}
	return text
}

func TestRulesAndTheirPlaces(t *testing.T) {
	app := parse(t, spec)
	var got []string
	for rule := range model.Rules(&app.Spec) {
		got = append(got, written(&rule, nil))
	}
	want := []string{
		"spec.everyTier.ingress[0].from[0]=everyone",
		"spec.everyTier.egress[0].to[0]=nodes spec.everyTier.egress[0].to[1]=appTier",
		"spec.tiers[0].ingress[0].from[0]=internet spec.tiers[0].ingress[0].from[1]=tier",
		"spec.tiers[0].ingress[1].from[0]=nodes",
		"spec.tiers[1].egress[0].to[0]=service spec.tiers[1].egress[0].to[1]=kubeAPIServer",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for at, want := range map[model.Place]string{
		model.Setting("mesh"):               "spec.mesh",
		model.Tier(3):                       "spec.tiers[3]",
		model.DNSServer(2).Child("service"): "spec.dns.to[2].service",
	} {
		if at.String() != want {
			t.Errorf("%s, not %s", at, want)
		}
	}
}

// The rules that are for a tier are its own, then those of every tier, and mean its ports.
func TestRulesOfATier(t *testing.T) {
	app := parse(t, spec)
	of := func(tier string, direction v1alpha1.Direction) []string {
		var out []string
		for _, rule := range model.RulesOf(&app.Spec, model.TierIndex(&app.Spec, tier), direction) {
			out = append(out, written(&rule, model.TierNamed(&app.Spec, tier)))
		}
		return out
	}
	for name, test := range map[string]struct{ got, want []string }{
		"web is reached": {of("web", v1alpha1.Ingress), []string{
			"spec.tiers[0].ingress[0].from[0]=internet spec.tiers[0].ingress[0].from[1]=tier on {false [{TCP 80 0} {UDP 1000 2000}]}",
			"spec.tiers[0].ingress[1].from[0]=nodes on {false [{TCP 80 0} {TCP 443 0}]}",
			"spec.everyTier.ingress[0].from[0]=everyone on {false [{TCP 9090 0}]}",
		}},
		"api connects": {of("api", v1alpha1.Egress), []string{
			"spec.tiers[1].egress[0].to[0]=service spec.tiers[1].egress[0].to[1]=kubeAPIServer on {false []}",
			"spec.everyTier.egress[0].to[0]=nodes spec.everyTier.egress[0].to[1]=appTier on {true []}",
		}},
	} {
		if diff := cmp.Diff(test.want, test.got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestWhatATierIsolates(t *testing.T) {
	app := parse(t, spec)
	api := model.TierNamed(&app.Spec, "api")
	if model.Isolates(&app.Spec, api, v1alpha1.Ingress) || !model.Isolates(&app.Spec, api, v1alpha1.Egress) {
		t.Error("api isolates egress alone")
	}
	app.Spec.Isolation.Scope = v1alpha1.ScopeNamespace
	if !model.Isolates(&app.Spec, api, v1alpha1.Ingress) || model.TierIsolates(api, v1alpha1.Ingress) {
		t.Error("the namespace isolates api, which does not ask for it itself")
	}
	if model.TierNamed(&app.Spec, "db") != nil {
		t.Error("there is no tier db")
	}
}

func TestReferences(t *testing.T) {
	got := model.ReferencesOf(parse(t, spec), parse(t, spec))
	want := model.References{
		AppTiers: []types.NamespacedName{{Namespace: "hub", Name: "hub"}},
		Services: []types.NamespacedName{{Namespace: "data", Name: "db"}, {Namespace: "shop", Name: "dns"}},
		Nodes:    true, APIServer: true,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestPorts(t *testing.T) {
	set := func(ports ...model.Port) model.Ports { return model.Ports{Of: ports} }
	all, none := model.Ports{All: true}, model.Ports{}
	web, many := set(model.Port{Protocol: corev1.ProtocolTCP, Start: 80}), set(model.Port{Protocol: corev1.ProtocolTCP, Start: 1, End: 99})
	dns := set(model.Port{Protocol: corev1.ProtocolUDP, Start: 80})
	for _, test := range []struct {
		a, b     model.Ports
		overlaps bool
	}{{web, many, true}, {web, dns, false}, {all, dns, true}, {all, all, true}, {all, none, false}, {none, none, false}} {
		if test.a.Overlaps(test.b) != test.overlaps || test.b.Overlaps(test.a) != test.overlaps {
			t.Errorf("%v and %v: want %t", test.a, test.b, test.overlaps)
		}
	}
	if !all.HasTCP() || !web.HasTCP() || dns.HasTCP() || none.HasTCP() {
		t.Error("only all ports and web have TCP")
	}
}
