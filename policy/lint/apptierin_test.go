package lint_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/lint"
	"github.com/apptier/apptier/policy/lint/apptier"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/lint/netpol"
	"github.com/apptier/apptier/policy/lint/world"
)

// told are findings as "check path".
func told(findings []check.Finding) []string {
	var out []string
	for _, finding := range findings {
		out = append(out, string(finding.Check)+" "+string(finding.Path))
	}
	return out
}

// tiersOf is an AppTier of namespace shop with these tiers, and what else is there.
func tiersOf(tiers string) string {
	return "apiVersion: policy.apptier.dev/v1alpha1\nkind: AppTier\nmetadata: {name: shop, namespace: shop}\nspec:\n  tiers: " + tiers + "\n"
}

const (
	apiPod  = "---\nkind: Pod\nmetadata: {name: api-0, namespace: shop, labels: {tier: api}}\nspec: {containers: [{name: main, ports: [{name: http, containerPort: 8080}]}]}\n"
	ambient = "---\nkind: Namespace\nmetadata: {name: shop, labels: {istio.io/dataplane-mode: ambient}}\n"
	probed  = "---\nkind: Pod\nmetadata: {name: web-0, namespace: shop, labels: {tier: web}}\nspec: {containers: [{name: main, livenessProbe: {httpGet: {port: 8080}}}]}\n"
	bothPod = "---\nkind: Pod\nmetadata: {name: both, namespace: shop, labels: {tier: api, role: db}}\n"
	service = "---\nkind: Service\nmetadata: {name: api, namespace: shop}\nspec: {selector: {tier: api}, ports: [{port: 80, targetPort: 8080}]}\n"
)

