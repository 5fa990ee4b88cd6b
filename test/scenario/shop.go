package scenario

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"text/template"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apptier/apptier/test/cluster/build"
)

// Namespaces of the example.
const (
	shopNamespace      = "shop"
	elsewhereNamespace = "elsewhere"
)

// Shop is the AppTier of config/samples/shop.yaml.
var Shop = types.NamespacedName{Namespace: shopNamespace, Name: "shop"}

// member is a pod of the example.
type member struct {
	Namespace, Name string
	// Node is 1 or 2, for the node that it runs on.
	Node int
	// Port that the pod listens on, over TCP and UDP.
	Port int32
}

func (m member) key() types.NamespacedName {
	return types.NamespacedName{Namespace: m.Namespace, Name: m.Name}
}

// members are the pods of the example: three tiers over both nodes, an administrator, and a visitor
// from another namespace.
var members = []member{
	{shopNamespace, "frontend", 1, 8080},
	{shopNamespace, "api", 2, 8080},
	{shopNamespace, "database", 1, 5432},
	{shopNamespace, "admin", 2, 8080},
	{elsewhereNamespace, "visitor", 2, 8080},
}

// destination is a column of the matrix.
type destination struct {
	name     string
	pod      types.NamespacedName
	protocol corev1.Protocol
	port     int32
}

var destinations = []destination{
	{"frontend:8080", types.NamespacedName{Namespace: shopNamespace, Name: "frontend"}, corev1.ProtocolTCP, 8080},
	{"api:8080", types.NamespacedName{Namespace: shopNamespace, Name: "api"}, corev1.ProtocolTCP, 8080},
	{"api:8080/udp", types.NamespacedName{Namespace: shopNamespace, Name: "api"}, corev1.ProtocolUDP, 8080},
	{"database:5432", types.NamespacedName{Namespace: shopNamespace, Name: "database"}, corev1.ProtocolTCP, 5432},
	{"visitor:8080", types.NamespacedName{Namespace: elsewhereNamespace, Name: "visitor"}, corev1.ProtocolTCP, 8080},
}

//go:embed shop.yaml.tmpl
var shopTemplate string

// DeployShop creates the example's pods and waits until they, and the cluster's DNS, are ready.
func DeployShop(ctx context.Context, c Cluster) error {
	api, err := Client(c)
	if err != nil {
		return err
	}
	nodes, err := twoNodes(ctx, api)
	if err != nil {
		return err
	}
	manifests, err := shopManifests(nodes)
	if err != nil {
		return err
	}
	if err := c.Apply(ctx, manifests); err != nil {
		return err
	}
	return eventually(ctx, "the shop runs", func(ctx context.Context) (string, error) {
		return podsReady(ctx, api, shopNamespace, elsewhereNamespace, "kube-system")
	})
}

// Free says whether the example's namespaces are not somebody's already: those of an earlier example are not.
func Free(ctx context.Context, api client.Client) error {
	for _, name := range []string{shopNamespace, elsewhereNamespace} {
		var namespace corev1.Namespace
		switch err := api.Get(ctx, client.ObjectKey{Name: name}, &namespace); {
		case apierrors.IsNotFound(err):
		case err != nil:
			return fmt.Errorf("looking for namespace %s: %w", name, err)
		case namespace.Labels[exampleLabel] != exampleValue:
			return fmt.Errorf("the cluster has a namespace %s already, which the example would change", name)
		}
	}
	return nil
}

// The label of the example's namespaces.
const (
	exampleLabel = "app.kubernetes.io/part-of"
	exampleValue = "apptier-example"
)

// twoNodes are the host names of the first two nodes that take pods; twice the same if there is one.
func twoNodes(ctx context.Context, api client.Client) ([2]string, error) {
	var nodes corev1.NodeList
	if err := api.List(ctx, &nodes); err != nil {
		return [2]string{}, fmt.Errorf("reading the nodes: %w", err)
	}
	var names []string
	for _, node := range nodes.Items {
		closed := func(t corev1.Taint) bool { return t.Effect != corev1.TaintEffectPreferNoSchedule }
		if !node.Spec.Unschedulable && !slices.ContainsFunc(node.Spec.Taints, closed) {
			names = append(names, node.Labels[corev1.LabelHostname])
		}
	}
	if len(names) == 0 {
		return [2]string{}, errors.New("the cluster has no node that takes pods")
	}
	slices.Sort(names)
	return [2]string{names[0], names[1%len(names)]}, nil
}

func shopManifests(nodes [2]string) ([]byte, error) {
	parsed, err := template.New("shop").Funcs(template.FuncMap{"node": func(number int) string { return nodes[number-1] }}).Parse(shopTemplate)
	if err != nil {
		return nil, fmt.Errorf("reading the shop's manifests: %w", err)
	}
	var out bytes.Buffer
	values := struct {
		Image string
		Pods  []member
	}{build.AgnhostImage, members}
	if err := parsed.Execute(&out, values); err != nil {
		return nil, fmt.Errorf("writing the shop's manifests: %w", err)
	}
	return out.Bytes(), nil
}

// dnsLabel is the label of the cluster's DNS pods.
const dnsLabel = "k8s-app"

func isDNS(pod *corev1.Pod) bool {
	return pod.Namespace == "kube-system" && pod.Labels[dnsLabel] == "kube-dns"
}
