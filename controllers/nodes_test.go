package controllers_test

import (
	"context"
	"fmt"
	"strconv"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apptier/apptier/api/v1alpha1"
)

// onNodes is a cluster whose nodes report what a test says.
type onNodes struct {
	cluster
	ctx context.Context
	app *v1alpha1.AppTier
}

func (n onNodes) pod(name, node, tier string) {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: n.app.Namespace, Name: name, Labels: map[string]string{"tier": tier}},
		Spec:       corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{Name: "c", Image: "i"}}},
	}
	n.Expect(n.Create(n.ctx, pod)).To(Succeed())
	pod.Status.PodIPs, pod.Status.PodIP = []corev1.PodIP{{IP: "10.0.0.1"}}, "10.0.0.1"
	n.Expect(n.Status().Update(n.ctx, pod)).To(Succeed())
}

// report has nodes say that they have all changes up to a version.
func (n onNodes) report(version int, nodes ...string) {
	for _, node := range nodes {
		n.say(node, v1alpha1.NodeReportStatus{Mode: v1alpha1.EnforcerEnforces, NetworkPolicies: strconv.Itoa(version)})
	}
}

func (n onNodes) say(node string, status v1alpha1.NodeReportStatus) {
	report := &v1alpha1.NodeReport{ObjectMeta: metav1.ObjectMeta{Name: node}, Status: status}
	if err := n.Create(n.ctx, report); err == nil {
		return
	}
	n.Expect(n.Get(n.ctx, client.ObjectKeyFromObject(report), report)).To(Succeed())
	report.Status = status
	n.Expect(n.Update(n.ctx, report)).To(Succeed())
}

// latest is the version of the latest change of the AppTier's policies that are there.
func (n onNodes) latest() int {
	latest := 0
	for _, policy := range n.policies(n.ctx, n.app.Namespace) {
		version, err := strconv.Atoi(policy.ResourceVersion)
		n.Expect(err).NotTo(HaveOccurred())
		latest = max(latest, version)
	}
	return latest
}

// becomes waits for the condition Programmed of the current generation: its status, reason and nodes.
func (n onNodes) becomes(want string) {
	var condition *metav1.Condition
	n.Eventually(func() string {
		n.Expect(n.Get(n.ctx, client.ObjectKeyFromObject(n.app), n.app)).To(Succeed())
		condition = meta.FindStatusCondition(n.app.Status.Conditions, v1alpha1.ConditionProgrammed)
		if condition == nil || condition.ObservedGeneration != n.app.Generation {
			return "not known yet"
		}
		return fmt.Sprintf("%s %s %s", condition.Status, condition.Reason, n.app.Status.Nodes.Summary)
	}, soon, 20*time.Millisecond).Should(Equal(want), "%v", condition)
}

// never says that the condition Programmed of the current generation is not True for a while.
func (n onNodes) never() {
	n.Consistently(func() bool {
		n.Expect(n.Get(n.ctx, client.ObjectKeyFromObject(n.app), n.app)).To(Succeed())
		condition := meta.FindStatusCondition(n.app.Status.Conditions, v1alpha1.ConditionProgrammed)
		return condition != nil && condition.Status == metav1.ConditionTrue && condition.ObservedGeneration == n.app.Generation
	}, 3*time.Second, 20*time.Millisecond).Should(BeFalse(), "%v", n.app.Status)
}

func (n onNodes) message() string {
	return meta.FindStatusCondition(n.app.Status.Conditions, v1alpha1.ConditionProgrammed).Message
}

// The condition follows what nodes report, from one state to the next.
func TestProgrammedOnNodes(t *testing.T) {
	c := startController(t)
	n := onNodes{cluster: c, ctx: t.Context(), app: shop(c.newNamespace(t.Context()))}
	n.pod("web-1", "n1", "web")
	n.pod("web-2", "n2", "web")
	n.pod("db-1", "n2", "db")
	n.pod("other", "n3", "other")
	n.Expect(n.Create(n.ctx, n.app)).To(Succeed())
	n.becomes("Unknown NoEnforcer 0/2")

	n.report(n.latest()-1, "n1")
	n.becomes("False NodesBehind 0/2")
	n.Expect(n.message()).To(Equal("2 of 2 nodes do not have the policies: n1 (the latest change is not in the kernel), n2 (no enforcer reports)"))
	n.report(n.latest(), "n1")
	n.becomes("False NodesBehind 1/2")
	n.report(n.latest()+1000, "n2")
	n.becomes("True AllNodes 2/2")

	t.Run("a pod on another node", func(t *testing.T) {
		n := n.of(t)
		n.pod("web-3", "n4", "web")
		n.becomes("False NodesBehind 2/3")
		n.report(n.latest(), "n4")
		n.becomes("True AllNodes 3/3")
	})
	t.Run("another spec, of which the nodes have not heard", func(t *testing.T) { testProgrammedAnew(n.of(t)) })
	t.Run("a deletion, of which they have not heard", func(t *testing.T) { testProgrammedWithout(n.of(t)) })
	t.Run("what a node takes back", func(t *testing.T) { testTakenBack(n.of(t)) })
}

