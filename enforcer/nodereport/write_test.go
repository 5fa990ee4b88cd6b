package nodereport

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/internal/testenv/apiserver"
	"github.com/apptier/apptier/internal/testenv/manifests"
)

const account = "apptier-enforcer"

// installed is an API server with what config/default gives the enforcer's account, and two nodes with a pod of it.
type installed struct {
	*testing.T
	config *rest.Config
	admin  client.Client
	uids   map[string]types.UID
}

func install(t *testing.T) *installed {
	t.Helper()
	config, _ := apiserver.Start(t)
	scheme := runtime.NewScheme()
	i := &installed{T: t, config: config, uids: map[string]types.UID{}}
	i.try(errors.Join(corev1.AddToScheme(scheme), authenticationv1.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)))
	var err error
	i.admin, err = client.New(config, client.Options{Scheme: scheme})
	i.try(err)
	text, err := manifests.Kustomize(t.Context(), "config", "default", "enforcer")
	i.try(err)
	for decoder := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096); ; {
		object := &unstructured.Unstructured{}
		if err := decoder.Decode(&object.Object); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		i.try(i.admin.Create(t.Context(), object))
	}
	for _, name := range []string{"n1", "n2"} {
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
		i.try(i.admin.Create(t.Context(), node))
		i.uids[name] = node.UID
		i.try(i.admin.Create(t.Context(), &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: manifests.EnforcerNamespace, Name: "enforcer-" + name},
			Spec: corev1.PodSpec{
				NodeName: name, ServiceAccountName: account, Containers: []corev1.Container{{Name: "enforcer", Image: "enforcer"}},
			},
		}))
	}
	return i
}

func (i *installed) try(err error) {
	i.Helper()
	if err != nil {
		i.Fatal(err)
	}
}

// token is one of the enforcer's account: bound to a pod, as the kubelet asks for them, or to none.
func (i *installed) token(pod string) *rest.Config {
	i.Helper()
	request := &authenticationv1.TokenRequest{}
	if pod != "" {
		request.Spec.BoundObjectRef = &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: pod}
	}
	of := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: manifests.EnforcerNamespace, Name: account}}
	i.try(i.admin.SubResource("token").Create(i.Context(), of, request))
	config := rest.AnonymousClientConfig(i.config)
	config.BearerToken = request.Status.Token
	return config
}

func (i *installed) writer(pod string) func(context.Context, Report) error {
	i.Helper()
	write, err := WriteTo(i.token(pod))
	i.try(err)
	return write
}

func (i *installed) report(node string) Report {
	return Report{Node: node, UID: cmp.Or(i.uids[node], "none"), Status: v1alpha1.NodeReportStatus{Mode: v1alpha1.EnforcerEnforces, NetworkPolicies: "5"}}
}

// The token of an enforcer's pod writes the report of that pod's node, and nothing else.
func TestAnEnforcerWritesTheReportOfItsNodeAlone(t *testing.T) {
	i := install(t)
	first, second, stolen := i.writer("enforcer-n1"), i.writer("enforcer-n2"), i.writer("")
	var known error // to the API server: the policy
	i.try(wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, 20*time.Second, true, func(ctx context.Context) (bool, error) {
		if known = first(ctx, i.report("n2")); known == nil {
			return false, i.admin.Delete(ctx, &v1alpha1.NodeReport{ObjectMeta: metav1.ObjectMeta{Name: "n2"}})
		}
		return true, nil
	}))
	i.try(first(t.Context(), i.report("n1")))
	i.try(second(t.Context(), i.report("n2")))
	changed := func(node string, change func(*Report)) Report {
		report := i.report(node)
		change(&report)
		return report
	}
	for name, try := range map[string]struct {
		err  error
		want string
	}{
		"its own, again":           {first(t.Context(), changed("n1", func(r *Report) { r.Status.NetworkPolicies = "6" })), ""},
		"another node's":           {first(t.Context(), i.report("n2")), "the enforcer of node n1 writes the report of that node alone"},
		"of no node that there is": {first(t.Context(), i.report("n3")), "the enforcer of node n1 writes the report of that node alone"},
		"a token without a node":   {stolen(t.Context(), i.report("n1")), "this token belongs to no pod of a node"},
		"what the schema refuses":  {first(t.Context(), changed("n1", func(r *Report) { r.Status.NetworkPolicies = "newest" })), "status.networkPolicies"},
	} {
		if try.want == "" && try.err != nil || try.want != "" && (try.err == nil || !strings.Contains(try.err.Error(), try.want)) {
			t.Errorf("%s: got %v, want %q", name, try.err, try.want)
		}
	}
	i.testMetadata()
	i.testRights()
}

