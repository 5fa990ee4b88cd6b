// Package preview shows what can be known of an AppTier without a cluster, while one is being built. It imports little
// beside package policy, so that it is compiled within half a minute.
package preview

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/expand"
	"github.com/apptier/apptier/policy/lint"
	"github.com/apptier/apptier/policy/reach"
	"github.com/apptier/apptier/policy/suggest"
)

// Mistake is an AppTier that names a tier which is not there, and a port that has no name.
const Mistake = `
metadata: {name: typo, namespace: shop}
spec:
  tiers:
  - name: frontend
    podSelector: {matchLabels: {tier: frontend}}
  - name: api
    podSelector: {matchLabels: {tier: api}}
    ports: [{port: 8080}]
    ingress:
    - from: [{tier: fronted}]
      ports: [{port: http}]
`

// Write shows people what an AppTier means, and names the command of the plugin that says each.
func Write(out io.Writer, path string, sample []byte) error {
	app := &v1alpha1.AppTier{}
	if err := yaml.UnmarshalStrict(sample, app); err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	env := expand.DefaultEnvironment()
	env.AppTiers = map[types.NamespacedName]*v1alpha1.AppTier{{Namespace: app.Namespace, Name: app.Name}: app}
	policies := expand.NetworkPolicies(app, env)
	title := func(text, command string) {
		fmt.Fprintf(out, "\n\033[1m%s\033[0m (kubectl apptier %s)\n", text, command)
	}
	fmt.Fprintf(out, "What is known of %s without a cluster:\n", path)

	title("Who may reach whom", "map")
	world := suggest.World{AppTiers: []*v1alpha1.AppTier{app}, Environment: env, Snapshot: reach.Snapshot{Policies: policies, Pods: podsOf(app)}}
	writeMap(out, app, world.Snapshot)

	title("The NetworkPolicies that say so, one of them whole", "render")
	if err := writePolicies(out, policies); err != nil {
		return err
	}

	last := app.Spec.Tiers[len(app.Spec.Tiers)-1]
	flow := flowTo(stranger, podName(app, last.Name), last.Ports[0].Port)
	title("Why a stranger may not, and what to add if he should", "explain")
	fmt.Fprintln(out, reach.Allowed(world.Snapshot, flow))
	if err := writeAdditions(out, suggest.For(world, flow)); err != nil {
		return err
	}

	title("What is wrong with another AppTier", "lint")
	fmt.Fprintln(out, strings.TrimSpace(Mistake))
	return writeFindings(out)
}

var stranger = types.NamespacedName{Namespace: "elsewhere", Name: "visitor"}

func podName(app *v1alpha1.AppTier, tier string) types.NamespacedName {
	return types.NamespacedName{Namespace: app.Namespace, Name: tier}
}

// podsOf are a pod of each tier, and a stranger.
func podsOf(app *v1alpha1.AppTier) []*corev1.Pod {
	pods := []*corev1.Pod{podOf(stranger, map[string]string{"app": stranger.Name}, 2)}
	for i, tier := range app.Spec.Tiers {
		pods = append(pods, podOf(podName(app, tier.Name), tier.PodSelector.MatchLabels, i+3))
	}
	return pods
}

func podOf(name types.NamespacedName, labels map[string]string, number int) *corev1.Pod {
	address := fmt.Sprintf("10.244.1.%d", number)
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: name.Namespace, Name: name.Name, Labels: labels},
		Status:     corev1.PodStatus{Phase: corev1.PodRunning, PodIP: address, PodIPs: []corev1.PodIP{{IP: address}}},
	}
}

func flowTo(from, to types.NamespacedName, port int32) reach.Flow {
	return reach.Flow{Source: reach.Endpoint{Pod: from}, Destination: reach.Endpoint{Pod: to}, Protocol: corev1.ProtocolTCP, Port: port}
}

// writeMap shows who may reach whom.
func writeMap(out io.Writer, app *v1alpha1.AppTier, snapshot reach.Snapshot) {
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprint(table, "from \\ to")
	for _, tier := range app.Spec.Tiers {
		fmt.Fprintf(table, "\t%s:%d", tier.Name, tier.Ports[0].Port)
	}
	fmt.Fprintln(table)
	for _, from := range snapshot.Pods {
		name := types.NamespacedName{Namespace: from.Namespace, Name: from.Name}
		fmt.Fprint(table, name)
		for _, tier := range app.Spec.Tiers {
			word := map[bool]string{true: "yes", false: "."}
			allowed := reach.Allowed(snapshot, flowTo(name, podName(app, tier.Name), tier.Ports[0].Port)).Verdict == reach.Allow
			fmt.Fprint(table, "\t"+word[allowed])
		}
		fmt.Fprintln(table)
	}
	_ = table.Flush() // a write that failed fails again below
}

// writePolicies shows the names of the policies, and the last one whole.
func writePolicies(out io.Writer, policies []*networkingv1.NetworkPolicy) error {
	for i, policy := range policies {
		if i < len(policies)-1 {
			fmt.Fprintf(out, "# NetworkPolicy %s: %d rules for what comes, %d for what goes\n", policy.Name, len(policy.Spec.Ingress), len(policy.Spec.Egress))
			continue
		}
		return writeYAML(out, map[string]any{"kind": "NetworkPolicy", "metadata": map[string]string{"name": policy.Name}, "spec": policy.Spec})
	}
	return nil
}

func writeAdditions(out io.Writer, additions []suggest.Addition) error {
	for _, a := range additions {
		fmt.Fprintf(out, "To allow it, add to %s of AppTier %s:\n", a.Path, a.AppTier)
		if err := writeYAML(out, []any{a.Item}); err != nil {
			return err
		}
	}
	return nil
}

func writeFindings(out io.Writer) error {
	app := &v1alpha1.AppTier{}
	if err := yaml.UnmarshalStrict([]byte(Mistake), app); err != nil {
		return fmt.Errorf("reading the mistake: %w", err)
	}
	for _, finding := range slices.Compact(lint.AppTier(app)) {
		if _, err := fmt.Fprintln(out, finding); err != nil {
			return fmt.Errorf("writing: %w", err)
		}
	}
	return nil
}

func writeYAML(out io.Writer, value any) error {
	text, err := yaml.Marshal(value)
	if err != nil {
		return fmt.Errorf("writing YAML: %w", err)
	}
	_, err = out.Write(text)
	return err
}