// What is found is where it stands, and what is not known is no finding.
func TestAppTiersInAWorld(t *testing.T) {
	web := tiersOf("[{name: web, podSelector: {matchLabels: {tier: web}}}]")
	apiAndDB := tiersOf("[{name: api, podSelector: {matchLabels: {tier: api}}}, {name: db, podSelector: {matchLabels: {role: db}}}]")
	for name, test := range map[string]struct {
		app, world string
		want       []string
	}{
		"tiers that could share a pod":                  {apiAndDB, "", nil},
		"tiers that share a pod":                        {apiAndDB, bothPod, []string{"tier-overlap spec.tiers[1].podSelector"}},
		"tiers that shared a pod, which is finished":    {apiAndDB, bothPod + "status: {phase: Failed}\n" + apiPod, []string{"selects-nothing spec.tiers[1].podSelector"}},
		"tiers that share a pod of their node's":        {apiAndDB, bothPod + "spec: {hostNetwork: true}\n", []string{"host-network spec.tiers[0].podSelector", "host-network spec.tiers[1].podSelector"}},
		"tiers of the same labels":                      {tiersOf("[{name: api, podSelector: {matchLabels: {tier: api}}}, {name: v2, podSelector: {matchExpressions: [{key: tier, operator: In, values: [api]}]}}]"), "", []string{"tier-overlap spec.tiers[1].podSelector"}},
		"tiers that exclude each other":                 {tiersOf("[{name: api, podSelector: {matchLabels: {tier: api}}}, {name: rest, podSelector: {matchExpressions: [{key: tier, operator: NotIn, values: [api]}]}}]"), "", nil},
		"a tier of the namespace that no pod is in":     {tiersOf("[{name: api, podSelector: {matchLabels: {tier: apo}}}]"), apiPod, []string{"selects-nothing spec.tiers[0].podSelector"}},
		"a tier of a namespace without pods":            {tiersOf("[{name: api, podSelector: {matchLabels: {tier: apo}}}]"), strings.ReplaceAll(apiPod, "namespace: shop", "namespace: other"), nil},
		"a Service's port, declared":                    {tiersOf("[{name: api, podSelector: {matchLabels: {tier: api}}, ports: [{port: 9000}, {port: 80}], ingress: [{from: [{internet: {}}]}]}]"), apiPod + service, []string{"service-port spec.tiers[0].ports[1].port"}},
		"a Service's port, in a rule":                   {tiersOf("[{name: api, podSelector: {matchLabels: {tier: api}}, ingress: [{from: [{internet: {}}], ports: [{port: 80}]}]}]"), apiPod + service, []string{"service-port spec.tiers[0].ingress[0].ports[0].port"}},
		"a Service's port, that pods listen on as well": {tiersOf("[{name: api, podSelector: {matchLabels: {tier: api}}, ports: [{port: 80}, {port: 8080}], ingress: [{from: [{internet: {}}]}]}]"), apiPod + service, nil},
		"a Service's port in egress to pods":            {tiersOf("[{name: web, podSelector: {matchLabels: {tier: api}}, egress: [{to: [{pods: {podSelector: {matchLabels: {tier: api}}}}], ports: [{port: 80}]}]}]"), apiPod + service, []string{"service-port spec.tiers[0].egress[0].ports[0].port"}},
		"a Service that may be in the cluster":          {tiersOf("[{name: web, podSelector: {matchLabels: {tier: web}}, egress: [{to: [{service: {name: payments}}]}]}]"), service, []string{"not-judged spec.tiers[0].egress[0].to[0].service"}},
		"a Service whose name is nearly another's":      {tiersOf("[{name: web, podSelector: {matchLabels: {tier: web}}, egress: [{to: [{service: {name: apis}}]}]}]"), service, []string{"unknown-reference spec.tiers[0].egress[0].to[0].service"}},
		"a Service of another namespace":                {tiersOf("[{name: web, podSelector: {matchLabels: {tier: web}}, egress: [{to: [{service: {name: api, namespace: prod}}]}]}]"), service, []string{"unknown-reference spec.tiers[0].egress[0].to[0].service"}},
		"DNS of a Service that is not there":            {strings.Replace(tiersOf("[{name: web, podSelector: {matchLabels: {tier: web}}}]"), "spec:", "spec:\n  dns: {mode: Custom, to: [{service: {name: apis}}]}", 1), service, []string{"unknown-reference spec.dns.to[0].service"}},
		"no DNS, and its own":                           {strings.Replace(tiersOf("[{name: web, podSelector: {matchLabels: {tier: web}}, egress: [{to: [{internet: {}}], ports: [{port: 53, protocol: UDP}, {port: 443}]}]}]"), "spec:", "spec:\n  dns: {mode: None}", 1), "", nil},
		"no DNS, and addresses alone":                   {strings.Replace(tiersOf("[{name: web, podSelector: {matchLabels: {tier: web}}, egress: [{to: [{networks: {cidrs: [203.0.113.0/24]}}, {kubeAPIServer: {}}, {nodes: {}}], ports: [{port: 443}]}]}]"), "spec:", "spec:\n  dns: {mode: None}", 1), "", nil},
		"no DNS, and a tier that accepts another":       {strings.Replace(tiersOf("[{name: web, podSelector: {matchLabels: {tier: web}}}, {name: api, podSelector: {matchLabels: {tier: api}}, ports: [{port: 80}], ingress: [{from: [{tier: web}]}]}]"), "spec:", "spec:\n  dns: {mode: None}", 1), "", []string{"dns-none-with-egress spec.dns.mode"}},
		"everything but the cluster's ranges":           {tiersOf("[{name: web, podSelector: {matchLabels: {tier: web}}, egress: [{to: [{networks: {cidrs: [0.0.0.0/0], except: [10.0.0.0/8]}}], ports: [{port: 443}]}]}]"), "", nil},
		"everyone, where egress is open anyway":         {tiersOf("[{name: web, podSelector: {matchLabels: {tier: web}}, isolate: [Ingress]}]"), "", nil},
		"what is refused, and its overlap, at once":     {tiersOf("[{name: api, podSelector: {matchLabels: {tier: api}}}, {name: v2, podSelector: {matchLabels: {tier: api}}, ingress: [{from: [{tier: apy}], allPorts: true}]}]"), apiPod, []string{"unknown-reference spec.tiers[1].ingress[0].from[0].tier", "tier-overlap spec.tiers[1].podSelector"}},
		"probes in an ambient mesh":                     {web, ambient + probed, []string{"probe-unreachable spec.tiers[0].podSelector"}},
		"probes of a pod that leaves the mesh":          {web, ambient + strings.Replace(probed, "tier: web", "tier: web, istio.io/dataplane-mode: none", 1), nil},
		"probes in a mesh that is named":                {strings.Replace(web, "spec:", "spec:\n  mesh: {provider: Istio, dataPlane: Ambient}", 1), ambient + probed, nil},
		"probes in a mesh that is another":              {strings.Replace(web, "spec:", "spec:\n  mesh: {provider: Istio, dataPlane: Sidecar}", 1), ambient + probed, []string{"probe-unreachable spec.tiers[0].podSelector"}},
		"probes without a mesh":                         {web, probed, nil},
		"probes that are let in":                        {tiersOf("[{name: web, podSelector: {matchLabels: {tier: web}}, ingress: [{from: [{networks: {cidrs: [169.254.0.0/16]}}], ports: [{port: 8080}]}]}]"), ambient + probed, nil},
		"probes that are let in on another port":        {tiersOf("[{name: web, podSelector: {matchLabels: {tier: web}}, ingress: [{from: [{everyone: {}}], ports: [{port: 8081}]}]}]"), ambient + probed, []string{"probe-unreachable spec.tiers[0].podSelector"}},
		"probes of open ingress":                        {tiersOf("[{name: web, podSelector: {matchLabels: {tier: web}}, isolate: [Egress]}]"), ambient + probed, nil},
		"probes that run a command":                     {web, ambient + strings.Replace(probed, "httpGet: {port: 8080}", "exec: {command: [ls]}", 1), nil},
		"probes of another host":                        {web, ambient + strings.Replace(probed, "port: 8080}", "port: 8080, host: example.com}", 1), nil},
	} {
		t.Run(name, func(t *testing.T) {
			findings := judgeObject(t, test.app, strings.TrimPrefix(test.world, "---\n"))
			if got := told(findings); !slices.Equal(got, test.want) {
				t.Errorf("found %v\nwant  %v\n%v", got, test.want, findings)
			}
		})
	}
}

