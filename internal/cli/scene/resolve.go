package scene

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/apptier/apptier/api/v1alpha1"
	"github.com/apptier/apptier/policy/kube"
	"github.com/apptier/apptier/policy/model"
	"github.com/apptier/apptier/policy/reach"
)

// End is a resolved end of a connection.
type End struct {
	EndRef
	Endpoints []reach.Endpoint
	// pods are those of the endpoints that are known.
	Pods []*corev1.Pod
	// service or tier says what ports there are, if the end is one.
	Service *corev1.Service
	Ports   []v1alpha1.TierPort
	// behind are, for each endpoint of a Service without selector, the ports that its EndpointSlice
	// gives it, by the name of the Service's.
	Behind []map[string]Port
	// standIns are pods that do not exist, but would be those that are meant.
	StandIns []StandIn
}

// Port is a port of a destination.
type Port struct {
	Protocol corev1.Protocol
	Number   int32
}

// Resolve resolves an end. If a workload, tier or Service has no pods, it uses a stand-in.
func (s *Scene) Resolve(r EndRef, namespace string) (End, error) {
	e := End{EndRef: r}
	switch {
	case r.Address.IsValid() && r.Kind == "":
		e.Endpoints = []reach.Endpoint{{Address: r.Address}}
		return e, nil
	case r.Kind == "":
		var err error
		if e.EndRef, err = s.disambiguate(r, namespace); err != nil {
			return e, err
		}
	}
	switch e.Kind {
	case "Pod":
		e.Endpoints = []reach.Endpoint{{Pod: e.NamespacedName}}
		if pod, ok := s.object("Pod", e.NamespacedName).(*corev1.Pod); ok {
			e.Pods = []*corev1.Pod{pod}
			return e, nil
		}
		return e, s.meantInstead(r, namespace)
	case "tier":
		return e, s.resolveTier(&e)
	case "Service":
		return e, s.resolveService(&e)
	case InternetKind: // which addresses, the policies say
		return e, nil
	case labelsKind:
		if e.choose(s.podsMatching(e.Namespace, labels.SelectorFromSet(e.labels))); len(e.Endpoints) == 0 {
			e.standForLabels(e.Namespace, e.labels, labelsKind+"/"+e.Name)
		}
		return e, nil
	default:
		return e, s.resolveWorkload(&e)
	}
}

// disambiguate decides between a pod of a namespace, and a tier of an AppTier.
func (s *Scene) disambiguate(r EndRef, namespace string) (EndRef, error) {
	if r.otherKind != "" {
		of, found := s.workloadOf(r.Namespace, r.otherKind, r.Name)
		if !found {
			return r, badEnd(r.Text)
		}
		r.Kind = of
		return r, nil
	}
	tier := r
	tier.Kind, tier.Namespace, tier.Name, tier.Tier = "tier", namespace, r.Namespace, r.Name
	r.Kind = "Pod"
	isPod := s.object("Pod", r.NamespacedName) != nil
	if of, found := s.workloadOf(tier.Namespace, r.Namespace, r.Name); found && !isPod {
		r.Kind, r.Namespace = of, namespace
		return r, nil
	}
	app, _ := s.object("AppTier", tier.NamespacedName).(*v1alpha1.AppTier)
	isTier := app != nil && slices.Contains(tierNames(app), tier.Tier)
	switch {
	case isPod && isTier:
		return r, fmt.Errorf("%s is a pod of namespace %s, and a tier of AppTier %s: write %s/pod/%s or tier/%s", r.Text, r.Namespace,
			tier.NamespacedName, r.Namespace, r.Name, r.Text)
	case isTier:
		return tier, nil
	default:
		return r, nil
	}
}

// workloadOf returns the kind of a workload that is given as KIND/NAME, where nobody knew the kind before the
// input was read.
func (s *Scene) workloadOf(namespace, kind, name string) (string, bool) {
	for _, o := range s.Objects() {
		of, isUnknown := o.Object.(*unstructured.Unstructured)
		if isUnknown && of.GetNamespace() == namespace && of.GetName() == name && isKindOf(of, kind) && kube.WorkloadOf(of) != nil {
			return of.GetKind(), true
		}
	}
	return "", false
}

// isKindOf says whether an object is of a kind as people write it: Rollout, rollouts, or rollouts.argoproj.io.
func isKindOf(o *unstructured.Unstructured, kind string) bool {
	kind, group, hasGroup := strings.Cut(kind, ".")
	if hasGroup && group != o.GroupVersionKind().Group {
		return false
	}
	return strings.EqualFold(o.GetKind(), kind) || strings.EqualFold(o.GetKind()+"s", kind)
}

// object returns the object of a kind and name, or nil.
func (s *Scene) object(kind string, key types.NamespacedName) runtime.Object {
	name := kind + " " + strings.TrimPrefix(key.Namespace+"/"+key.Name, "/")
	for _, o := range s.Objects() {
		if o.Name == name {
			return o.Object
		}
	}
	return nil
}

