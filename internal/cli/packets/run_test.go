package packets_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gotest.tools/v3/golden"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"sigs.k8s.io/yaml"

	"github.com/apptier/apptier/internal/cli/packets"
	"github.com/apptier/apptier/internal/probe"
)

const image = "apptier/enforcer:test"

// plan is one probe in the pod shop/web, and one in a pod that is made.
func plan(t *testing.T) packets.Plan {
	t.Helper()
	w := world()
	w.Pods = slices.DeleteFunc(w.Pods, func(p *corev1.Pod) bool { return p.Name == "any pod app" && p.Labels["app"] != "job" })
	p := packets.Make(w, []packets.Connection{
		{Flow: flow("shop/web", "shop/api", 80), Named: true}, {Flow: flow("shop/web", "shop/api", 81), Named: true},
		{Flow: flow("shop/any pod app", "shop/api", 80)},
	})
	if len(p.Jobs) != 2 {
		t.Fatalf("%d jobs", len(p.Jobs))
	}
	return p
}

func runner(k *kubelet) *packets.Runner {
	return &packets.Runner{Client: k, Run: packets.Run{ID: "abc123", Image: image}}
}

// words are results in short.
func resultWords(results []packets.Result) []string {
	var out []string
	for _, r := range results {
		out = append(out, string(probeBytes(r.Outcomes))+r.NotTried)
	}
	return out
}

func probeBytes(outcomes []probe.Outcome) []byte {
	out := make([]byte, len(outcomes))
	for i, o := range outcomes {
		out[i] = byte(o)
	}
	return out
}

// What the containers end with is the result, whatever that is; what was made is gone each time.
func TestDo(t *testing.T) {
	good := func(p *corev1.Pod, _ string) ends {
		if p.Name == "web" {
			return terminated(3*time.Second, probe.Message([]probe.Outcome{probe.Connected, probe.Silent}))
		}
		return terminated(5*time.Second, probe.Message([]probe.Outcome{probe.Refused}))
	}
	for name, test := range map[string]struct {
		end  func(*corev1.Pod, string) ends
		want []string
	}{
		"outcomes": {good, []string{"cs", "r"}},
		"an old image": {
			func(p *corev1.Pod, c string) ends {
				if p.Name == "web" {
					return terminated(time.Second, "flag provided but not defined")
				}
				return good(p, c)
			},
			[]string{"the image " + image + " has no probe of this version (--probe-image): no probe ended with this: " +
				`"flag provided but not defined"`, "r"},
		},
		"no image": {
			func(*corev1.Pod, string) ends { return waiting(time.Second, "ErrImagePull", "no such host") },
			slices.Repeat([]string{"the probe does not start: ErrImagePull: no such host"}, 2),
		},
		"never": {
			func(*corev1.Pod, string) ends { return waiting(time.Second, "ContainerCreating", "") },
			slices.Repeat([]string{"the probe did not end in time"}, 2),
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newKubelet(t, test.end, pod("shop/web", "10.0.0.1"))
				results, err := runner(k).Do(t.Context(), plan(t).Jobs)
				if err != nil {
					t.Fatal(err)
				}
				if got := resultWords(results); !slices.Equal(got, test.want) {
					t.Errorf("%q, want %q", got, test.want)
				}
				if left := k.left(t); len(left) > 0 {
					t.Errorf("%s are left", left)
				}
			})
		})
	}
}

// Whoever interrupts a run, or lets it run out of time, finds nothing left of it.
func TestInterrupted(t *testing.T) {
	for after := range 4 {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(after)*time.Second)
			defer cancel()
			end := func(*corev1.Pod, string) ends { return terminated(time.Hour, "") }
			k := newKubelet(t, end, pod("shop/web", "10.0.0.1"))
			results, err := runner(k).Do(ctx, plan(t).Jobs)
			if !errors.Is(err, context.DeadlineExceeded) || results != nil {
				t.Errorf("%v, %v", results, err)
			}
			if left := k.left(t); len(left) > 0 {
				t.Errorf("after %d seconds %s are left", after, left)
			}
			time.Sleep(2 * time.Hour) //nolint:forbidigo // the containers end
		})
	}
}

// What the API server refuses is said of what it concerns, and the rest is tried. A pod that cannot be deleted is named.
func TestRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		end := func(*corev1.Pod, string) ends {
			return terminated(time.Second, probe.Message([]probe.Outcome{probe.Connected}))
		}
		k := newKubelet(t, end, pod("shop/web", "10.0.0.1"))
		refuse := func(verb string) {
			k.PrependReactor(verb, "pods", func(clienttesting.Action) (bool, runtime.Object, error) {
				return true, nil, apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "x", errors.New("not "+verb))
			})
		}
		refuse("patch")
		results, err := runner(k).Do(t.Context(), plan(t).Jobs)
		got := resultWords(results)
		if err != nil || !strings.Contains(got[0], "is not let start") || !strings.Contains(got[0], "not patch") || got[1] != "c" {
			t.Errorf("%q, %v", got, err)
		}
		refuse("delete")
		_, err = runner(k).Do(t.Context(), plan(t).Jobs)
		if err == nil || !strings.Contains(err.Error(), "deleting pod shop/apptier-test-abc123-1") ||
			!strings.Contains(err.Error(), "-l "+packets.LabelRun) {
			t.Errorf("%v, want how to delete the pod", err)
		}
	})
}