// An AppTier alone is judged by what it says: in a world where nothing is known, no mistake is found
// that only the rest of the world shows, and none is missed that the AppTier shows.
func TestNothingIsKnown(t *testing.T) {
	byItself := []check.ID{apptier.WorldEgress, apptier.DNSNoneWithEgress, apptier.TierOverlap, netpol.NamespaceLabelName, netpol.ExcludesNobody, check.NotJudged}
	for _, m := range appMutations {
		d := drawApp(1)
		m.make(d)
		want := lint.AppTier(d.app)
		got := slices.DeleteFunc(lint.AppTierIn(d.app, world.World{}), func(f check.Finding) bool { return slices.Contains(byItself, f.Check) })
		if !slices.Equal(got, want) {
			t.Errorf("%s: found %v, want %v", m.name, got, want)
		}
	}
}

// Findings speak of the AppTier's fields, never of those of the policies that it is judged as.
func TestFindingsAreAboutTheAppTier(t *testing.T) {
	ofAppTier := regexp.MustCompile(`^(metadata\.name|spec\.(mode|isolation|dns|mesh|everyTier|tiers)\b.*)$`)
	for _, m := range appMutations {
		d := drawApp(2)
		m.make(d)
		for _, finding := range lint.AppTierIn(d.app, d.world) {
			if text := finding.Message + finding.Fix; !ofAppTier.MatchString(string(finding.Path)) || strings.Contains(text, "spec.ingress") || strings.Contains(text, "spec.egress") || strings.Contains(text, "ipBlock") {
				t.Errorf("%s: %s", m.name, finding)
			}
		}
	}
}

// The AppTiers that people are shown, in the world that their files make, and beside all others of the
// folder, have nothing to be found fault with.
func TestSamplesAreClean(t *testing.T) {
	count := 0
	for _, pattern := range []string{"../../config/samples/*.yaml", "../../config/samples/patterns/*.yaml", "../../test/patterns/testdata/*.yaml", "../expand/testdata/*.yaml", "testdata/clean/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("no files %s: %v", pattern, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(text), "kind: AppTier") || strings.Contains(string(text), "mode: None") {
				continue // who means to do without DNS is warned
			}
			objects := parse(t, string(text))
			for _, object := range objects {
				app, isAppTier := object.(*v1alpha1.AppTier)
				if !isAppTier {
					continue
				}
				count++
				for _, finding := range lint.AppTierIn(app, worldOf(objects)) {
					t.Errorf("%s: %s", file, finding)
				}
			}
		}
	}
	if t.Logf("%d AppTiers", count); count < 25 {
		t.Errorf("only %d AppTiers were judged", count)
	}
}
