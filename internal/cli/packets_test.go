package cli_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gotest.tools/v3/golden"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/utils/ptr"

	"github.com/apptier/apptier/internal/cli/packets"
	"github.com/apptier/apptier/internal/probe"
)

// packetServer is an API server whose pods run probes, of which a test says what comes.
type packetServer struct {
	t    *testing.T
	lock sync.Mutex
	// objects are those of the cluster, by the path of their lists.
	objects map[string][]map[string]any
	pods    map[string]*corev1.Pod
	// refused are the rights that nobody has, as Right's String.
	refused []string
	// passes are connections that are not met by silence, as in "api-1 tcp/10.0.0.2:5432".
	passes map[string]probe.Outcome
	// keeps says that nobody may delete anything.
	keeps bool
	// requests are those that change something.
	requests []string
}

func newPacketServer(t *testing.T, files ...string) (*packetServer, string) {
	t.Helper()
	s := &packetServer{t: t, objects: map[string][]map[string]any{}, pods: map[string]*corev1.Pod{}, passes: map[string]probe.Outcome{}}
	for _, file := range files {
		for _, o := range objectsOf(t, file) {
			if o.GetKind() == "Pod" {
				var pod corev1.Pod
				if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, &pod); err != nil {
					t.Fatal(err)
				}
				s.pods[pod.Namespace+"/"+pod.Name] = &pod
				continue
			}
			if o.GetKind() == "Namespace" {
				o.SetUID(types.UID("uid-of-" + o.GetName()))
			}
			list := listPath(o.GroupVersionKind())
			s.objects[list] = append(s.objects[list], o.Object)
		}
	}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return s, server.URL
}

func (s *packetServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if body, isDiscovery := discovered[r.URL.Path]; isDiscovery {
		answerJSON(s.t, w, http.StatusOK, body)
		return
	}
	s.lock.Lock()
	defer s.lock.Unlock()
	list, namespace, name := dissect(r.URL.Path)
	if r.Method != http.MethodGet && !strings.HasSuffix(r.URL.Path, "selfsubjectaccessreviews") {
		s.requests = append(s.requests, r.Method+" "+r.URL.Path)
	}
	key := namespace + "/" + name
	switch {
	case strings.HasSuffix(r.URL.Path, "selfsubjectaccessreviews"):
		var review authorizationv1.SelfSubjectAccessReview
		s.read(r, &review)
		a := review.Spec.ResourceAttributes
		right := packets.Right{Verb: a.Verb, Resource: a.Resource, Subresource: a.Subresource, Namespace: a.Namespace}
		review.Status.Allowed = !slices.Contains(s.refused, right.String())
		review.SetGroupVersionKind(authorizationv1.SchemeGroupVersion.WithKind("SelfSubjectAccessReview"))
		answerJSON(s.t, w, http.StatusCreated, review)
	case r.Method == http.MethodPatch:
		var added corev1.Pod
		s.read(r, &added)
		container := added.Spec.EphemeralContainers[0]
		pod := s.pods[key]
		pod.Status.EphemeralContainerStatuses = append(pod.Status.EphemeralContainerStatuses, s.run(pod, container.Name, container.Args))
		answerJSON(s.t, w, http.StatusOK, ofKind(pod))
	case r.Method == http.MethodPost:
		var pod corev1.Pod
		s.read(r, &pod)
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{s.run(&pod, pod.Spec.Containers[0].Name, pod.Spec.Containers[0].Args)}
		s.pods[namespace+"/"+pod.Name] = &pod
		answerJSON(s.t, w, http.StatusCreated, ofKind(&pod))
	case r.Method == http.MethodDelete && s.keeps:
		answerJSON(s.t, w, http.StatusForbidden, failure("Forbidden", http.StatusForbidden))
	case r.Method == http.MethodDelete:
		delete(s.pods, key)
		answerJSON(s.t, w, http.StatusOK, map[string]any{"kind": "Status", "apiVersion": "v1", "status": "Success"})
	case list == "/api/v1/pods" && name != "" && s.pods[key] != nil:
		answerJSON(s.t, w, http.StatusOK, ofKind(s.pods[key]))
	case name != "":
		answerJSON(s.t, w, http.StatusNotFound, failure("NotFound", http.StatusNotFound))
	default:
		s.list(w, list)
	}
}

