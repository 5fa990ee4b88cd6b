package kernel

import (
	"slices"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/apptier/apptier/enforcer/agent"
	"github.com/apptier/apptier/enforcer/bind"
	"github.com/apptier/apptier/enforcer/nft"
	"github.com/apptier/apptier/test/lab"
)

// A whole agent binds the ports of its pods, takes over what another one left, and lets go of pods that are
// gone and come again.
func TestAnAgentBindsPorts(t *testing.T) {
	l := newLab(t, lab.Bridged)
	l.Listen(t, probePorts)
	snapshot := l.Shop()
	client := fake.NewClientset(objects(snapshot)...)
	l.runWith(t, client, agent.Options{Node: lab.NodeName, Wiring: l.Looks(t), Log: logr.Discard()})
	table := openBridges(t, l.Node)
	bound := func() bind.Bindings {
		contents, err := table.Contents(t.Context(), true)
		lab.Must(t, err)
		return bind.Adopt(contents)
	}
	known := slices.DeleteFunc(l.Given(), func(p bind.Pod) bool {
		return !slices.ContainsFunc(snapshot.Pods, func(o *corev1.Pod) bool { return "x/"+o.Name == p.Name })
	})
	eventually(t, "all ports are bound", func() bool { return len(bound()) == len(known) })
	for i, pod := range known {
		b := bound()[lab.Outside(i)]
		for _, a := range pod.Addresses {
			if !slices.Contains(b.Addresses, a) {
				t.Errorf("port %s is bound to %v, and not to %s of %s", lab.Outside(i), b.Addresses, a, pod.Name)
			}
		}
	}
	a, b := l.Host("local-0"), l.Host("local-1")
	l.expect(t, both(a, b), true)

	// Somebody takes the table away: it comes again.
	lab.Must(t, nft.RemoveTable(t.Context(), table))
	eventually(t, "the table is there again", func() bool { return len(bound()) == len(known) })

	// The port of a pod that is deleted stays its own until the port is gone.
	lab.Must(t, client.CoreV1().Pods("x").Delete(t.Context(), a.Name, metav1.DeleteOptions{}))
	<-time.After(time.Second)
	if len(bound()) != len(known) {
		t.Errorf("a pod that is gone has left its port open: %v", bound())
	}
}