// testMetadata: neither the report nor the node can be kept from being deleted by what an enforcer writes.
func (i *installed) testMetadata() {
	var report v1alpha1.NodeReport
	i.try(i.admin.Get(i.Context(), client.ObjectKey{Name: "n1"}, &report))
	want := []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: "n1", UID: i.uids["n1"]}}
	if diff := gocmp.Diff(want, report.OwnerReferences); diff != "" {
		i.Error(diff)
	}
	enforcer, err := client.New(i.token("enforcer-n1"), client.Options{Scheme: i.admin.Scheme()})
	i.try(err)
	yes := true
	for name, change := range map[string]func(*v1alpha1.NodeReport){
		"no owner":      func(r *v1alpha1.NodeReport) { r.OwnerReferences = nil },
		"another owner": func(r *v1alpha1.NodeReport) { r.OwnerReferences[0].Name = "n2" },
		"a second owner": func(r *v1alpha1.NodeReport) {
			r.OwnerReferences = append(r.OwnerReferences, metav1.OwnerReference{APIVersion: "v1", Kind: "Node", Name: "n1", UID: "1"})
		},
		"keeping the node": func(r *v1alpha1.NodeReport) { r.OwnerReferences[0].BlockOwnerDeletion = &yes },
		"a finalizer":      func(r *v1alpha1.NodeReport) { r.Finalizers = []string{"example.com/wait"} },
		"a label":          func(r *v1alpha1.NodeReport) { r.Labels = map[string]string{"a": "b"} },
		"an annotation":    func(r *v1alpha1.NodeReport) { r.Annotations = map[string]string{"a": "b"} },
	} {
		changed := report.DeepCopy()
		change(changed)
		if err := enforcer.Patch(i.Context(), changed, client.MergeFrom(report.DeepCopy())); err == nil || !strings.Contains(err.Error(), "enforcer-reports") {
			i.Errorf("%s: %v", name, err)
		}
	}
	// What an administrator has set stays, and keeps nobody from writing.
	report.Labels = map[string]string{"team": "nodes"}
	i.try(i.admin.Update(i.Context(), &report))
	i.try(i.writer("enforcer-n1")(i.Context(), i.report("n1")))
}

// testRights: by RBAC an enforcer neither reads nor deletes reports, not even its own.
func (i *installed) testRights() {
	enforcer, err := client.New(i.token("enforcer-n1"), client.Options{Scheme: i.admin.Scheme()})
	i.try(err)
	report := &v1alpha1.NodeReport{ObjectMeta: metav1.ObjectMeta{Name: "n1"}}
	for what, err := range map[string]error{
		"reads":   enforcer.Get(i.Context(), client.ObjectKeyFromObject(report), report),
		"lists":   enforcer.List(i.Context(), &v1alpha1.NodeReportList{}),
		"deletes": enforcer.Delete(i.Context(), report),
	} {
		if err == nil || !strings.Contains(err.Error(), "forbidden") {
			i.Errorf("it %s: %v", what, err)
		}
	}
}

// What is said no more is gone from the report, and the report of a node that came again is owned by the new one.
func TestAReportIsAllThatIsSaid(t *testing.T) {
	i := install(t)
	write := i.writer("enforcer-n1")
	report := i.report("n1")
	report.Status.Problems, report.Status.NotAsWritten = []string{"Broken"}, []string{"shop/web"}
	report.Status.Server = &v1alpha1.NodeServer{Address: "192.0.2.1:9810", Fingerprint: strings.Repeat("ab", 32)}
	i.try(write(t.Context(), report))
	i.try(write(t.Context(), i.report("n1")))
	var got v1alpha1.NodeReport
	i.try(i.admin.Get(t.Context(), client.ObjectKey{Name: "n1"}, &got))
	if diff := gocmp.Diff(i.report("n1").Status, got.Status); diff != "" {
		t.Error(diff)
	}
	again := i.report("n1")
	again.UID = "another"
	i.try(write(t.Context(), again))
	i.try(i.admin.Get(t.Context(), client.ObjectKey{Name: "n1"}, &got))
	if len(got.OwnerReferences) != 1 || got.OwnerReferences[0].UID != "another" {
		t.Errorf("owners: %v", got.OwnerReferences)
	}
}
