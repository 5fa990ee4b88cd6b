package main

import (
	"context"
	"os"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	apptierv1alpha1 "github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/enforcer/agent"
	"github.com/apptier/apptier/internal/testenv/apiserver"
	"github.com/apptier/apptier/internal/testenv/network"
)

// The enforcer enforces on a cluster that does not have the kind StagedNetworkPolicy, and says so. Once it has, staged
// policies are in the kernel, and what of them cannot be read is an Event on them.
func TestStagedPoliciesOfARealCluster(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it makes network namespaces")
	}
	config, environment := apiserver.Start(t)
	core := kubernetes.NewForConfigOrDie(config)
	_, err := core.CoreV1().Nodes().Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"}}, metav1.CreateOptions{})
	must(t, err)
	must(t, makePod(t.Context(), core, "web", "10.0.0.1"))
	node, err := network.NewNamespace()
	must(t, err)
	defer node.Close()

	must(t, apptierv1alpha1.AddToScheme(environment.Scheme))
	objects, err := client.New(config, client.Options{Scheme: environment.Scheme})
	must(t, err)
	policy := &apptierv1alpha1.StagedNetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "trial"},
		Spec: networkingv1.NetworkPolicySpec{Ingress: []networkingv1.NetworkPolicyIngressRule{{
			From: []networkingv1.NetworkPolicyPeer{{IPBlock: &networkingv1.IPBlock{CIDR: "nonsense"}}},
		}}},
	}
	must(t, objects.Create(t.Context(), policy))
	listed, err := agent.NewStagedPolicies(config)
	must(t, err)
	snapshot, err := agent.List(t.Context(), core, listed)
	must(t, err)
	if len(snapshot.Staged) != 1 || snapshot.Staged[0].Name != "trial" {
		t.Errorf("listed %v", snapshot.Staged)
	}

	p := start(t, node, environment)
	p.awaitLog(t, "A part of a staged policy cannot be judged")
	eventually(t, "an Event on the StagedNetworkPolicy", func() bool {
		events, err := core.EventsV1().Events("default").List(t.Context(), metav1.ListOptions{})
		must(t, err)
		for _, e := range events.Items {
			if r := e.Regarding; e.Reason == "NotJudged" && r.Kind == "StagedNetworkPolicy" && r.Name == "trial" && r.UID == policy.UID {
				return true
			}
		}
		return false
	}, p.log.String)
	awaitAnswer(t, node, "http://127.0.0.1:9808/metrics", `apptier_enforcer_would_deny_connections_total{direction="ingress"} 0`)
	awaitAnswer(t, node, "http://127.0.0.1:9808/metrics", "apptier_enforcer_staged_policy_problems 1")

	must(t, envtest.UninstallCRDs(config, environment.CRDInstallOptions))
	eventually(t, "the kind is gone", func() bool {
		_, err := listed.List(t.Context(), metav1.ListOptions{})
		return apierrors.IsNotFound(err)
	}, p.log.String)
	awaitAnswer(t, node, "http://127.0.0.1:9808/metrics", "apptier_enforcer_staged_policy_problems 0")
	p.awaitLog(t, "does not have the kind StagedNetworkPolicy")
	// No link of this node leads to the pod, which is another matter.
	must(t, core.CoreV1().Pods("default").Delete(t.Context(), "web", metav1.DeleteOptions{GracePeriodSeconds: new(int64)}))
	awaitAnswer(t, node, "http://127.0.0.1:9809/readyz", "ok\n")
	_, err = agent.List(t.Context(), core, listed)
	must(t, err)
}

// makePod makes a pod of the node that has an address.
func makePod(ctx context.Context, core kubernetes.Interface, name, address string) error {
	pods := core.CoreV1().Pods("default")
	pod, err := pods.Create(ctx, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PodSpec{
			NodeName: "n", AutomountServiceAccountToken: new(bool),
			Containers: []corev1.Container{{Name: "c", Image: "none"}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	pod.Status.Phase, pod.Status.PodIP, pod.Status.PodIPs = corev1.PodRunning, address, []corev1.PodIP{{IP: address}}
	_, err = pods.UpdateStatus(ctx, pod, metav1.UpdateOptions{})
	return err
}
