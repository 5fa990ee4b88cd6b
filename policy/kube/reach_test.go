package kube_test

import (
	"fmt"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"pgregory.net/rapid"

	"github.com/apptier/apptier/policy/kube"
	"github.com/apptier/apptier/policy/reach"
	"github.com/apptier/apptier/policy/reach/reachtest"
)

// policy/reach reads pods and policies for itself. What this package says of them is what reach makes of them.
func TestReachReadsTheSame(t *testing.T) {
	seen := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		s := reachtest.Snapshot(reachtest.MaxPods(8)).Draw(t, "snapshot")
		for _, pod := range s.Pods {
			if got, want := kube.Finished(pod), reach.Finished(pod); got != want {
				t.Fatalf("%s/%s is finished: %t, reach says %t", pod.Namespace, pod.Name, got, want)
			}
		}
		for _, policy := range s.Policies {
			for _, direction := range []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress} {
				got, want := kube.Isolates(&policy.Spec, direction), denies(policy.Spec.PolicyTypes, len(policy.Spec.Egress) > 0, direction)
				if got != want {
					t.Fatalf("%v of %+v: %t, reach says %t", direction, policy.Spec, got, want)
				}
				seen[fmt.Sprint(direction, got)]++
			}
		}
		pod := declaring(rapid.SliceOfN(container(), 1, 3).Draw(t, "containers"), rapid.SliceOfN(container(), 0, 3).Draw(t, "init containers"))
		for _, protocol := range []corev1.Protocol{corev1.ProtocolTCP, corev1.ProtocolUDP} {
			numbers := kube.PortsNamed([]*corev1.Pod{pod}, "http", protocol)
			for number := int32(80); number <= 83; number++ {
				got, want := slices.Contains(numbers, number), opensNamed(pod, protocol, number)
				if got != want {
					t.Fatalf("%s %d is http of %+v: %t, reach says %t", protocol, number, pod.Spec, got, want)
				}
				seen[fmt.Sprint("named ", got)]++
			}
		}
	})
	t.Log(seen)
	if len(seen) != 6 {
		t.Errorf("not every answer was given: %v", seen)
	}
}

// denies says whether reach isolates the pods of a policy of these types in a direction.
func denies(types []networkingv1.PolicyType, hasEgress bool, direction networkingv1.PolicyType) bool {
	policy := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "x"}, Spec: networkingv1.NetworkPolicySpec{PolicyTypes: types}}
	if hasEgress {
		nobody := networkingv1.NetworkPolicyPeer{PodSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"is": "nobody"}}}
		policy.Spec.Egress = []networkingv1.NetworkPolicyEgressRule{{To: []networkingv1.NetworkPolicyPeer{nobody}}}
	}
	result := allowed([]*corev1.Pod{listening("a", nil), listening("b", nil)}, policy, corev1.ProtocolTCP, 80)
	if direction == networkingv1.PolicyTypeIngress {
		return result.Ingress.Verdict == reach.Deny
	}
	return result.Egress.Verdict == reach.Deny
}

// opensNamed says whether reach lets a rule for the port http of a pod open a number.
func opensNamed(pod *corev1.Pod, protocol corev1.Protocol, number int32) bool {
	policy := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "x"}}
	named := networkingv1.NetworkPolicyPort{Protocol: &protocol, Port: ptr.To(intstr.FromString("http"))}
	policy.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{Ports: []networkingv1.NetworkPolicyPort{named}}}
	return allowed([]*corev1.Pod{listening("a", nil), pod}, policy, protocol, number).Verdict == reach.Allow
}

// allowed judges a connection from the first pod to the second.
func allowed(pods []*corev1.Pod, policy *networkingv1.NetworkPolicy, protocol corev1.Protocol, port int32) reach.Result {
	end := func(pod *corev1.Pod) reach.Endpoint {
		return reach.Endpoint{Pod: types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}}
	}
	s := reach.Snapshot{
		Namespaces: []*corev1.Namespace{{ObjectMeta: metav1.ObjectMeta{Name: "x"}}},
		Pods:       pods, Policies: []*networkingv1.NetworkPolicy{policy},
	}
	return reach.Allowed(s, reach.Flow{Source: end(pods[0]), Destination: end(pods[1]), Protocol: protocol, Port: port})
}

func listening(name string, containers []corev1.Container) *corev1.Pod {
	address := map[string]string{"a": "10.0.0.1", "b": "10.0.0.2"}[name]
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "x", Name: name}, Spec: corev1.PodSpec{NodeName: "n", Containers: containers},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, PodIP: address, PodIPs: []corev1.PodIP{{IP: address}}},
	}
}

func declaring(containers, inits []corev1.Container) *corev1.Pod {
	pod := listening("b", containers)
	pod.Spec.InitContainers = inits
	return pod
}

func container() *rapid.Generator[corev1.Container] {
	return rapid.Custom(func(t *rapid.T) corev1.Container {
		port := corev1.ContainerPort{
			Name:          rapid.SampledFrom([]string{"http", "http", "metrics"}).Draw(t, "name"),
			Protocol:      rapid.SampledFrom([]corev1.Protocol{"", corev1.ProtocolTCP, corev1.ProtocolUDP}).Draw(t, "protocol"),
			ContainerPort: rapid.Int32Range(80, 83).Draw(t, "number"),
		}
		policy := rapid.SampledFrom([]*corev1.ContainerRestartPolicy{nil, ptr.To(corev1.ContainerRestartPolicyAlways)}).Draw(t, "restarts")
		return corev1.Container{Ports: []corev1.ContainerPort{port}, RestartPolicy: policy}
	})
}
