package main

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/apptier/apptier/internal/testenv/apiserver"
	"github.com/apptier/apptier/internal/testenv/network"
)

// Whoever else uses the bits of connections' marks is named in the log, in an Event, by the probe and in the
// metrics; the node stays ready.
func TestOthersThatUseTheMarkAreTold(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it makes network namespaces")
	}
	config, environment := apiserver.Start(t)
	client := kubernetes.NewForConfigOrDie(config)
	node, err := network.NewNamespace()
	must(t, err)
	defer node.Close()
	_, err = client.CoreV1().Nodes().Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"}}, metav1.CreateOptions{})
	must(t, err)
	must(t, network.In(node, func() error {
		return exec.CommandContext(t.Context(), "nft", "add table ip mine; add chain ip mine own; add rule ip mine own ct mark set meta mark").Run()
	}))

	p := start(t, node, environment)
	p.awaitLog(t, "The rules are in the kernel")
	p.awaitLog(t, "reason=MarkShared")
	eventually(t, "an Event on the Node", func() bool {
		events, err := client.EventsV1().Events(metav1.NamespaceDefault).List(t.Context(), metav1.ListOptions{})
		must(t, err)
		return slices.ContainsFunc(events.Items, func(e eventsv1.Event) bool {
			return e.Reason == "MarkShared" && e.Regarding.Kind == "Node" && strings.Contains(e.Note, "ip mine own (mask 0xffffffff)")
		})
	}, p.log.String)
	awaitAnswer(t, node, "http://127.0.0.1:9809/readyz", "ok\nwarning: MarkShared: ")
	awaitAnswer(t, node, "http://127.0.0.1:9808/metrics", `apptier_enforcer_warning{reason="MarkShared"} 1`)
}