func failure(reason string, code int) map[string]any {
	return map[string]any{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": code}
}

// ofKind is a pod that says that it is one.
func ofKind(pod *corev1.Pod) *corev1.Pod {
	pod.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Pod"))
	return pod
}

func (s *packetServer) list(w http.ResponseWriter, list string) {
	items := []any{}
	for _, o := range s.objects[list] {
		items = append(items, o)
	}
	if list == "/api/v1/pods" {
		for _, pod := range s.sorted() {
			items = append(items, pod)
		}
	}
	kind := listKinds[list[strings.LastIndex(list, "/")+1:]]
	answerJSON(s.t, w, http.StatusOK, map[string]any{"kind": kind, "apiVersion": version(list), "metadata": map[string]any{}, "items": items})
}

func (s *packetServer) sorted() []*corev1.Pod {
	var out []*corev1.Pod
	for _, pod := range s.pods {
		out = append(out, pod)
	}
	slices.SortFunc(out, func(a, b *corev1.Pod) int { return strings.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name) })
	return out
}

// read reads what is sent, in whatever form clients choose.
func (s *packetServer) read(r *http.Request, into runtime.Object) {
	text, err := io.ReadAll(r.Body)
	if err != nil {
		s.t.Error(err)
	}
	if r.Method == http.MethodPatch { // a part of an object, which does not name its kind
		err = json.Unmarshal(text, into)
	} else {
		_, _, err = scheme.Codecs.UniversalDeserializer().Decode(text, nil, into)
	}
	if err != nil {
		s.t.Errorf("%s %s: %v", r.Method, r.URL, err)
	}
}

// run is how a container ends.
func (s *packetServer) run(pod *corev1.Pod, name string, args []string) corev1.ContainerStatus {
	order, err := probe.ParseArgs(args[1:])
	if err != nil {
		s.t.Error(err)
	}
	outcomes := make([]probe.Outcome, len(order.Targets))
	for i, target := range order.Targets {
		outcomes[i] = probe.Silent
		if outcome, passes := s.passes[pod.Name+" "+target.String()]; passes {
			outcomes[i] = outcome
		}
	}
	ended := &corev1.ContainerStateTerminated{Message: probe.Message(outcomes)}
	return corev1.ContainerStatus{Name: name, State: corev1.ContainerState{Terminated: ended}}
}

// What people see of a run, in each form, is in testdata/golden.
func TestPackets(t *testing.T) {
	withoutKubeconfig(t)
	const toDatabase = " tcp/10.0.0.2:5432"
	const cases = "testdata/input/packets/cases.yaml"
	for _, test := range []struct {
		name, args string
		passes     map[string]probe.Outcome
		code       int
	}{
		{"hold", cases, map[string]probe.Outcome{"api-1" + toDatabase: probe.Connected}, 0},
		{"fail", cases, map[string]probe.Outcome{"visitor" + toDatabase: probe.Refused}, 1},
		{"fail-tap", cases + " -o tap", map[string]probe.Outcome{"visitor" + toDatabase: probe.Refused}, 1},
		{"fail-junit", cases + " -o junit", map[string]probe.Outcome{"visitor" + toDatabase: probe.Refused}, 1},
		{"fail-json", cases + " -o json", map[string]probe.Outcome{"visitor" + toDatabase: probe.Refused}, 1},
		{"fail-github", cases + " -o github", map[string]probe.Outcome{"visitor" + toDatabase: probe.Refused}, 1},
		{"not-tried", "testdata/input/packets/more.yaml", map[string]probe.Outcome{
			"api-1" + toDatabase: probe.Connected, "visitor tcp/10.0.0.1:8080": probe.Refused,
		}, 3},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, address := newPacketServer(t, "packets/cluster.yaml")
			s.passes = test.passes
			stdout, stderr, code := run(t, "", strings.Fields("test --packets --server "+address+" "+test.args)...)
			if code != test.code {
				t.Errorf("exits with %d, want %d", code, test.code)
			}
			golden.Assert(t, stdout+"--- standard error\n"+stderr, filepath.Join("golden", "packets-"+test.name+".txt"))
			if left := s.made(); len(left) > 0 {
				t.Errorf("%s are left", left)
			}
		})
	}
}

// made are the pods that are there of runs.
func (s *packetServer) made() []string {
	var out []string
	for _, pod := range s.sorted() {
		if pod.Labels[packets.LabelRun] != "" {
			out = append(out, pod.Name)
		}
	}
	return out
}

