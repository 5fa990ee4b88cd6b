package netpol

import (
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/apptier/apptier/policy/connset"
	"github.com/apptier/apptier/policy/kube"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/lint/words"
	"github.com/apptier/apptier/policy/lint/world"
)

// NamedPortUnresolved reports where no destination has a port of this name.
var NamedPortUnresolved = register(check.Check{
	ID: "named-port-unresolved", Severity: check.Warn, About: check.OfPolicies,
	Title: "A port name that no pod has",
	Text: `A port's name is looked up at the pod that a connection goes to. If no container declares it, for this
protocol, the rule allows nothing. Addresses have no port names, so for them it also allows nothing.`,
})

// checkNamesOfAddresses finds named ports in rules for addresses only: a name is looked up at a pod, and an address has
// none.
func checkNamesOfAddresses(r *check.Report, v *view, direction networkingv1.PolicyType, index int, rule kube.Rule) {
	isPods := func(peer networkingv1.NetworkPolicyPeer) bool { return peer.IPBlock == nil }
	if direction == ingress || len(rule.Peers) == 0 || slices.ContainsFunc(rule.Peers, isPods) {
		return
	}
	for j, port := range rule.Ports {
		if port.Port != nil && port.Port.Type == intstr.String {
			r.Find(NamedPortUnresolved, v.places.Port(direction, index, j), "write the number",
				"an address has no port names: only pods do, so port %s allows nothing here", port.Port.StrVal)
		}
	}
}

// checkNamedPort finds names that no destination declares.
func checkNamedPort(r *check.Report, path *field.Path, rule kube.Rule, index int, destinations []*world.Pod) {
	_, named := connset.RulePorts(rule.Ports[index : index+1])
	var names []string
	seen := map[string]bool{}
	for _, pod := range destinations {
		if !world.Resolve(named, pod).IsEmpty() {
			return
		}
		for _, port := range pod.Ports {
			if port.Name != "" && !seen[port.Name] {
				seen[port.Name] = true
				names = append(names, port.Name)
			}
		}
	}
	name := rule.Ports[index].Port.StrVal
	fix := "write the number that the pods listen on, or name a port of their containers"
	if near := words.Nearest(name, names); near != "" && near != name {
		fix = "did you mean " + near + "?"
	}
	r.Find(NamedPortUnresolved, path, fix, "no container of the pods, such as %s, has a port named %s for %s, so this allows nothing",
		words.Pod(destinations[0]), name, named[0].Protocol)
}
