package nodes_test

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/apptier/apptier/internal/connections/nodes"
)

func podOn(namespace, name, node string, change func(*corev1.Pod)) *corev1.Pod {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: corev1.PodSpec{NodeName: node}}
	if change != nil {
		change(pod)
	}
	return pod
}

func nodeAt(name string, addresses ...string) *corev1.Node {
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
	for _, address := range addresses {
		node.Status.Addresses = append(node.Status.Addresses, corev1.NodeAddress{Type: corev1.NodeInternalIP, Address: address})
	}
	return node
}

// Nodes with pods of the namespace are asked first, and named if they report nothing; others that report are asked, too.
// Nobody sends the manager to an address that is not his node's.
func TestWhichNodesAreAsked(t *testing.T) {
	objects := []client.Object{
		nodeAt("n1", "192.0.2.1"), nodeAt("n2", "192.0.2.2", "2001:db8::2"), nodeAt("n3", "192.0.2.3"), nodeAt("n4", "192.0.2.4"), nodeAt("n5"),
		podOn("shop", "web", "n2", nil), podOn("shop", "db", "n3", nil), podOn("shop", "cache", "n4", nil),
		podOn("shop", "proxy", "n5", func(p *corev1.Pod) { p.Spec.HostNetwork = true }),
		podOn("shop", "job", "n6", func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }),
		podOn("shop", "waits", "", nil), podOn("bank", "ledger", "n1", nil),
	}
	known := nodes.Known{
		Reader: fake.NewClientBuilder().WithObjects(objects...).Build(),
		Reports: func(context.Context) ([]nodes.Node, error) {
			return []nodes.Node{
				{Name: "n1", Address: "192.0.2.1:9810", Fingerprint: "1"}, {Name: "n2", Address: "[2001:db8::2]:9810", Fingerprint: "2"},
				{Name: "n3", Address: "192.0.2.2:9810", Fingerprint: "3"}, {Name: "n9", Address: "192.0.2.1:9810", Fingerprint: "9"},
			}, nil
		},
	}
	for namespace, want := range map[string][]nodes.Node{
		"shop": {
			{Name: "n2", Address: "[2001:db8::2]:9810", Fingerprint: "2"}, {Name: "n3", Fingerprint: "3", Refused: notItsOwn}, {Name: "n4"},
			{Name: "n1", Address: "192.0.2.1:9810", Fingerprint: "1"}, {Name: "n9", Fingerprint: "9", Refused: notItsOwn},
		},
		"bank": {
			{Name: "n1", Address: "192.0.2.1:9810", Fingerprint: "1"},
			{Name: "n2", Address: "[2001:db8::2]:9810", Fingerprint: "2"}, {Name: "n3", Fingerprint: "3", Refused: notItsOwn},
			{Name: "n9", Fingerprint: "9", Refused: notItsOwn},
		},
	} {
		got, left, err := known.Nodes(t.Context(), namespace)
		if difference := cmp.Diff(want, got); err != nil || left != 0 || difference != "" {
			t.Errorf("%s: %v, %d left\n%s", namespace, err, left, difference)
		}
	}

	// An audit asks where pods of the namespace are, or were: what a Job would have been denied is known after its end.
	got, left, err := known.Hosting(t.Context(), "shop")
	want := []nodes.Node{
		{Name: "n2", Address: "[2001:db8::2]:9810", Fingerprint: "2"}, {Name: "n3", Fingerprint: "3", Refused: notItsOwn},
		{Name: "n4"}, {Name: "n6"},
	}
	if difference := cmp.Diff(want, got); err != nil || left != 0 || difference != "" {
		t.Errorf("hosting: %v, %d left\n%s", err, left, difference)
	}
}

const notItsOwn = "its enforcer says that it answers at an address that is not the node's"

// A Node object that is not to be believed sends the manager neither to itself nor to what is local to it.
func TestWhereNobodyIsAsked(t *testing.T) {
	const (
		local = "its enforcer says that it answers at an address that the manager does not call: it is local"
		own   = "its enforcer says that it answers at an address of the manager's own"
	)
	for address, want := range map[string]string{
		"192.0.2.7": "", "2001:db8::7": "",
		"127.0.0.1": local, "127.9.9.9": local, "::1": local, "::ffff:127.0.0.1": local, "0.0.0.0": local, "::": local,
		"169.254.169.254": local, "fe80::1": local, "fe80::1%eth0": local, "224.0.0.1": local, "ff02::1": local, "255.255.255.255": local,
		"10.0.0.9": own, "::ffff:10.0.0.9": own, "192.0.2.1": own, "2001:db8::1": own,
	} {
		at := netip.AddrPortFrom(netip.MustParseAddr(address), 9810).String()
		known := nodes.Known{
			Reader: fake.NewClientBuilder().WithObjects(nodeAt("n1", "192.0.2.1", "2001:db8::1"), nodeAt("n7", address)).Build(),
			Reports: func(context.Context) ([]nodes.Node, error) {
				return []nodes.Node{
					{Name: "n1", Address: "192.0.2.1:9810", Fingerprint: "1"}, {Name: "n7", Address: at, Fingerprint: "7"},
				}, nil
			},
			Self: nodes.Self{Node: "n1", Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.9")}},
		}
		asked, _, err := known.Nodes(t.Context(), "shop")
		if err != nil || len(asked) != 2 || asked[0].Refused != "" || asked[1].Refused != want || (asked[1].Address == "") != (want != "") {
			t.Errorf("%s: %+v, %v", address, asked, err)
		}
	}
}

// In a large cluster not everybody is asked, and that is said.
func TestOtherNodesAreBounded(t *testing.T) {
	known := nodes.Known{
		Reader: fake.NewClientBuilder().WithObjects(podOn("shop", "web", "n0700", nil)).Build(),
		Reports: func(context.Context) (all []nodes.Node, err error) {
			for i := range 1000 {
				all = append(all, nodes.Node{Name: fmt.Sprintf("n%04d", i)})
			}
			return all, nil
		},
	}
	got, left, err := known.Nodes(t.Context(), "shop")
	if err != nil || len(got) != 501 || left != 499 || got[0].Name != "n0700" {
		t.Errorf("asks %d, leaves %d: %v", len(got), left, err)
	}
	asker := nodes.Asker{Nodes: known.Nodes, Now: func() time.Time { return begin }}
	list := asker.List(t.Context(), "shop", begin)
	if want := []string{"499 nodes without pods of the namespace are not asked"}; !slices.Equal(list.Notes, want) || len(list.Missing) != 501 {
		t.Errorf("notes %v, and misses %d nodes, of which 501 do not answer", list.Notes, len(list.Missing))
	}
}
