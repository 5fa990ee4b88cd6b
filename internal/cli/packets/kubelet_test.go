package packets_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"sigs.k8s.io/yaml"

	"github.com/apptier/apptier/internal/cli/packets"
)

// ends is what a container comes to, after a while.
type ends struct {
	after time.Duration
	state corev1.ContainerState
}

func terminated(after time.Duration, message string) ends {
	return ends{after, corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Message: message}}}
}

func waiting(after time.Duration, reason, message string) ends {
	return ends{after, corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}}
}

// kubelet is a cluster whose nodes start containers, which end as a test says.
type kubelet struct {
	*fake.Clientset
	lock sync.Mutex
	// running and most count containers that run at once.
	running, most int
	// made are the pods that were created, as they were, and patches what others were patched with.
	made    []*corev1.Pod
	patches [][]byte
}

// newKubelet answers with what the container of a pod comes to.
func newKubelet(t *testing.T, end func(pod *corev1.Pod, container string) ends, pods ...*corev1.Pod) *kubelet {
	t.Helper()
	var objects []runtime.Object
	for _, p := range pods {
		objects = append(objects, p)
	}
	k := &kubelet{Clientset: fake.NewClientset(objects...)}
	start := func(p *corev1.Pod, container string, statuses func(*corev1.PodStatus) *[]corev1.ContainerStatus) {
		k.count(1)
		go func() {
			what := end(p, container)
			time.Sleep(what.after) //nolint:forbidigo // in a bubble of synctest
			k.count(-1)
			live, err := k.CoreV1().Pods(p.Namespace).Get(context.Background(), p.Name, metav1.GetOptions{})
			if err != nil {
				return // it is deleted
			}
			all := statuses(&live.Status)
			*all = append(*all, corev1.ContainerStatus{Name: container, State: what.state})
			if _, err := k.CoreV1().Pods(p.Namespace).UpdateStatus(context.Background(), live, metav1.UpdateOptions{}); err != nil {
				t.Error(err)
			}
		}()
	}
	k.PrependReactor("create", "pods", func(action clienttesting.Action) (bool, runtime.Object, error) {
		p := action.(clienttesting.CreateAction).GetObject().(*corev1.Pod).DeepCopy()
		k.made = append(k.made, p)
		start(p, p.Spec.Containers[0].Name, func(s *corev1.PodStatus) *[]corev1.ContainerStatus { return &s.ContainerStatuses })
		return false, nil, nil
	})
	k.PrependReactor("patch", "*", func(action clienttesting.Action) (bool, runtime.Object, error) {
		patch := action.(clienttesting.PatchAction)
		if patch.GetSubresource() != "ephemeralcontainers" {
			return true, nil, errors.New("only ephemeral containers are patched")
		}
		var added corev1.Pod
		if err := yaml.Unmarshal(patch.GetPatch(), &added); err != nil || len(added.Spec.EphemeralContainers) != 1 {
			return true, nil, fmt.Errorf("one ephemeral container is added, not %s: %w", patch.GetPatch(), err)
		}
		k.patches = append(k.patches, patch.GetPatch())
		added.Namespace, added.Name = patch.GetNamespace(), patch.GetName()
		start(&added, added.Spec.EphemeralContainers[0].Name, func(s *corev1.PodStatus) *[]corev1.ContainerStatus {
			return &s.EphemeralContainerStatuses
		})
		return true, &added, nil
	})
	return k
}

func (k *kubelet) count(by int) {
	k.lock.Lock()
	defer k.lock.Unlock()
	k.running += by
	k.most = max(k.most, k.running)
}

// left are the pods that runs made and that are there.
func (k *kubelet) left(t *testing.T) []string {
	t.Helper()
	list, err := k.CoreV1().Pods("").List(t.Context(), metav1.ListOptions{LabelSelector: packets.LabelRun})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range list.Items {
		names = append(names, p.Name)
	}
	return names
}
