package scenario

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"text/template"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/apptier/apptier/test/cluster"
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
	Namespace, Name, Node string
	// Port that the pod listens on, over TCP and UDP.
	Port int32
}

func (m member) key() types.NamespacedName {
	return types.NamespacedName{Namespace: m.Namespace, Name: m.Name}
}

// members are the pods of the example: three tiers over both nodes, an administrator, and a visitor
// from another namespace.
var members = []member{
	{shopNamespace, "frontend", "n1", 8080},
	{shopNamespace, "api", "n2", 8080},
	{shopNamespace, "database", "n1", 5432},
	{shopNamespace, "admin", "n2", 8080},
	{elsewhereNamespace, "visitor", "n2", 8080},
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
func DeployShop(ctx context.Context, c *cluster.Cluster) error {
	manifests, err := shopManifests()
	if err != nil {
		return err
	}
	if err := c.Apply(ctx, manifests); err != nil {
		return err
	}
	api, err := Client(c)
	if err != nil {
		return err
	}
	return eventually(ctx, "the shop runs", func(ctx context.Context) (string, error) {
		return podsReady(ctx, api, shopNamespace, elsewhereNamespace, "kube-system")
	})
}

func shopManifests() ([]byte, error) {
	parsed, err := template.New("shop").Parse(shopTemplate)
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
