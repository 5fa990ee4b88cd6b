package doctor

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/apptier/apptier/api/v1alpha1"
)

// Every kind that is installed is one that doctor looks for.
func TestEveryKindIsLookedFor(t *testing.T) {
	files, err := filepath.Glob("../../../config/crd/bases/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	var installed []string
	for _, file := range files { // GROUP_PLURAL.yaml
		group, plural, _ := strings.Cut(strings.TrimSuffix(filepath.Base(file), ".yaml"), "_")
		installed = append(installed, plural+"."+group)
	}
	if diff := cmp.Diff(installed, CRDs()); diff != "" {
		t.Errorf("(-installed +looked for):\n%s", diff)
	}
}

// Each case changes a cluster in which all is well, and names what is found then but for what passes.
func TestFindings(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*Facts)
		want   []string
	}{
		{"all is well", func(*Facts) {}, nil},
		{"a kind is missing", func(f *Facts) { f.CRDs.Items = f.CRDs.Items[:2] },
			[]string{"versions fail [CustomResourceDefinition stagednetworkpolicies.policy.apptier.dev]"}},
		{"no kinds, and no rights", func(f *Facts) { f.CRDs, f.Groups.Items = mayNot[metav1.PartialObjectMetadata](), nil },
			[]string{"versions fail []", "versions unknown []"}},
		{"no kinds", func(f *Facts) {
			f.CRDs.Items, f.Groups.Items, f.AppTiers = nil, nil,
				Read[v1alpha1.AppTier]{Unread: "no matches for kind"}
		},
			[]string{"versions fail [CustomResourceDefinition apptiers.policy.apptier.dev]",
				"versions fail [CustomResourceDefinition nodereports.policy.apptier.dev]",
				"versions fail [CustomResourceDefinition stagednetworkpolicies.policy.apptier.dev]"}},
		{"an older CRD", func(f *Facts) { f.CRDs.Items[0].Labels[labelVersion] = "v0.1.9" }, []string{"versions warn []"}},
		{"a newer CRD", func(f *Facts) { relabel(f.CRDs.Items, "v0.3.0") }, nil},
		{"a much newer CRD", func(f *Facts) { f.CRDs.Items[0].Labels[labelVersion] = "v0.4.0" }, []string{"versions warn []"}},
		{"the plugin of long ago", func(f *Facts) { f.Plugin = "v0.0.9" }, []string{"versions warn []"}},
		{"the plugin before", func(f *Facts) { f.Plugin = "v0.1.4" }, nil},
		{"a plugin of nobody knows where", func(f *Facts) { f.Plugin = "(devel)" }, []string{"versions unknown []"}},
		{"any enforcer", func(f *Facts) { f.Pods.Items[1].Labels[labelVersion] = "v0.9.0" }, nil},
		{"an endless rollout", func(f *Facts) { f.Pods.Items = append(f.Pods.Items, pod(manager, "b", "v0.4.0")) },
			[]string{"versions warn []", "versions warn []", "versions warn []"}}, // of either kind, and of the managers
		{"no manager", func(f *Facts) { f.Deployments.Items = nil }, []string{"manager fail []"}},
		{"a manager of two", func(f *Facts) { f.Deployments.Items[0].Status.ReadyReplicas = 1 },
			[]string{"manager warn [Deployment apptier-system/apptier-manager]"}},
		{"no manager ready", func(f *Facts) { f.Deployments.Items[0].Status.ReadyReplicas = 0 },
			[]string{"manager fail [Deployment apptier-system/apptier-manager]"}},
		{"nobody is asked", func(f *Facts) { f.Webhooks.Items = nil }, []string{"webhook fail []"}},
		{"nobody answers", func(f *Facts) { f.Asked.Items[0] = false }, []string{"webhook fail []"}},
		{"a node without", func(f *Facts) { f.Pods.Items = f.Pods.Items[:1] }, []string{"nodes fail [Node a]"}},
		{"a node that is not ready", func(f *Facts) { f.Pods.Items[1].Status.Conditions = nil }, []string{"nodes fail [Node a]"}},
		{"a node of Windows", func(f *Facts) { f.Nodes.Items[0].Labels = map[string]string{corev1.LabelOSStable: "windows"} },
			[]string{"nodes warn [Node a]"}},
		{"no ranges", func(f *Facts) { f.Nodes.Items[0].Spec = corev1.NodeSpec{} }, []string{"gate warn [Node a]"}},
		{"no enforcer, and flannel", func(f *Facts) { f.DaemonSets.Items = f.DaemonSets.Items[1:] }, []string{"enforcers fail []"}},
		{"no enforcer, and nothing known", func(f *Facts) { f.DaemonSets.Items = nil }, []string{"enforcers unknown []"}},
		{"an unknown plugin", func(f *Facts) { f.DaemonSets.Items = f.DaemonSets.Items[:1] }, []string{"network unknown []"}},
		{"an AppTier that nobody has seen", func(f *Facts) { f.AppTiers.Items[0].Generation = 2 },
			[]string{"apptiers fail [AppTier shop/shop]"}},
		{"an AppTier without a status", func(f *Facts) { f.AppTiers.Items[0].Status = v1alpha1.AppTierStatus{} },
			[]string{"apptiers fail [AppTier shop/shop]"}},
		{"an AppTier that is not ready", func(f *Facts) { f.AppTiers.Items[0].Status.Conditions[0].Status = metav1.ConditionFalse },
			[]string{"apptiers fail [AppTier shop/shop]"}},
		{"an AppTier that is opened", func(f *Facts) {
			f.AppTiers.Items[0].Status.Conditions = append(f.AppTiers.Items[0].Status.Conditions,
				metav1.Condition{Type: v1alpha1.ConditionConflicted, Status: metav1.ConditionTrue})
		}, []string{"apptiers warn [AppTier shop/shop]"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := well()
			test.change(f)
			if diff := cmp.Diff(test.want, odd(t, Judge(f, now))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// What could not be read is never passed as fine: each check that needs it says so.
func TestWhatIsNotReadIsNotJudged(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*Facts)
		want   []string
	}{
		{"CRDs", func(f *Facts) { f.CRDs = mayNot[metav1.PartialObjectMetadata]() }, []string{"versions unknown []"}},
		{"Deployments", func(f *Facts) { f.Deployments = mayNot[appsv1.Deployment]() }, []string{"versions unknown []",
			"manager unknown []"}},
		{"DaemonSets", func(f *Facts) { f.DaemonSets = mayNot[appsv1.DaemonSet]() },
			[]string{"versions unknown []", "network unknown []", "enforcers unknown []", "nodes unknown []", "gate unknown []"}},
		{"Pods", func(f *Facts) { f.Pods = mayNot[corev1.Pod]() }, []string{"nodes unknown []"}},
		{"Nodes", func(f *Facts) { f.Nodes = mayNot[corev1.Node]() }, []string{"enforcers unknown []", "nodes unknown []",
			"gate unknown []"}},
		{"Events", func(f *Facts) { f.Events = mayNot[corev1.Event]() }, []string{"node-health unknown []", "policies unknown []"}},
		{"ConfigMaps", func(f *Facts) { f.ConfigMaps = mayNot[corev1.ConfigMap]() }, []string{"network unknown []"}},
		{"AppTiers", func(f *Facts) { f.AppTiers = mayNot[v1alpha1.AppTier]() }, []string{"apptiers unknown []"}},
		{"the webhook's answer", func(f *Facts) { f.Asked = mayNot[bool]() }, []string{"webhook unknown []"}},
		{"the Secret", func(f *Facts) { f.Certificates.Items, f.Certificates.Unread = nil, "you may not" },
			[]string{"webhook-certificate unknown []"}},
		{"webhooks", func(f *Facts) { f.Webhooks.Items, f.Webhooks.Unread = nil, "you may not" },
			[]string{"webhook-certificate unknown []"}},
		{"anything", func(f *Facts) {
			*f = Facts{Plugin: "v0.2.0", Groups: mayNot[string](), CRDs: mayNot[metav1.PartialObjectMetadata](),
				Deployments: mayNot[appsv1.Deployment](),
				DaemonSets:  mayNot[appsv1.DaemonSet](), Pods: mayNot[corev1.Pod](),
				Nodes: mayNot[corev1.Node](), Events: mayNot[corev1.Event](),
				ConfigMaps: mayNot[corev1.ConfigMap](), AppTiers: mayNot[v1alpha1.AppTier](), Asked: mayNot[bool]()}
			f.Webhooks.Unread, f.Certificates.Unread = "you may not", "you may not"
		}, []string{"versions unknown []", "manager unknown []", "webhook unknown []", "webhook-certificate unknown []", "network unknown []",
			"enforcers unknown []", "nodes unknown []", "node-health unknown []", "gate unknown []", "policies unknown []",
			"apptiers unknown []"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := well()
			test.change(f)
			findings := Judge(f, now)
			if diff := cmp.Diff(test.want, odd(t, findings)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if Verdict(findings) != Unknown {
				t.Errorf("the verdict is %s", Verdict(findings))
			}
		})
	}
}

func TestVerdict(t *testing.T) {
	for want, given := range map[Status][]Status{Pass: {Pass}, Warn: {Pass, Warn}, Unknown: {Warn, Unknown, Pass}, Fail: {Unknown, Fail,
		Warn}} {
		var findings []Finding
		for _, s := range given {
			findings = append(findings, Finding{Status: s})
		}
		if got := Verdict(findings); got != want {
			t.Errorf("%v: %s, want %s", given, got, want)
		}
	}
}

// odd are the findings that do not pass, each of which says what to do.
func odd(t *testing.T, findings []Finding) []string {
	t.Helper()
	var out []string
	for _, f := range findings {
		if f.Message == "" || (f.Fix == "") != (f.Status == Pass) {
			t.Errorf("%+v lacks a message or a fix, or has one in vain", f)
		}
		if f.Status != Pass {
			out = append(out, fmt.Sprintf("%s %s %v", f.Check, f.Status, f.Objects))
		}
	}
	return out
}

func mayNot[T any]() Read[T] { return Read[T]{Unread: "you may not"} }

var now = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

// well is a cluster of one node where nothing is wrong.
func well() *Facts {
	f := &Facts{Plugin: "v0.2.0", Groups: Read[string]{Items: []string{"policy.apptier.dev"}}}
	for _, name := range CRDs() {
		f.CRDs.Items = append(f.CRDs.Items, metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: name,
			Labels: map[string]string{labelVersion: "v0.2.0"}}})
	}
	deployment := appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "apptier-system", Name: "apptier-manager",
		Labels: labels(manager, "v0.2.0")}}
	deployment.Spec.Replicas, deployment.Status.ReadyReplicas = ptr.To[int32](2), 2
	deployment.Spec.Template.Labels = deployment.Labels
	f.Deployments.Items = []appsv1.Deployment{deployment}
	ours := daemonSet("apptier-enforcer", "apptier-enforcer")
	ours.Labels = labels(enforcer, "v0.2.0")
	ours.Spec.Template.Labels = ours.Labels
	f.DaemonSets.Items = []appsv1.DaemonSet{ours, daemonSet("kube-flannel", "kube-flannel-ds")}
	f.Pods.Items = []corev1.Pod{pod(manager, "a", "v0.2.0"), pod(enforcer, "a", "v0.2.0")}
	f.Nodes.Items = []corev1.Node{{ObjectMeta: metav1.ObjectMeta{Name: "a"}, Spec: corev1.NodeSpec{PodCIDRs: []string{"10.1.0.0/24"}}}}
	f.Asked.Items = []bool{true}
	f.Webhooks.Items, f.Certificates.Items = certified(now.Add(60 * 24 * time.Hour))
	app := v1alpha1.AppTier{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "shop", Generation: 1}}
	app.Status.ObservedGeneration = 1
	app.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue}}
	f.AppTiers.Items = []v1alpha1.AppTier{app}
	return f
}

func labels(component, version string) map[string]string {
	return map[string]string{labelName: "apptier", labelComponent: component, labelVersion: version}
}

func relabel(crds []metav1.PartialObjectMetadata, version string) {
	for i := range crds {
		crds[i].Labels[labelVersion] = version
	}
}

func pod(component, node, version string) corev1.Pod {
	p := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: component, Labels: labels(component, version)},
		Spec: corev1.PodSpec{NodeName: node}}
	p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	return p
}

func daemonSet(namespace, name string, arguments ...string) appsv1.DaemonSet {
	set := appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	set.Spec.Template.Spec.Containers = []corev1.Container{{Name: name, Args: arguments}}
	return set
}
