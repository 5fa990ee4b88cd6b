package attack

import (
	"net"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/apptier/apptier/policy/reach"
	"github.com/apptier/apptier/test/lab"
)

// stealsFromVictim asks the victim for its secret on a port that no policy opens.
func stealsFromVictim(s *scene) bool {
	address := net.JoinHostPort(s.victim.Address(s.v6).String(), "8080")
	defer s.serve(s.victim, address)()
	return s.steals(address)
}

// claims has a younger pod of a node say that it has the addresses of a host.
func claims(objects *reach.Snapshot, node string, h lab.Host, labels map[string]string) {
	thief := lab.Pod(h, "x", labels)
	thief.Name, thief.Spec.NodeName, thief.CreationTimestamp = "thief", node, metav1.Unix(1<<40, 0)
	objects.Pods = append(objects.Pods, thief)
}

// A stolen node, or whoever may write the status of pods, says that a pod elsewhere has the victim's address.
func TestAPodElsewhereWithTheVictimsAddress(t *testing.T) {
	run(t, attack{
		name: "a younger pod of another node has the victim's address",
		by:   withoutCapabilities,
		objects: func(s *scene, objects *reach.Snapshot) {
			claims(objects, "node-1", s.victim, nil)
		},
		policies: []policies{defaults()[0]},
		try:      stealsFromVictim,
	})
}

// The same of the attacker's own address, to be an allowed peer.
func TestAPodElsewhereWithTheAttackersAddress(t *testing.T) {
	run(t, attack{
		name: "a pod of another node has the attacker's address and a peer's labels",
		by:   withoutCapabilities,
		objects: func(s *scene, objects *reach.Snapshot) {
			claims(objects, "node-1", s.attacker, map[string]string{"app": "c"})
		},
		policies: []policies{{`{podSelector: {matchLabels: {app: b}}, ingress: [{from: [{podSelector: {matchLabels: {app: c}}}]}, {ports: [{port: 80}]}]}`}},
		try:      stealsFromVictim,
	})
}

// What a pod's status says about its node lets everyone reach that address.
func TestANeighbourCallsTheVictimItsNode(t *testing.T) {
	run(t, attack{
		name: "a neighbour's status says that the victim is the node",
		by:   withoutCapabilities,
		objects: func(s *scene, objects *reach.Snapshot) {
			for _, p := range objects.Pods {
				if p.Name == s.friend.Name {
					p.Status.HostIP = s.victim.V4.String()
					p.Status.HostIPs = []corev1.HostIP{{IP: s.victim.V4.String()}, {IP: s.victim.V6.String()}}
				}
			}
		},
		policies: []policies{defaults()[0]},
		try:      stealsFromVictim,
	})
}

// A pod that was deleted by force runs on, and is under policies that nobody can look up any more.
func TestAPodThatWasDeletedByForce(t *testing.T) {
	run(t, attack{
		name: "the victim was deleted by force",
		by:   withoutCapabilities,
		objects: func(s *scene, objects *reach.Snapshot) {
			objects.Pods = slices.DeleteFunc(objects.Pods, func(p *corev1.Pod) bool { return p.Name == s.victim.Name })
		},
		policies: []policies{defaults()[0]},
		try:      stealsFromVictim,
		beside:   func(s *scene) bool { return s.connects(s.attacker, s.friend, corev1.ProtocolTCP, 80) },
	})
}