// Nothing is started by whoever lacks a right that a case needs, and the right is named.
func TestPacketsNeedRights(t *testing.T) {
	withoutKubeconfig(t)
	s, address := newPacketServer(t, "packets/cluster.yaml")
	s.refused = []string{"patch pods/ephemeralcontainers in namespace elsewhere", "create pods in namespace shop"}
	_, stderr, code := run(t, "", "test", "--packets", "--server", address, "testdata/input/packets/cases.yaml")
	want := "error: you may not patch pods/ephemeralcontainers in namespace elsewhere, nor create pods in namespace shop, " +
		"which --packets needs"
	if code != 2 || !strings.Contains(stderr, want) || len(s.requests) > 0 {
		t.Errorf("exits with %d, and %q was asked for:\n%s", code, s.requests, stderr)
	}
}

// Who cannot delete what was made is told so, after the results.
func TestPacketsThatStay(t *testing.T) {
	withoutKubeconfig(t)
	s, address := newPacketServer(t, "packets/cluster.yaml")
	s.passes["api-1 tcp/10.0.0.2:5432"], s.keeps = probe.Connected, true
	stdout, stderr, code := run(t, "", "test", "--packets", "--server", address, "testdata/input/packets/cases.yaml")
	if code != 2 || !strings.Contains(stdout, "3 passed, 0 failed") || !strings.Contains(stderr, "error: deleting pod shop/apptier-test-") {
		t.Errorf("exits with %d:\n%s%s", code, stdout, stderr)
	}
}

// What a crash left is deleted, and is no end of a connection.
func TestPacketsOfACrash(t *testing.T) {
	withoutKubeconfig(t)
	s, address := newPacketServer(t, "packets/cluster.yaml")
	crashed := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "apptier-test-crashed-0",
		Labels: map[string]string{packets.LabelRun: "crashed", "app": "api"}, CreationTimestamp: metav1.NewTime(time.Now().Add(-time.Hour)),
		OwnerReferences: []metav1.OwnerReference{{Kind: "Namespace", Name: "shop", Controller: ptr.To(true)}}},
		Spec: corev1.PodSpec{ActiveDeadlineSeconds: ptr.To[int64](130)}}
	others := crashed.DeepCopy()
	others.Name, others.CreationTimestamp, others.Labels[packets.LabelRun] = "apptier-test-other-0", metav1.Now(), "other"
	s.pods["shop/"+crashed.Name], s.pods["shop/"+others.Name] = crashed, others
	s.passes["api-1 tcp/10.0.0.2:5432"] = probe.Connected
	_, stderr, code := run(t, "", "test", "--packets", "--server", address, "testdata/input/packets/cases.yaml")
	if want := "note: pod shop/apptier-test-crashed-0, which an earlier run left, is deleted"; code != 0 || !strings.Contains(stderr, want) {
		t.Errorf("exits with %d, want 0 and %q:\n%s", code, want, stderr)
	}
	if left := s.made(); !slices.Equal(left, []string{others.Name}) {
		t.Errorf("%s are left, and a run that goes on has %s", left, others.Name)
	}
}

// Flags that say nothing, or too much, are refused before anything is asked.
func TestPacketsFlags(t *testing.T) {
	withoutKubeconfig(t)
	const cases = "testdata/input/packets/cases.yaml"
	_, address := newPacketServer(t, "packets/cluster.yaml")
	_, bare := newPacketServer(t, "packets/bare.yaml")
	for args, want := range map[string]string{
		"--probe-image=x " + cases:                                          "--probe-image is about packets: give --packets too",
		"--connect-timeout=1s " + cases:                                     "--connect-timeout is about packets: give --packets too",
		"--packets --connect-timeout=0s " + cases:                           "--connect-timeout 0s: wait from 100ms to 1m",
		"--packets " + cases:                                                "no cluster is configured",
		"--packets " + cases + input("shop.yaml") + " --server " + address:  "--packets tries the cluster as it is: leave out AppTier shop/shop",
		"--packets testdata/input/packets/bare-cases.yaml --server " + bare: "the cluster runs neither an enforcer nor a manager",
	} {
		if _, stderr, code := run(t, "", strings.Fields("test "+args)...); code != 2 || !strings.Contains(stderr, want) {
			t.Errorf("%s exits with %d, want %q:\n%s", args, code, want, stderr)
		}
	}
}
