package attack

import (
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/apptier/apptier/enforcer/agent"
	"github.com/apptier/apptier/enforcer/health"
	"github.com/apptier/apptier/test/lab"
)

// friendly tells whether pods that nobody deleted still talk.
func friendly(s *scene) bool {
	return s.connects(s.friend, s.lab.Host("local-3"), corev1.ProtocolTCP, 80)
}

// deletePod deletes the object of a pod that runs on, and waits until its policy allows it nothing any more.
func (s *scene) deletePod(client kubernetes.Interface, h lab.Host) {
	s.t.Helper()
	lab.Must(s.t, client.CoreV1().Pods("x").Delete(s.t.Context(), h.Name, metav1.DeleteOptions{}))
	allowed := []lab.Cell{{From: s.attacker, To: s.victim, V6: s.v6, Protocol: corev1.ProtocolTCP, Port: 80}}
	s.eventually(h.Name+" is closed", func() bool { return !s.lab.Probe(s.t, allowed, idle)[0] })
}

// A node whose object is deleted still runs, as do its pods, whose objects the API server deletes with it.
func TestANodeThatWasDeleted(t *testing.T) {
	run(t, attack{
		name: "the node's object and the victim's were deleted", by: withoutCapabilities, policies: []policies{defaults()[0]},
		rules: func(s *scene, a attack, p policies) (stop func()) {
			report := &health.Report{}
			client, stop := s.runAgent(s.objects(a, p), agent.Options{Health: report})
			lab.Must(s.t, client.CoreV1().Nodes().Delete(s.t.Context(), lab.NodeName, metav1.DeleteOptions{}))
			s.eventually("the agent misses the node", func() bool {
				return slices.ContainsFunc(report.Problems(time.Now()), func(p health.Problem) bool { return p.Reason == "NodeMissing" })
			})
			s.deletePod(client, s.victim)
			return stop
		},
		try: stealsFromVictim, beside: friendly,
	})
}

// A pod that was deleted by force is closed as long as the kernel has its link, also where the node's object
// names no ranges that would tell that it is a pod: in either direction.
func TestAPodThatWasDeletedByForceWithoutRanges(t *testing.T) {
	for name, i := range map[string]int{"the victim": 0, "the attacker": 1} {
		t.Run(name, func(t *testing.T) {
			run(t, attack{
				name: name + " was deleted by force, on a node without podCIDRs", by: withoutCapabilities, objects: withoutRanges,
				policies: []policies{defaults()[i]}, // the other one is open
				rules: func(s *scene, a attack, p policies) (stop func()) {
					client, stop := s.runAgent(s.objects(a, p), agent.Options{Wiring: s.lab.Looks(s.t)})
					s.deletePod(client, []lab.Host{s.victim, s.attacker}[i])
					return stop
				},
				try: stealsFromVictim, beside: friendly,
			})
		})
	}
}
