package cli_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"pgregory.net/rapid"

	"github.com/apptier/apptier/internal/cli"
	"github.com/apptier/apptier/internal/cli/exit"
	"github.com/apptier/apptier/policy/kube"
	"github.com/apptier/apptier/policy/reach"
	"github.com/apptier/apptier/policy/reach/reachtest"
)

// manifestsOf are the objects of a snapshot, for standard input.
func manifestsOf(t *rapid.T, s reach.Snapshot) string {
	var objects []runtime.Object
	for _, namespace := range s.Namespaces {
		namespace = namespace.DeepCopy()
		namespace.APIVersion, namespace.Kind = "v1", "Namespace"
		objects = append(objects, namespace)
	}
	for _, pod := range s.Pods {
		pod = pod.DeepCopy()
		pod.APIVersion, pod.Kind = "v1", "Pod"
		objects = append(objects, pod)
	}
	for _, policy := range s.Policies {
		policy = policy.DeepCopy()
		policy.APIVersion, policy.Kind = networkingv1.SchemeGroupVersion.String(), "NetworkPolicy"
		objects = append(objects, policy)
	}
	text, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "List", "items": objects})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// pipe runs a command with manifests on standard input.
func pipe(t *rapid.T, manifests string, args ...string) (stdout string, code int) {
	streams, in, out, errOut := genericiooptions.NewTestIOStreams()
	in.WriteString(manifests)
	command := cli.NewCommand(streams)
	command.SetArgs(append(args, "-f", "-"))
	err := command.ExecuteContext(t.Context())
	if code = exit.Code(err); code == 2 {
		t.Fatalf("%v exits with 2: %v\n%s", args, err, errOut)
	}
	return out.String(), code
}

// isListed says whether a pair is among pairs, by its names or by those of their namespaces.
func isListed(pairs []struct{ From, To []string }, from, to string) bool {
	has := func(names []string, name string) bool {
		namespace, _, _ := strings.Cut(name, "/")
		return slices.Contains(names, name) || slices.Contains(names, "namespace "+namespace)
	}
	return slices.ContainsFunc(pairs, func(p struct{ From, To []string }) bool { return has(p.From, from) && has(p.To, to) })
}

// What a map calls denied, can denies on every port, and what can does not know, a map calls not known.
func TestDeniedAgreesWithCan(t *testing.T) {
	denied, open, unknown := 0, 0, 0
	rapid.Check(t, func(t *rapid.T) {
		options := []reachtest.Option{reachtest.OnlyRunning(), reachtest.OnlyPodNetwork(), reachtest.OnlyDualStack(), reachtest.MaxPods(4)}
		s := reachtest.Snapshot(options...).Draw(t, "snapshot")
		manifests := manifestsOf(t, s)
		stdout, _ := pipe(t, manifests, "map", "--denied", "--dns", "-o", "json")
		var m struct{ Denied, NotKnown []struct{ From, To []string } }
		if err := json.Unmarshal([]byte(stdout), &m); err != nil {
			t.Fatal(err)
		}
		from, to := rapid.SampledFrom(s.Pods).Draw(t, "from"), rapid.SampledFrom(s.Pods).Draw(t, "to")
		if from == to {
			return
		}
		sender, receiver := kube.NameOf(from).String(), kube.NameOf(to).String()
		codes := map[int]bool{}
		for _, protocol := range []string{"TCP", "UDP", "SCTP"} {
			for _, port := range []string{"53", "80", "8080"} {
				_, code := pipe(t, manifests, "can", sender, receiver, "--port", port, "--protocol", protocol)
				codes[code] = true
			}
		}
		isDenied := isListed(m.Denied, sender, receiver)
		switch {
		case isDenied && (codes[0] || codes[exit.Unknown]):
			t.Fatalf("%s -> %s is denied on a map, and can does not deny it", sender, receiver)
		case codes[exit.Unknown] && !isListed(m.NotKnown, sender, receiver):
			t.Fatalf("%s -> %s: can does not know, and the map does not say so", sender, receiver)
		case isDenied:
			denied++
		case codes[exit.Unknown]:
			unknown++
		case codes[0]:
			open++
		}
	})
	if denied == 0 || open == 0 {
		t.Errorf("%d pairs are denied, %d are not, and %d are not known: one of them is not tried", denied, open, unknown)
	}
}