func (s *Scene) resolveTier(e *End) error {
	app, ok := s.object("AppTier", e.NamespacedName).(*v1alpha1.AppTier)
	if !ok {
		return fmt.Errorf("%s: there is no AppTier %s", e.Text, e.NamespacedName)
	}
	i := slices.Index(tierNames(app), e.Tier)
	if i < 0 {
		return fmt.Errorf("%s: AppTier %s has no tier %q: its tiers are %s", e.Text, e.NamespacedName, e.Tier, strings.Join(tierNames(app), ", "))
	}
	tier := &app.Spec.Tiers[i]
	e.Ports = portsOf(app, i)
	selector, err := metav1.LabelSelectorAsSelector(&tier.PodSelector)
	if err != nil {
		return fmt.Errorf("%s: podSelector: %w", e.Text, err)
	}
	e.choose(s.podsMatching(app.Namespace, selector))
	if len(e.Endpoints) == 0 {
		e.standForLabels(app.Namespace, labelsFor(&tier.PodSelector), "tier/"+app.Name+"/"+tier.Name)
	}
	return nil
}

// portsOf are the ports that a tier declares, and those that only its rules name.
func portsOf(app *v1alpha1.AppTier, tier int) []v1alpha1.TierPort {
	declared := app.Spec.Tiers[tier].Ports
	out := slices.Clone(declared)
	for _, rule := range model.RulesOf(&app.Spec, tier, v1alpha1.Ingress) {
		for _, p := range rule.PortsOf(&app.Spec.Tiers[tier]).Of {
			isKnown := func(known v1alpha1.TierPort) bool {
				return known.Port == p.Start && kube.Protocol(known.Protocol) == p.Protocol
			}
			if !slices.ContainsFunc(out, isKnown) {
				out = append(out, v1alpha1.TierPort{Protocol: p.Protocol, Port: p.Start})
			}
		}
	}
	return out
}

func (s *Scene) resolveService(e *End) error {
	service, ok := s.object("Service", e.NamespacedName).(*corev1.Service)
	if !ok {
		return fmt.Errorf("%s: there is no Service %s%s", e.Text, e.NamespacedName, s.nearName("Service", e.NamespacedName))
	}
	e.Service = service
	switch {
	case service.Spec.Type == corev1.ServiceTypeExternalName:
		return fmt.Errorf("%s: Service %s is a name for %s: give an address of it", e.Text, e.NamespacedName, service.Spec.ExternalName)
	case len(service.Spec.Selector) == 0:
		return s.resolveSlices(e)
	}
	e.choose(s.podsMatching(service.Namespace, labels.SelectorFromSet(service.Spec.Selector)))
	if len(e.Endpoints) == 0 {
		e.standForLabels(service.Namespace, service.Spec.Selector, "service/"+service.Name)
	}
	return nil
}

func (s *Scene) resolveWorkload(e *End) error {
	object := s.object(e.Kind, e.NamespacedName)
	workload := kube.WorkloadOf(object)
	if workload == nil || len(workload.Pods) == 0 {
		return fmt.Errorf("%s: there is no %s %s%s", e.Text, e.Kind, e.NamespacedName, s.nearName(e.Kind, e.NamespacedName))
	}
	if _, err := metav1.LabelSelectorAsSelector(workload.Selector); err != nil {
		return fmt.Errorf("%s: selector: %w", e.Text, err)
	}
	for _, pod := range s.pods(e.Namespace) {
		if workload.Makes(pod) {
			e.add(pod)
		}
	}
	if len(e.Endpoints) == 0 {
		e.standFor(standInsFor(workload))
	}
	return nil
}

// labelsFor are labels that a selector matches. One that is invalid, since it has a choice of no values, matches none.
func labelsFor(selector *metav1.LabelSelector) map[string]string {
	out := map[string]string{}
	for key, value := range selector.MatchLabels {
		out[key] = value
	}
	for _, requirement := range selector.MatchExpressions {
		switch {
		case requirement.Operator == metav1.LabelSelectorOpIn && len(requirement.Values) > 0:
			out[requirement.Key] = requirement.Values[0]
		case requirement.Operator == metav1.LabelSelectorOpExists:
			out[requirement.Key] = ""
		default: // the others are content without the label
		}
	}
	return out
}

// Owns says whether a pod is in a namespace and has an address.
func Owns(address netip.Addr, namespace string) func(*corev1.Pod) bool {
	return func(pod *corev1.Pod) bool {
		return pod.Namespace == namespace && slices.Contains(kube.Addresses(pod), address.Unmap())
	}
}

func tierNames(app *v1alpha1.AppTier) []string {
	var names []string
	for _, tier := range app.Spec.Tiers {
		names = append(names, tier.Name)
	}
	return names
}
