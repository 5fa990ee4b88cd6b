package scene

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/apptier/apptier/policy/kube"
)

// endKinds are the kinds that an end of a connection may be of, by their names in kubectl.
var endKinds = map[string]string{
	"pod": "Pod", "pods": "Pod", "po": "Pod",
	"deployment": "Deployment", "deployments": "Deployment", "deploy": "Deployment",
	"statefulset": "StatefulSet", "statefulsets": "StatefulSet", "sts": "StatefulSet",
	"daemonset": "DaemonSet", "daemonsets": "DaemonSet", "ds": "DaemonSet",
	"replicaset": "ReplicaSet", "replicasets": "ReplicaSet", "rs": "ReplicaSet",
	"job": "Job", "jobs": "Job", "cronjob": "CronJob", "cronjobs": "CronJob", "cj": "CronJob",
	"service": "Service", "services": "Service", "svc": "Service",
	"tier": "tier",
}

// EndRef is an end of a connection as it is written.
type EndRef struct {
	Text    string
	Address netip.Addr
	// kind is one of endKinds' values; empty for NAMESPACE/POD, which may also mean APP/TIER or KIND/NAME.
	Kind string
	// otherKind is the kind as it is written that is none of these, where there can be nothing else in its place. kind
	// is empty then.
	otherKind string
	// namespace and name are those of the object; of a tier, those of its AppTier.
	types.NamespacedName
	Tier string
	// labels are those of pods of the namespace, where an end is written as these.
	labels map[string]string
	// byNodePort says that the address is a node's, and the Service one that has its port there.
	ByNodePort bool
}

// withoutGroup is a kind as kubectl prints it, as in deployment.apps, without its group; other words stay as they are.
func withoutGroup(word string) string {
	kind, group, _ := strings.Cut(word, ".")
	if endKinds[strings.ToLower(kind)] != "" && (group == "apps" || group == "batch") {
		return kind
	}
	return word
}

// ParseEnd reads one end of a connection.
func ParseEnd(text, namespace string) (EndRef, error) {
	r := EndRef{Text: text}
	if address, err := netip.ParseAddr(text); err == nil {
		r.Address = address
		return r, nil
	}
	if strings.Contains(text, "=") {
		return r, r.parseLabels(text, namespace)
	}
	if err := noEnd(text); err != nil {
		return r, err
	}
	switch text {
	case InternetKind:
		r.Kind = InternetKind
		return r, nil
	case "kubeAPIServer", "kube-apiserver":
		r.Kind, r.NamespacedName = "Service", kube.APIServer
		return r, nil
	}
	parts := strings.Split(text, "/")
	if slices.Contains(parts, "") {
		return r, badEnd(text)
	}
	for i, part := range parts[:len(parts)-1] { // the last is a name
		parts[i] = withoutGroup(part)
	}
	r.Namespace = namespace
	isKind := func(i int) bool { return endKinds[strings.ToLower(parts[i])] != "" }
	switch {
	case len(parts) == 1:
		r.Kind, r.Name = "Pod", parts[0]
		return r, nil
	case len(parts) == 2 && !isKind(0):
		r.Namespace, r.Name = parts[0], parts[1]
		return r, nil
	case !isKind(0) && isKind(1):
		r.Namespace, parts = parts[0], parts[1:]
	case len(parts) == 3 && !isKind(0):
		r.Namespace, r.otherKind, r.Name = parts[0], parts[1], parts[2]
		return r, nil
	case !isKind(0):
		return r, badEnd(text)
	}
	r.Kind, r.Name = endKinds[strings.ToLower(parts[0])], parts[1]
	switch {
	case r.Kind == "tier" && len(parts) == 3:
		r.Tier = parts[2]
		return r, nil
	case r.Kind != "tier" && len(parts) == 2:
		return r, nil
	default:
		return r, badEnd(text)
	}
}

func badEnd(text string) error {
	return fmt.Errorf("%q is not an end of a connection: write [NAMESPACE/]POD, [NAMESPACE/]KIND/NAME, as in deployment/web or "+
		"service/web, APP/TIER, [NAMESPACE/]tier/APP/TIER, [NAMESPACE/]LABEL=VALUE, an address, or internet", text)
}

// labelsKind is of an end that is the pods of some labels.
const labelsKind = "labels"

// parseLabels reads [NAMESPACE/]LABEL=VALUE[,LABEL=VALUE...]. A label may have a prefix, which holds a dot, where a
// namespace has none.
func (r *EndRef) parseLabels(text, namespace string) error {
	r.Kind, r.Namespace = labelsKind, namespace
	if first, rest, found := strings.Cut(text, "/"); found && !strings.ContainsAny(first, ".=") {
		r.Namespace, text = first, rest
	}
	var err error
	if r.labels, err = labels.ConvertSelectorToLabelsMap(text); err != nil {
		return fmt.Errorf("%q is not an end of a connection: %w: write labels as in shop/app=web,tier=front", r.Text, err)
	}
	r.Name = labels.Set(r.labels).String()
	return nil
}

var digitsAndDots = regexp.MustCompile(`^[0-9.]+$`)

// noEnd says what to write instead of what people type for the ends that policies know and a single
// connection does not have.
func noEnd(text string) error {
	switch {
	case slices.Contains([]string{"everyone", "anyone", "anybody", "all", "world", "*"}, text):
		return fmt.Errorf("%q means many ends: ask about internet, a tier, a workload or a pod", text)
	case slices.Contains([]string{"node", "nodes", "host"}, text):
		return fmt.Errorf("%q is not an end of a connection: give the address of a node", text)
	case digitsAndDots.MatchString(text), strings.Contains(text, ":"):
		return fmt.Errorf("%q is not an address", text)
	}
	if prefix, err := netip.ParsePrefix(text); err == nil {
		return fmt.Errorf("%q is a range of addresses: ask about one of them, such as %s", text, prefix.Masked().Addr().Next())
	}
	return nil
}

// Wanted are the listings of a cluster that an end needs, beside those of every question.
func (r EndRef) Wanted() []Listing {
	switch {
	case r.Address.IsValid() || r.Kind == InternetKind || r.Kind == labelsKind:
		return nil
	case r.Kind == "Service":
		return []Listing{ListServices, listSlices(r.NamespacedName)}
	case r.Kind == "Pod": // which may be meant for another end
		return []Listing{ListAppTiers}
	case r.Kind == "tier" || r.Kind == "":
		return []Listing{ListAppTiers}
	default:
		return []Listing{getWorkload(r.Kind, r.NamespacedName)}
	}
}
