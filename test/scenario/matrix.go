package scenario

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"
	utilexec "k8s.io/client-go/util/exec"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/apptier/apptier/policy/reach"
)

// Matrix says for every pod of the example, and every destination, whether one reaches the other.
type Matrix struct {
	Sources      []string
	Destinations []string
	// Open has a row for each source and a column for each destination.
	Open [][]bool
}

// dnsColumn is the name of the last column: looking up a name.
const dnsColumn = "DNS"

// probesAtOnce bounds how many programs are started in pods at a time.
const probesAtOnce = 6

func newMatrix() Matrix {
	var m Matrix
	for _, source := range members {
		m.Sources = append(m.Sources, source.key().String())
		m.Open = append(m.Open, make([]bool, len(destinations)+1))
	}
	for _, to := range destinations {
		m.Destinations = append(m.Destinations, to.name)
	}
	m.Destinations = append(m.Destinations, dnsColumn)
	return m
}

// Measure finds out from inside the pods.
func Measure(ctx context.Context, c Cluster) (Matrix, error) {
	api, err := Client(c)
	if err != nil {
		return Matrix{}, err
	}
	snapshot, err := Snapshot(ctx, api)
	if err != nil {
		return Matrix{}, err
	}
	matrix := newMatrix()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(probesAtOnce)
	for row, source := range members {
		for column, to := range destinations {
			target := net.JoinHostPort(address(snapshot, to.pod), strconv.Itoa(int(to.port)))
			group.Go(func() (err error) {
				matrix.Open[row][column], err = c.Probe(ctx, source.key(), target, to.protocol)
				return err
			})
		}
		group.Go(func() (err error) {
			matrix.Open[row][len(destinations)], err = Resolves(ctx, c, source.key())
			return err
		})
	}
	return matrix, group.Wait()
}

// Resolves tries whether a pod can look up a name, which goes over UDP, and reach the server that
// it names, the cluster's DNS, over TCP.
func Resolves(ctx context.Context, c Cluster, pod types.NamespacedName) (bool, error) {
	_, stderr, err := c.Exec(ctx, pod, "agnhost", "/agnhost", "connect", "--timeout=2s", "kube-dns.kube-system.svc.cluster.local:53")
	var exit utilexec.CodeExitError
	switch {
	case err == nil:
		return true, nil
	case errors.As(err, &exit) && (strings.HasPrefix(stderr, "DNS") || strings.HasPrefix(stderr, "TIMEOUT")):
		return false, nil
	}
	return false, err
}

// Predict asks policy/reach, on the objects of the API server.
func Predict(ctx context.Context, api client.Client) (Matrix, error) {
	snapshot, err := Snapshot(ctx, api)
	if err != nil {
		return Matrix{}, err
	}
	evaluator := reach.New(snapshot)
	allowed := func(from, to types.NamespacedName, protocol corev1.Protocol, port int32) bool {
		flow := reach.Flow{Source: reach.Endpoint{Pod: from}, Destination: reach.Endpoint{Pod: to}, Protocol: protocol, Port: port}
		return evaluator.Allowed(flow).Verdict == reach.Allow
	}
	matrix := newMatrix()
	for row, source := range members {
		for column, to := range destinations {
			matrix.Open[row][column] = allowed(source.key(), to.pod, to.protocol, to.port)
		}
		for _, pod := range snapshot.Pods {
			if isDNS(pod) {
				dns := client.ObjectKeyFromObject(pod)
				matrix.Open[row][len(destinations)] = allowed(source.key(), dns, corev1.ProtocolUDP, 53) && allowed(source.key(), dns, corev1.ProtocolTCP, 53)
			}
		}
	}
	return matrix, nil
}

// Snapshot reads what decides about flows from the API server.
func Snapshot(ctx context.Context, api client.Client) (reach.Snapshot, error) {
	var (
		namespaces corev1.NamespaceList
		pods       corev1.PodList
		policies   networkingv1.NetworkPolicyList
		nodes      corev1.NodeList
	)
	for _, list := range []client.ObjectList{&namespaces, &pods, &policies, &nodes} {
		if err := api.List(ctx, list); err != nil {
			return reach.Snapshot{}, fmt.Errorf("reading the cluster's objects: %w", err)
		}
	}
	return reach.Snapshot{
		Namespaces: pointers(namespaces.Items), Pods: pointers(pods.Items),
		Policies: pointers(policies.Items), Nodes: pointers(nodes.Items),
	}, nil
}

func pointers[T any](items []T) []*T {
	out := make([]*T, len(items))
	for i := range items {
		out[i] = &items[i]
	}
	return out
}

func address(snapshot reach.Snapshot, pod types.NamespacedName) string {
	for _, p := range snapshot.Pods {
		if client.ObjectKeyFromObject(p) == pod {
			return p.Status.PodIP
		}
	}
	return ""
}

// Differences names the cells in which two matrices differ.
func (m Matrix) Differences(other Matrix) []string {
	var cells []string
	for row := range m.Open {
		for column, open := range m.Open[row] {
			if open != other.Open[row][column] {
				cells = append(cells, m.Sources[row]+" to "+m.Destinations[column])
			}
		}
	}
	return cells
}

// String is a table: sources down, destinations across.
func (m Matrix) String() string {
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	header := table.Row{"from \\ to"}
	for _, name := range m.Destinations {
		header = append(header, name)
	}
	t.AppendHeader(header)
	t.Style().Format.Header = 0
	for row, source := range m.Sources {
		cells := table.Row{source}
		for _, open := range m.Open[row] {
			cells = append(cells, word(open))
		}
		t.AppendRow(cells)
	}
	return t.Render()
}

func word(open bool) string {
	if open {
		return "✓ open"
	}
	return "✗ denied"
}

// Isolated says whether the visitor is kept from the database, as config/samples/shop.yaml wants.
// Nodes follow a policy within milliseconds, and this tells when.
func Isolated(ctx context.Context, c Cluster) (bool, error) {
	api, err := Client(c)
	if err != nil {
		return false, err
	}
	snapshot, err := Snapshot(ctx, api)
	if err != nil {
		return false, err
	}
	database := types.NamespacedName{Namespace: shopNamespace, Name: "database"}
	visitor := types.NamespacedName{Namespace: elsewhereNamespace, Name: "visitor"}
	open, err := c.Probe(ctx, visitor, net.JoinHostPort(address(snapshot, database), "5432"), corev1.ProtocolTCP)
	return !open, err
}
