// Package ask answers whether connections may pass, and why: it is the commands can and explain, and what other commands
// ask about connections.
//
// Options find the ends in a scene; a Question is asked of policy/reach, and names what decides by where it is written.
package ask

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"

	"github.com/apptier/apptier/internal/cli/flags"
	"github.com/apptier/apptier/internal/cli/scene"
	"github.com/apptier/apptier/policy/expand"
	"github.com/apptier/apptier/policy/kube"
	"github.com/apptier/apptier/policy/reach"
)

// Options are the flags that ask about connections.
type Options struct {
	scene.SceneOptions
	Port     string
	Protocol string
	output   string
	// PortWord is what the port is given by, where that is not --port.
	PortWord string
}

const endsHelp = `Each end is [NAMESPACE/]POD, an address, [NAMESPACE/]KIND/NAME, as in deployment/web or service/web, a
tier, as APP/TIER or [NAMESPACE/]tier/APP/TIER, pods by labels, as in shop/app=web, or internet. An end with several pods means
each of them; an end without pods uses pods made from its template or selector. As a destination, an address of a Service
means the Service, and kubeAPIServer means the Service of the API server. The port is the pod's own, by number or by a name
that the pod declares; of a Service it is the Service's port. For a Service or a tier you may leave the port out, which means
each of its ports.

Without -f or -k, the command asks the cluster. With them, it knows only the input: it replaces AppTiers by their
NetworkPolicies, and looks for what they refer to in the input. With both -f and --cluster, it takes the cluster as it would be
with the input applied. What is not in the input is not known: if the labels of a missing namespace decide, the answer is not
known either.`

func (o *Options) addFlags(cmd *cobra.Command) {
	o.AddFlags(cmd, "With -f or -k: judge the cluster as it would be with the input applied.")
	cmd.Flags().StringVar(&o.Port, "port", "", "The destination's port, from 1 to 65535, or its name.")
	cmd.Flags().StringVar(&o.Protocol, "protocol", "", "TCP, UDP or SCTP. (default TCP, or the protocol of a named port)")
	flags.Choice(cmd, &o.output, "output", "o", "text", "How to print", "text", "json")
}

// validate checks the flags, and asks the cluster if there is no input.
func (o *Options) validate() error {
	o.Live = o.Live || !o.Input.Given()
	o.Protocol = strings.ToUpper(o.Protocol)
	if !slices.Contains([]string{"", "TCP", "UDP", "SCTP"}, o.Protocol) {
		return fmt.Errorf("--protocol %q is not known: use TCP, UDP or SCTP", o.Protocol)
	}
	if o.output != "text" && o.output != "json" {
		return fmt.Errorf("--output %q is not known: use text or json", o.output)
	}
	if number, err := strconv.Atoi(o.Port); err == nil && (number < 1 || number > 65535) {
		return fmt.Errorf("--port %d is not a port: use a number from 1 to 65535", number)
	}
	return nil
}

// always are the listings of a cluster that every question needs.
func always() []scene.Listing {
	return []scene.Listing{scene.ListNamespaces, scene.ListPods, scene.ListNodes, scene.ListPolicies, scene.ListOthers}
}

// Everything is what questions need whose ends are not given beforehand.
func Everything() []scene.Listing {
	return append(always(), scene.ListServices, scene.ListAppTiers, scene.ListAPIServer)
}

// see reads the scene, with what the ends need, and says what the ends stand for.
func (o *Options) see(ctx context.Context, stdin io.Reader, texts []string, more ...scene.Listing) (*scene.Scene, []scene.End, error) {
	namespace, err := o.Namespace()
	if err != nil {
		return nil, nil, err
	}
	wanted := append(always(), more...)
	if o.Input.Given() { // which AppTiers may be in, and change what others stand for
		wanted = Everything()
	}
	var refs []scene.EndRef
	var problems []error
	for _, text := range texts {
		r, err := scene.ParseEnd(text, namespace)
		refs, problems = append(refs, r), append(problems, err)
		wanted = append(wanted, r.Wanted()...)
		if r.Address.IsValid() && len(refs) == 2 { // it may be a Service's
			wanted = append(wanted, scene.ListServices, scene.ListAPIServer)
		}
	}
	if err := errors.Join(problems...); err != nil {
		return nil, nil, err
	}
	s, _, err := o.Read(ctx, stdin, namespace, scene.Once(wanted)...)
	if err != nil {
		return nil, nil, err
	}
	var ends []scene.End
	for i, r := range refs {
		if r.Address.IsValid() && i == 1 {
			r = s.Translated(r, o.Port)
		}
		e, err := s.Resolve(r, namespace)
		if err != nil {
			return nil, nil, err
		}
		ends = append(ends, e)
	}
	return s, ends, nil
}

