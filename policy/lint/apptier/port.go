package apptier

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/kube"
	"github.com/apptier/apptier/policy/lint/check"
	"github.com/apptier/apptier/policy/lint/netpol"
	"github.com/apptier/apptier/policy/lint/words"
)

// checkRange checks a port and the end of its range.
func checkRange(r *check.Report, path *field.Path, port int32, end *int32) {
	if port < 1 || port > 65535 {
		r.Find(netpol.Invalid, path.Child("port"), "use a number from 1 to 65535", "%d is not a port", port)
	}
	if end == nil {
		return
	}
	if *end > 65535 {
		r.Find(netpol.Invalid, path.Child("endPort"), "use a number from 1 to 65535", "%d is not a port", *end)
	}
	if *end < port {
		r.Find(netpol.Invalid, path.Child("endPort"), fmt.Sprintf("write port: %d and endPort: %d", *end, port),
			"the range ends at %d, before its start at %d", *end, port)
	}
}

// checkRulePort checks a rule's port; declared are the ports whose names it may use.
func checkRulePort(r *check.Report, path *field.Path, port v1alpha1.RulePort, declared []v1alpha1.TierPort) {
	checkProtocol(r, path, port.Protocol)
	if port.Port.Type == intstr.Int {
		checkRange(r, path, port.Port.IntVal, port.EndPort)
		return
	}
	name := port.Port.StrVal
	if port.EndPort != nil {
		r.Find(netpol.Invalid, path.Child("endPort"), "write port as a number, or declare the range as a port of the tier",
			"a range cannot start with a name")
	}
	i := slices.IndexFunc(declared, func(p v1alpha1.TierPort) bool { return p.Name != "" && p.Name == name })
	if i < 0 {
		r.Find(UnknownReference, path.Child("port"), unknownPortFix(name, declared), "there is no port named %q here", name)
		return
	}
	if have := kube.Protocol(declared[i].Protocol); port.Protocol != "" && port.Protocol != have {
		r.Find(netpol.Invalid, path.Child("protocol"), "leave protocol out", "port %s is declared with protocol %s", name, have)
	}
}

func unknownPortFix(name string, declared []v1alpha1.TierPort) string {
	var names []string
	for _, port := range declared {
		if port.Name != "" {
			names = append(names, port.Name)
		}
	}
	if near := words.NearestOf(name, names); near != "" {
		return fmt.Sprintf("did you mean %s?", near)
	}
	if len(names) == 0 {
		return "write its number: a name must be one that the receiving tier declares in ports"
	}
	return "named ports of this tier: " + strings.Join(names, ", ")
}
