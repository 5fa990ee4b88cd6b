package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/apptier/apptier/policy/reach"
)

// canOptions are the flags of can.
type canOptions struct {
	input    input
	cluster  *genericclioptions.ConfigFlags
	managed  clusterOptions
	port     int32
	protocol string
}

func newCan(streams genericiooptions.IOStreams) *cobra.Command {
	o := canOptions{cluster: clusterFlags()}
	cmd := &cobra.Command{
		Use:   "can SOURCE DESTINATION --port PORT",
		Short: "Say whether a connection may pass, and which policy and rule says so",
		Long: `Say whether NetworkPolicies let a connection pass, and which policy and rule says so, for each of
its two halves. Each end is namespace/pod, a pod of the namespace -n, or an address; the port is
the destination pod's own, not that of a Service.

Without -f or -k, namespaces, pods, nodes and NetworkPolicies are read from the cluster. With them,
the input is all there is: AppTiers in it stand for their NetworkPolicies, in place of any that
were generated from them before, and what they refer to (other AppTiers, Services and the workloads
behind them, nodes, the API server) is looked for in the input as well.

Exits with 0 when the connection is allowed, 1 when it is denied, 3 when that cannot be known (a pod
is missing, for example), 2 when the question cannot be answered at all.`,
		Example: `  # May the frontend connect to the database, in the cluster?
  kubectl apptier can shop/frontend-5d4c shop/database-0 --port 5432

  # Would it, with these manifests?
  kubectl get pods,namespaces -A -o yaml > state.yaml
  kubectl apptier can shop/frontend-5d4c shop/database-0 --port 5432 -f state.yaml -f shop.yaml

  # May anyone on the internet ask DNS of a pod?
  kubectl apptier can 192.0.2.1 shop/api-0 --port 53 --protocol UDP`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return fmt.Errorf("give a source and a destination, not %d arguments: each namespace/pod, a pod, or an address", len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), streams, args[0], args[1]) },
	}
	o.input.addFlags(cmd)
	o.cluster.AddFlags(cmd.Flags())
	cmd.Flags().Int32Var(&o.port, "port", 0, "The destination's port, from 1 to 65535.")
	cmd.Flags().StringVar(&o.protocol, "protocol", "TCP", "TCP, UDP or SCTP.")
	o.managed.addFlags(cmd)
	return cmd
}

func (o *canOptions) run(ctx context.Context, streams genericiooptions.IOStreams, source, destination string) error {
	protocol := corev1.Protocol(strings.ToUpper(o.protocol))
	if !slices.Contains([]corev1.Protocol{corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP}, protocol) {
		return fmt.Errorf("--protocol %q is not known: use TCP, UDP or SCTP", o.protocol)
	}
	if o.port == 0 {
		return errors.New("--port is missing: give the destination's own port, not that of a Service")
	}
	if o.port < 1 || o.port > 65535 {
		return fmt.Errorf("--port %d is not a port: use a number from 1 to 65535", o.port)
	}
	namespace, err := o.namespace()
	if err != nil {
		return err
	}
	flow := reach.Flow{Protocol: protocol, Port: o.port}
	if flow.Source, err = endpoint(source, namespace); err != nil {
		return err
	}
	if flow.Destination, err = endpoint(destination, namespace); err != nil {
		return err
	}
	snapshot, err := o.snapshot(ctx, streams, namespace)
	if err != nil {
		return err
	}
	return answer(streams, flow, reach.Allowed(snapshot, flow))
}

// namespace is that of pods, and of objects of the input, which do not say theirs. The input does
// not depend on whatever cluster kubectl happens to be configured for.
func (o *canOptions) namespace() (string, error) {
	if o.input.given() {
		return cmp.Or(*o.cluster.Namespace, corev1.NamespaceDefault), nil
	}
	namespace, _, err := o.cluster.ToRawKubeConfigLoader().Namespace()
	if err != nil {
		return "", fmt.Errorf("reading kubectl's configuration: %w (or give manifests with -f)", err)
	}
	return namespace, nil
}

func (o *canOptions) snapshot(ctx context.Context, streams genericiooptions.IOStreams, namespace string) (reach.Snapshot, error) {
	if !o.input.given() {
		return liveSnapshot(ctx, o.cluster)
	}
	s, err := o.managed.settings()
	if err != nil {
		return reach.Snapshot{}, err
	}
	return inputSnapshot(ctx, streams, &o.input, namespace, s)
}

// endpoint reads one end of a connection.
func endpoint(text, namespace string) (reach.Endpoint, error) {
	if address, err := netip.ParseAddr(text); err == nil {
		return reach.Endpoint{Address: address}, nil
	}
	pod := text
	if before, after, found := strings.Cut(text, "/"); found {
		namespace, pod = before, after
	}
	if namespace == "" || pod == "" || strings.Contains(pod, "/") {
		return reach.Endpoint{}, fmt.Errorf("%q is neither namespace/pod, nor a pod, nor an address", text)
	}
	return reach.Endpoint{Pod: types.NamespacedName{Namespace: namespace, Name: pod}}, nil
}

// answer prints the verdict and, for each half of the connection, how it came about.
func answer(streams genericiooptions.IOStreams, flow reach.Flow, result reach.Result) error {
	fmt.Fprintf(streams.Out, "%s: %s -> %s, %s %d\n", verdictWord(result.Verdict), flow.Source, flow.Destination, flow.Protocol, flow.Port)
	halves := []struct {
		name     string
		decision reach.Decision
	}{{"egress", result.Egress}, {"ingress", result.Ingress}}
	for _, half := range halves {
		fmt.Fprintf(streams.Out, "  %-8s %-8s %s\n", half.name, verdictWord(half.decision.Verdict), half.decision.Reason)
		for _, problem := range half.decision.Problems {
			fmt.Fprintf(streams.ErrOut, "warning: cannot be read, and so matches nothing: %s\n", problem)
		}
	}
	switch result.Verdict {
	case reach.Allow:
		return nil
	case reach.Deny:
		return &AnswerError{Code: codeNegative, Answer: "denied"}
	default:
		return &AnswerError{Code: codeUnknown, Answer: "unknown"}
	}
}

func verdictWord(verdict reach.Verdict) string {
	switch verdict {
	case reach.Allow:
		return "allowed"
	case reach.Deny:
		return "denied"
	default:
		return "unknown"
	}
}