// However many pods there are, a few have a probe at a time.
func TestFewAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var jobs []packets.Job
		var pods []*corev1.Pod
		for i := range 40 {
			p := pod(fmt.Sprintf("shop/web-%d", i), "10.0.0.1")
			pods = append(pods, p)
			jobs = append(jobs, packets.Job{Pod: p, Order: plan(t).Jobs[1].Order})
		}
		end := func(*corev1.Pod, string) ends {
			return terminated(time.Second, probe.Message([]probe.Outcome{probe.Connected}))
		}
		k := newKubelet(t, end, pods...)
		r := runner(k)
		var last int
		var lock sync.Mutex
		r.Done = func(done int) {
			lock.Lock()
			defer lock.Unlock()
			last = max(last, done)
		}
		if _, err := r.Do(t.Context(), jobs); err != nil {
			t.Fatal(err)
		}
		if k.most > 8 || k.most < 4 || last != len(jobs) {
			t.Errorf("up to %d at once, and %d of %d were told of", k.most, last, len(jobs))
		}
	})
}

// What earlier runs left is older than what they made may be; what another run has now is not touched.
func TestLeftBehind(t *testing.T) {
	now := time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)
	made := ran(t).made[0]
	aged := func(name string, age time.Duration, run string) *corev1.Pod {
		p := made.DeepCopy()
		p.Name, p.CreationTimestamp = "apptier-test-"+run+"-"+name, metav1.NewTime(now.Add(-age))
		p.Labels[packets.LabelRun] = run
		return p
	}
	limit := time.Duration(*made.Spec.ActiveDeadlineSeconds) * time.Second
	leaving := aged("leaving", time.Hour, "old")
	leaving.DeletionTimestamp = &metav1.Time{Time: now}
	labelled, somebodys := pod("shop/apptier-test-old-9"), aged("somebodys", time.Hour, "old")
	labelled.Labels[packets.LabelRun], labelled.CreationTimestamp = "old", metav1.NewTime(now.Add(-time.Hour))
	somebodys.OwnerReferences[0].Kind = "StatefulSet"
	pods := []*corev1.Pod{
		aged("new", time.Second, "other"), aged("at its limit", limit, "other"), aged("0", limit+2*time.Minute, "old"), leaving, somebodys,
		labelled, aged("unlabelled", time.Hour, ""),
	}
	var got []string
	for _, p := range packets.LeftBehind(pods, now) {
		got = append(got, p.Name)
	}
	if want := []string{"apptier-test-old-0"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// ran is a cluster after a run.
func ran(t *testing.T) (k *kubelet) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		k = newKubelet(t, func(*corev1.Pod, string) ends { return terminated(time.Second, "") }, pod("shop/web", "10.0.0.1"))
		if _, err := runner(k).Do(t.Context(), plan(t).Jobs); err != nil {
			t.Fatal(err)
		}
	})
	return k
}

// What a run makes is in testdata: what an administrator has to allow.
func TestObjects(t *testing.T) {
	k := ran(t)
	made, err := yaml.Marshal(k.made[0])
	if err != nil {
		t.Fatal(err)
	}
	golden.Assert(t, string(made), "pod.yaml")
	patch, err := yaml.JSONToYAML(k.patches[0])
	if err != nil {
		t.Fatal(err)
	}
	golden.Assert(t, string(patch), "ephemeral-container.yaml")
}

// The API server is asked for each right, with its subresource.
func TestMissing(t *testing.T) {
	client := fake.NewClientset()
	client.PrependReactor("create", "selfsubjectaccessreviews", func(action clienttesting.Action) (bool, runtime.Object, error) {
		review := action.(clienttesting.CreateAction).GetObject().(*authorizationv1.SelfSubjectAccessReview).DeepCopy()
		a := review.Spec.ResourceAttributes
		review.Status.Allowed = a.Resource == "pods" && a.Namespace == "shop" && a.Subresource == ""
		return true, review, nil
	})
	missing, err := packets.Missing(t.Context(), client, plan(t).Rights())
	if err != nil || len(missing) != 1 || missing[0].String() != "patch pods/ephemeralcontainers in namespace shop" {
		t.Errorf("%v, %v", missing, err)
	}
}

// The image is that of what is installed, and not of whoever has its labels.
func TestImageOf(t *testing.T) {
	of := func(name, component, image string) *corev1.Pod {
		p := pod(name)
		p.Labels = map[string]string{"app.kubernetes.io/name": "apptier", "app.kubernetes.io/component": component}
		p.Spec.Containers = []corev1.Container{{Image: image}}
		return p
	}
	manager, enforcer := of("apptier-system/m", "manager", "theirs/manager"), of("apptier-enforcer/e", "enforcer", "theirs/enforcer")
	enforcer.Spec.HostNetwork = true
	pretender, squatter := of("shop/e", "enforcer", "evil"), of("apptier-enforcer/a", "enforcer", "evil")
	for _, test := range []struct {
		pods []*corev1.Pod
		want string
	}{
		{nil, ""}, {[]*corev1.Pod{pretender}, ""}, {[]*corev1.Pod{pretender, manager}, "theirs/manager"},
		{[]*corev1.Pod{squatter}, ""}, {[]*corev1.Pod{squatter, manager}, "theirs/manager"},
		{[]*corev1.Pod{pretender, manager, enforcer}, "theirs/enforcer"},
	} {
		if got := packets.ImageOf(test.pods); got != test.want {
			t.Errorf("of %d pods: %q, want %q", len(test.pods), got, test.want)
		}
	}
}