// ports are those of one endpoint of a destination that are asked about. Its pod is nil for an address,
// and for a pod that is not there.
func (o *Options) ports(e scene.End, i int) ([]scene.Port, error) {
	var pod *corev1.Pod
	if i < len(e.Pods) {
		pod = e.Pods[i]
	}
	number, err := strconv.ParseInt(o.Port, 10, 32)
	isNumber := err == nil
	var declared []scene.Port
	switch {
	case len(e.Behind) > 0:
		declared = o.slicePorts(e, i)
	case e.Service != nil:
		declared = o.servicePorts(e, pod)
	case isNumber:
		return []scene.Port{{Protocol: kube.Protocol(corev1.Protocol(o.Protocol)), Number: int32(number)}}, nil
	default:
		declared = o.declaredPorts(e, pod)
	}
	declared = slices.DeleteFunc(declared, func(p scene.Port) bool { return o.Protocol != "" && string(p.Protocol) != o.Protocol })
	switch {
	case len(declared) > 0:
		return declared, nil
	case o.Port == "" && e.Service == nil && len(e.Ports) == 0:
		return nil, fmt.Errorf("%s is missing: give the destination's own port; only a Service, or a tier that declares ports, can do without",
			cmp.Or(o.PortWord, "--port"))
	case e.Service != nil && len(e.StandIns) > 0 && o.isPortOf(e):
		return nil, fmt.Errorf("%s: no pod of it says which number its port has", e.Text)
	default:
		return nil, fmt.Errorf("%s %q: %s has no such port", cmp.Or(o.PortWord, "--port"), o.Port, e.Text)
	}
}

// servicePorts are where a Service's ports lead at a pod.
func (o *Options) servicePorts(e scene.End, pod *corev1.Pod) []scene.Port {
	asked := e.Service.DeepCopy()
	asked.Spec.Ports = slices.DeleteFunc(asked.Spec.Ports, func(p corev1.ServicePort) bool { return !o.isAsked(e, p) })
	var out []scene.Port
	for _, target := range expand.ServiceOf(asked, []*corev1.Pod{pod}).TargetPorts {
		out = append(out, scene.Port{Protocol: target.Protocol, Number: target.Start})
	}
	return out
}

// isPortOf says whether a Service has a port that is asked about.
func (o *Options) isPortOf(e scene.End) bool {
	return slices.ContainsFunc(e.Service.Spec.Ports, func(p corev1.ServicePort) bool { return o.isAsked(e, p) })
}

// declaredPorts are those that a tier or a pod declares under a name, or all that a tier does. Of a
// range, the first stands for all.
func (o *Options) declaredPorts(e scene.End, pod *corev1.Pod) []scene.Port {
	var out []scene.Port
	for _, p := range e.Ports {
		if o.Port == "" || o.Port == p.Name {
			out = append(out, scene.Port{Protocol: kube.Protocol(p.Protocol), Number: p.Port})
		}
	}
	if len(out) > 0 || o.Port == "" || pod == nil {
		return out
	}
	for _, p := range kube.Ports(pod) {
		if p.Name == o.Port {
			out = append(out, scene.Port{Protocol: kube.Protocol(p.Protocol), Number: p.ContainerPort})
		}
	}
	return out
}

// Flows are the connections that are asked about. What a pod sends itself is not asked of policies, so
// it is no answer unless both ends are this one pod.
func (o *Options) Flows(source, destination scene.End) ([]reach.Flow, error) {
	var flows []reach.Flow
	var problem error
	isOne := len(source.Endpoints) == 1 && len(destination.Endpoints) == 1
	for i, to := range destination.Endpoints {
		ports, err := o.ports(destination, i)
		if err != nil {
			problem = err
			continue // another pod may declare it
		}
		for _, p := range ports {
			for _, from := range source.Endpoints {
				if from == to && !isOne {
					continue
				}
				flows = append(flows, reach.Flow{Source: from, Destination: to, Protocol: p.Protocol, Port: p.Number})
			}
		}
	}
	if len(flows) == 0 {
		return nil, problem
	}
	return flows, nil
}

// slicePorts are where the ports of a Service without selector lead, at one of its endpoints.
func (o *Options) slicePorts(e scene.End, endpoint int) []scene.Port {
	var out []scene.Port
	for _, p := range e.Service.Spec.Ports {
		if target, found := e.Behind[endpoint][p.Name]; found && o.isAsked(e, p) && target.Number > 0 {
			out = append(out, scene.Port{Protocol: kube.Protocol(target.Protocol), Number: target.Number})
		}
	}
	return out
}

// isAsked says whether a port of a Service is one that is asked about.
func (o *Options) isAsked(e scene.End, p corev1.ServicePort) bool {
	number := p.Port
	if e.ByNodePort {
		number = p.NodePort
	}
	return o.Port == "" || o.Port == p.Name || o.Port == strconv.Itoa(int(number))
}