func (n onNodes) of(t *testing.T) onNodes {
	n.WithT, n.ctx = NewWithT(t), t.Context()
	return n
}

func testProgrammedAnew(n onNodes) {
	before := n.latest()
	n.report(before, "n1", "n2", "n4")
	n.becomes("True AllNodes 3/3")
	n.Expect(n.Get(n.ctx, client.ObjectKeyFromObject(n.app), n.app)).To(Succeed())
	n.app.Spec.Tiers[0].Ports[0].Port = 9090
	n.Expect(n.Update(n.ctx, n.app)).To(Succeed())
	n.never()
	n.report(n.latest(), "n1", "n2", "n4")
	n.becomes("True AllNodes 3/3")
	n.Expect(n.latest()).To(BeNumerically(">", before))
}

// testProgrammedWithout: the version of a deletion counts, although no policy has it.
func testProgrammedWithout(n onNodes) {
	namespace := client.InNamespace(n.app.Namespace)
	watching, err := n.watching().Watch(n.ctx, &networkingv1.NetworkPolicyList{}, namespace)
	n.Expect(err).NotTo(HaveOccurred())
	defer watching.Stop()
	n.Expect(n.Get(n.ctx, client.ObjectKeyFromObject(n.app), n.app)).To(Succeed())
	n.app.Spec.Tiers = n.app.Spec.Tiers[:1]
	n.Expect(n.Update(n.ctx, n.app)).To(Succeed())
	var deleted int
	for e := range watching.ResultChan() {
		if e.Type == watch.Deleted {
			deleted, err = strconv.Atoi(e.Object.(*networkingv1.NetworkPolicy).ResourceVersion)
			n.Expect(err).NotTo(HaveOccurred())
			break
		}
	}
	n.report(deleted-1, "n1", "n2", "n4")
	n.never()
	n.report(deleted, "n1", "n2", "n4")
	n.becomes("True AllNodes 3/3")
	n.Expect(n.app.Status.Nodes.NetworkPolicies).To(Equal(strconv.Itoa(deleted)))
}

func testTakenBack(n onNodes) {
	version := strconv.Itoa(n.latest() + 1000)
	good := v1alpha1.NodeReportStatus{Mode: v1alpha1.EnforcerEnforces, NetworkPolicies: version}
	n.say("n1", good)
	for _, taken := range []struct {
		status v1alpha1.NodeReportStatus
		want   string
	}{
		{v1alpha1.NodeReportStatus{Mode: v1alpha1.EnforcerEnforces, NetworkPolicies: version, Problems: []string{"Broken"}}, "False NodesBehind 2/3"},
		{v1alpha1.NodeReportStatus{Mode: v1alpha1.EnforcerEnforces, NetworkPolicies: version, NotAsWritten: []string{n.app.Namespace + "/shop.tier.web"}}, "False NodesBehind 2/3"},
		{v1alpha1.NodeReportStatus{Mode: v1alpha1.EnforcerEnforces, NetworkPolicies: "1"}, "False NodesBehind 2/3"},
		{v1alpha1.NodeReportStatus{Mode: v1alpha1.EnforcerObserves, NetworkPolicies: version}, "Unknown NoEnforcer 2/3"},
	} {
		n.say("n1", taken.status)
		n.becomes(taken.want)
		n.say("n1", good)
		n.becomes("True AllNodes 3/3")
	}
	n.Expect(n.Delete(n.ctx, &v1alpha1.NodeReport{ObjectMeta: metav1.ObjectMeta{Name: "n1"}})).To(Succeed())
	n.becomes("False NodesBehind 2/3")
	n.Expect(n.DeleteAllOf(n.ctx, &corev1.Pod{}, client.InNamespace(n.app.Namespace), client.GracePeriodSeconds(0))).To(Succeed())
	n.becomes("True AllNodes 0/0")
}
