package adopt_test

import (
	"context"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/adopt"
	"github.com/apptier/apptier/policy/compare"
	"github.com/apptier/apptier/policy/expand"
	"github.com/apptier/apptier/policy/reach"
)

// twoTiers are policies of web and api.
func twoTiers() adopt.Input {
	in := adopt.Input{Environment: expand.DefaultEnvironment()}
	for _, name := range []string{"web", "api"} {
		in.Policies = append(in.Policies, &networkingv1.NetworkPolicy{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}, Spec: networkingv1.NetworkPolicySpec{PodSelector: *app(name)},
		})
	}
	return in
}

func stayingOf(out adopt.Result) map[string]string {
	names := map[string]string{}
	for _, s := range out.Stays {
		names[s.Policy.Name] = s.Reason
	}
	return names
}

// A policy stays, of which what takes its place says something else: the one that decides, before or after, or all of
// the namespace if none does.
func TestWhatDiffersStays(t *testing.T) {
	from := []reach.Endpoint{{Pod: types.NamespacedName{Namespace: "shop", Name: "client"}}}
	to := []reach.Endpoint{{Pod: types.NamespacedName{Namespace: "shop", Name: "web"}}}
	for _, test := range []struct {
		name          string
		before, after []types.NamespacedName
		stay          int
	}{
		{"what decided", []types.NamespacedName{{Namespace: "shop", Name: "web"}}, nil, 1},
		{"what decides", nil, []types.NamespacedName{{Namespace: "shop", Name: "shop.tier.web"}}, 1},
		{"nobody knows what", nil, nil, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			asked := 0
			out, err := adopt.Import(t.Context(), twoTiers(), func(_ context.Context, policies []*networkingv1.NetworkPolicy) (compare.Result, error) {
				asked++
				if asked > 1 {
					return compare.Result{}, nil
				}
				change := compare.Change{From: from, To: to, Protocol: corev1.ProtocolTCP, First: 80, Last: 80, Opened: true}
				change.Before.Ingress.Policies, change.After.Ingress.Policies = test.before, test.after
				return compare.Result{Changes: []compare.Change{change}}, nil
			})
			if err != nil {
				t.Fatal(err)
			}
			stays := stayingOf(out)
			if len(stays) != test.stay || !strings.HasPrefix(stays["web"], "an AppTier would change a connection: + shop/client -> shop/web TCP 80-80") {
				t.Errorf("%v stay", stays)
			}
			if asked != 2 {
				t.Errorf("it is compared %d times", asked)
			}
		})
	}
}

// A difference that comes with the meaning of an AppTier is listed, and keeps nothing.
func TestTheAddressOfDNSIsListed(t *testing.T) {
	in := twoTiers()
	in.Environment.DNS.Addresses = addresses("10.96.0.10")
	change := compare.Change{
		From: []reach.Endpoint{{Pod: types.NamespacedName{Namespace: "shop", Name: "web"}}}, To: []reach.Endpoint{{Address: addresses("10.96.0.10")[0]}},
		Protocol: corev1.ProtocolUDP, First: 53, Last: 53, Opened: true,
	}
	change.Before.Egress.Verdict, change.After.Egress.Verdict = reach.Deny, reach.Allow
	for _, test := range []struct {
		opened bool
		port   int32
		stay   int
	}{{true, 53, 0}, {false, 53, 2}, {true, 54, 2}} {
		change.Opened, change.First, change.Last = test.opened, test.port, test.port
		asked := 0
		out, err := adopt.Import(t.Context(), in, func(context.Context, []*networkingv1.NetworkPolicy) (compare.Result, error) {
			asked++
			if asked > 1 {
				return compare.Result{}, nil
			}
			return compare.Result{Changes: []compare.Change{change}}, nil
		})
		if err != nil || len(out.Stays) != test.stay || test.stay == 0 && len(out.Differences.Changes) != 1 {
			t.Errorf("%s: %v, %v stay, %v differ", change, err, stayingOf(out), out.Differences.Changes)
		}
	}
}

// What admission would refuse is not proposed, and no name that needs one of a policy that is there.
func TestWhatIsRefusedStays(t *testing.T) {
	none := func(context.Context, []*networkingv1.NetworkPolicy) (compare.Result, error) {
		return compare.Result{}, nil
	}
	in := twoTiers()
	in.Refuses = func(*v1alpha1.AppTier) string { return "spec: it is refused" }
	out, err := adopt.Import(t.Context(), in, none)
	if stays := stayingOf(out); err != nil || len(out.AppTiers) > 0 || stays["web"] != "spec: it is refused" {
		t.Errorf("%v: %v stay", err, stays)
	}
	in.Refuses = func(app *v1alpha1.AppTier) string {
		if len(app.Spec.Tiers) == 2 {
			return "spec.tiers[1].ingress: there are too many"
		}
		return ""
	}
	out, err = adopt.Import(t.Context(), in, none)
	if stays := stayingOf(out); err != nil || len(out.AppTiers) != 1 || len(stays) != 1 || stays["api"] != "spec.tiers[1].ingress: there are too many" {
		t.Errorf("%v: %v stay", err, stays)
	}
	in = twoTiers()
	in.Beside = []*networkingv1.NetworkPolicy{{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "shop.tier.web"}}}
	out, err = adopt.Import(t.Context(), in, none)
	if err != nil || len(out.Stays) > 0 || len(out.AppTiers) != 1 || out.AppTiers[0].Name != "shop-2" {
		t.Errorf("%v: %v stay, and the AppTiers are %v", err, stayingOf(out), out.AppTiers)
	}
}

// A wider peer becomes a tier only if that is wished, and no pod that is given is of the peer alone.
func TestNarrow(t *testing.T) {
	both := map[string]string{"app": "web", "version": "v2"}
	in := twoTiers()
	in.Policies[0].Spec.PodSelector = metav1.LabelSelector{MatchLabels: both}
	in.Policies[1].Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{From: []networkingv1.NetworkPolicyPeer{{PodSelector: app("web")}}}}
	pod := func(name string, labels map[string]string) adopt.Pod {
		return adopt.Pod{Pod: &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, Labels: labels}}}
	}
	web, other := pod("web", both), pod("other", map[string]string{"app": "web"})
	none := func(context.Context, []*networkingv1.NetworkPolicy) (compare.Result, error) {
		return compare.Result{}, nil
	}
	for _, test := range []struct {
		narrow bool
		pods   []adopt.Pod
		isTier bool
	}{{true, []adopt.Pod{web}, true}, {false, []adopt.Pod{web}, false}, {true, []adopt.Pod{web, other}, false}, {true, nil, false}} {
		in.Narrow, in.Pods = test.narrow, test.pods
		out, err := adopt.Import(t.Context(), in, none)
		if err != nil || len(out.AppTiers) != 1 {
			t.Fatalf("%v: %v", err, out.AppTiers)
		}
		if got := out.AppTiers[0].Spec.Tiers[1].Ingress[0].From[0].Tier != nil; got != test.isTier {
			t.Errorf("narrow %t, with %d pods: is a tier: %t", test.narrow, len(test.pods), got)
		}
	}
}
