package adopt_test

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/adopt"
	"github.com/apptier/apptier/policy/compare"
	"github.com/apptier/apptier/policy/expand"
	"github.com/apptier/apptier/policy/lint"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/reach"
	"github.com/apptier/apptier/policy/reach/reachtest"
)

var (
	outside   = addresses("203.0.113.7", "8.8.8.8", "10.0.0.1", "2001:db8::7", "192.168.0.10", "169.254.20.10")
	numbers   = []int32{1, 52, 53, 79, 80, 81, 85, 8080, 8085, 65535}
	protocols = []corev1.Protocol{corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP, "GRE"}
)

func addresses(texts ...string) []netip.Addr {
	var out []netip.Addr
	for _, text := range texts {
		out = append(out, netip.MustParseAddr(text))
	}
	return out
}

// inputOf has all policies of a snapshot imported.
func inputOf(s reach.Snapshot) adopt.Input {
	in := adopt.Input{
		Policies: s.Policies, Namespaces: s.Namespaces, Environment: expand.DefaultEnvironment(),
		Refuses: func(app *v1alpha1.AppTier) string {
			for _, f := range lint.AppTier(app) {
				if f.Severity == check.Reject {
					return refused + f.String()
				}
			}
			return ""
		},
	}
	for _, pod := range s.Pods {
		in.Pods = append(in.Pods, adopt.Pod{Pod: pod, Workload: pod.Labels["app"]})
	}
	return in
}

func proverOf(before reach.Snapshot) adopt.Prover {
	return func(ctx context.Context, policies []*networkingv1.NetworkPolicy) (compare.Result, error) {
		after := before
		after.Policies = policies
		return compare.States(ctx, before, after, outside)
	}
}

// After an import every connection is allowed or denied as before, or is among the differences: of the pods that there
// are. Of others, which may have any labels, none may be opened but those that call a port by another number.
func TestImportOpensNothingUnsaid(t *testing.T) {
	adopted, stays, differences, wrong := 0, 0, 0, 0
	rapid.Check(t, func(t *rapid.T) {
		before := reachtest.Snapshot(reachtest.OnlyRunning(), reachtest.MaxPods(5)).Draw(t, "before")
		in := inputOf(before)
		in.Narrow = rapid.Bool().Draw(t, "narrow")
		out, err := adopt.Import(t.Context(), in, proverOf(before))
		if err != nil {
			t.Fatal(err)
		}
		if len(out.Adopted)+len(out.Stays) != len(before.Policies) {
			t.Fatalf("%d policies became %d and %d", len(before.Policies), len(out.Adopted), len(out.Stays))
		}
		adopted, stays, differences = adopted+len(out.Adopted), stays+len(out.Stays), differences+len(out.Differences.Changes)
		for _, app := range out.AppTiers {
			if why := in.Refuses(app); why != "" {
				t.Fatalf("AppTier %s is refused: %s", app.Name, why)
			}
		}
		wrong += wrongIn(out)
		after := before
		after.Policies = slices.Clone(out.Policies)
		for _, s := range out.Stays {
			after.Policies = append(after.Policies, s.Policy)
		}
		listed := listedIn(out.Differences)
		sameExceptListed(t, before, after, listed, false)

		more := reachtest.Snapshot(reachtest.OnlyRunning(), reachtest.MaxPods(5)).Draw(t, "others").Pods
		if hasNamedPorts(before.Policies) {
			return
		}
		for _, s := range []*reach.Snapshot{&before, &after} {
			s.Pods = slices.Clone(more)
		}
		sameExceptListed(t, before, after, nil, in.Narrow)
	})
	t.Logf("%d adopted, %d stay, of which %d after a proof; %d differences", adopted, stays, wrong, differences)
	if adopted == 0 || stays == 0 {
		t.Errorf("%d policies became AppTiers, and %d stay: one of them is not tried", adopted, stays)
	}
	if wrong > 0 {
		t.Errorf("%d policies stay since what was proposed for them was wrong", wrong)
	}
}

// refused begins the reason for which checks refuse an AppTier.
const refused = "refused: "

// wrongIn counts the policies that stay since what was proposed for them was refused, or not the same.
func wrongIn(out adopt.Result) int {
	n := 0
	for _, s := range out.Stays {
		if strings.HasPrefix(s.Reason, refused) || strings.HasPrefix(s.Reason, "an AppTier would change") {
			n++
		}
	}
	return n
}

func hasNamedPorts(policies []*networkingv1.NetworkPolicy) bool {
	return slices.ContainsFunc(policies, func(p *networkingv1.NetworkPolicy) bool {
		for _, rule := range p.Spec.Ingress {
			if isNamed(rule.Ports) {
				return true
			}
		}
		return slices.ContainsFunc(p.Spec.Egress, func(r networkingv1.NetworkPolicyEgressRule) bool { return isNamed(r.Ports) })
	})
}

func isNamed(ports []networkingv1.NetworkPolicyPort) bool {
	return slices.ContainsFunc(ports, func(p networkingv1.NetworkPolicyPort) bool { return p.Port != nil && p.Port.StrVal != "" })
}

func listedIn(result compare.Result) map[string]bool {
	listed := map[string]bool{}
	for _, c := range result.Changes {
		for _, from := range c.From {
			for _, to := range c.To {
				for _, number := range numbers {
					if c.First <= number && number <= c.Last {
						listed[keyOf(from, to, c.Protocol, number)] = true
					}
				}
			}
		}
	}
	return listed
}

func keyOf(from, to reach.Endpoint, protocol corev1.Protocol, port int32) string {
	return fmt.Sprint(from, to, protocol, port)
}

// sameExceptListed asks both states about every connection. Some may be closed, if that is wished.
func sameExceptListed(t *rapid.T, before, after reach.Snapshot, listed map[string]bool, mayClose bool) {
	old, now := reach.New(before), reach.New(after)
	var ends []reach.Endpoint
	for _, pod := range before.Pods {
		ends = append(ends, reach.Endpoint{Pod: types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}})
	}
	for _, a := range outside {
		ends = append(ends, reach.Endpoint{Address: a})
	}
	for _, from := range ends {
		for _, to := range ends {
			for _, protocol := range protocols {
				for _, number := range numbers {
					flow := reach.Flow{Source: from, Destination: to, Protocol: protocol, Port: number}
					was, is := old.Allowed(flow).Verdict, now.Allowed(flow).Verdict
					if was != is && (!mayClose || is != reach.Deny) && !listed[keyOf(from, to, protocol, number)] {
						t.Fatalf("%s -> %s %s %d: %s, then %s", from, to, protocol, number, was, is)
					}
				}
			}
		}
	}
}
